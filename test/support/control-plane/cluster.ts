/**
 * What tests do with an API server, as its administrator. In: where it is. Out: calls, kubectl, namespaces, credentials, Pods. It starts and
 * stops nothing: that is control-plane.ts.
 */
import { randomUUID } from 'node:crypto'
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { eventually } from '../eventually.ts'
import { Api } from './api.ts'
import { type Ended, type KubectlOptions, runKubectl } from './kubectl.ts'
import { Objects } from './objects.ts'
import { makeNode, makePod, type Pod, type PodSpec, type PodStatus, removePod, setPod } from './pods.ts'
import { requestToken, type TokenKubeconfig, type TokenRequest, writeTokenKubeconfig } from './tokens.ts'

/** All that another process needs to know of a control plane; strings only. */
export interface Access {
  /** "https://127.0.0.1:21234" */
  readonly url: string
  readonly caFile: string
  readonly adminToken: string
  /** Of the administrator: path of a file. */
  readonly kubeconfig: string
  /** Holds etcd.log, kube-apiserver.log and kube-controller-manager.log. */
  readonly logs: string
  /** A folder that is removed with the control plane. */
  readonly folder: string
  /** "10.96.0.0/22" */
  readonly serviceCidr: string
}

/** Environment variable of a run's tests: names a file that holds the `Access` of the control plane they share. */
export const SHARED_VARIABLE = 'LLAMA_SWAP_TEST_CONTROL_PLANE'

export interface Cluster extends Access {
  /** PEM. */
  readonly ca: string
  readonly request: Api['request']
  readonly ask: Api['ask']
  readonly lines: Api['lines']
  readonly apply: Objects['apply']
  readonly pathOf: Objects['pathOf']
  /** crds/*.yaml; resolves when their objects can be made. Doing it twice is well. */
  installCrds(): Promise<void>
  kubectl(args: readonly string[], options?: KubectlOptions): Promise<Ended>
  /** A new one, ready for Pods; resolves with its name. `close()` deletes it. */
  namespace(labels?: Readonly<Record<string, string>>): Promise<string>
  token(request: TokenRequest): Promise<string>
  serviceAccountKubeconfig(account: AccountSpec): Promise<TokenKubeconfig>
  makeNode(name: string, zone?: string): Promise<void>
  makePod(pod: PodSpec): Promise<Pod>
  setPod(namespace: string, name: string, status: PodStatus): Promise<void>
  removePod(namespace: string, name: string): Promise<void>
  /** Deletes the namespaces, without waiting for their end, and ends connections. */
  close(): Promise<void>
}

export interface AccountSpec {
  readonly namespace: string
  readonly name: string
  readonly audience?: string
  readonly expirationSeconds?: number
}

const CRDS = join(import.meta.dirname, '..', '..', '..', 'crds')

/** Owner: the caller; `close()` once. */
export function openCluster(access: Access): Cluster {
  const ca = readFileSync(access.caFile, 'utf8')
  const api = new Api({ url: access.url, ca, token: access.adminToken })
  const objects = new Objects(api)
  const namespaces: string[] = []
  return {
    ...access,
    ca,
    request: api.request.bind(api),
    ask: api.ask.bind(api),
    lines: api.lines.bind(api),
    apply: objects.apply.bind(objects),
    pathOf: objects.pathOf.bind(objects),
    installCrds: () => installCrds(objects),
    kubectl: (args, options) => runKubectl(access.folder, access.kubeconfig, args, options),
    namespace: (labels) => makeNamespace(api, namespaces, labels),
    token: (request) => requestToken(api, request),
    serviceAccountKubeconfig: (account) => accountKubeconfig(api, access, account),
    makeNode: (name, zone) => makeNode(api, name, zone),
    makePod: (pod) => makePod(api, pod),
    setPod: (namespace, name, status) => setPod(api, namespace, name, status),
    removePod: (namespace, name) => removePod(api, namespace, name),
    close: async () => {
      await Promise.allSettled(namespaces.map((name) => api.request('DELETE', `/api/v1/namespaces/${name}`)))
      await api.close()
    },
  }
}

async function installCrds(objects: Objects): Promise<void> {
  for (const file of globSync('*.yaml', { cwd: CRDS })) await objects.apply(readFileSync(join(CRDS, file), 'utf8'))
}

async function makeNamespace(api: Api, made: string[], labels: Readonly<Record<string, string>> = {}): Promise<string> {
  const name = `test-${randomUUID().slice(0, 8)}`
  await api.ask('POST', '/api/v1/namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels } })
  made.push(name)
  await eventually(() => usable(api, name))
  return name
}

/** Pods need both. */
export async function usable(api: Pick<Api, 'ask'>, namespace: string): Promise<void> {
  await api.ask('GET', `/api/v1/namespaces/${namespace}/serviceaccounts/default`)
  await api.ask('GET', `/api/v1/namespaces/${namespace}/configmaps/kube-root-ca.crt`)
}

async function accountKubeconfig(api: Api, access: Access, { name, ...rest }: AccountSpec): Promise<TokenKubeconfig> {
  return writeTokenKubeconfig(access.folder, access, await requestToken(api, { ...rest, serviceAccount: name }))
}
