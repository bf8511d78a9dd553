import { mkdtempSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Api, textAt } from './api.ts'

export interface TokenRequest {
  readonly namespace: string
  readonly serviceAccount: string
  /** The API server's own if absent: then it is a credential for the API. */
  readonly audience?: string
  /** Name of a Pod of that ServiceAccount: the token says it, and dies with it. */
  readonly pod?: string
  /** At least 600; 3600 if absent. */
  readonly expirationSeconds?: number
}

/** A token as the kubelet would mount it. The ServiceAccount is made if it is not there. */
export async function requestToken(api: Api, request: TokenRequest): Promise<string> {
  const { namespace, serviceAccount, audience, pod, expirationSeconds = 3600 } = request
  await ensureServiceAccount(api, namespace, serviceAccount)
  const spec = {
    expirationSeconds,
    ...(audience === undefined ? {} : { audiences: [audience] }),
    ...(pod === undefined ? {} : { boundObjectRef: { apiVersion: 'v1', kind: 'Pod', name: pod } }),
  }
  const path = `/api/v1/namespaces/${namespace}/serviceaccounts/${serviceAccount}/token`
  return textAt(await api.ask('POST', path, { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec }), 'status', 'token')
}

export async function ensureServiceAccount(api: Api, namespace: string, name: string): Promise<void> {
  const path = `/api/v1/namespaces/${namespace}/serviceaccounts`
  const { status } = await api.request('GET', `${path}/${name}`)
  if (status === 200) return
  const made = await api.request('POST', path, { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name } })
  if (made.status !== 201 && made.status !== 409) throw new Error(`ServiceAccount ${namespace}/${name}: ${JSON.stringify(made.body)}`)
}

/** A kubeconfig and the token file it names: as in a pod, the client reads the file again, and who rewrites it rotates the token. */
export interface TokenKubeconfig {
  readonly kubeconfig: string
  readonly tokenFile: string
}

/**
 * Writes both below `folder`. The way to the file is client-node's (auth-provider tokenFile), the one it uses inside a cluster;
 * kubectl does not know it: give it `--token`.
 */
export function writeTokenKubeconfig(folder: string, cluster: { url: string; caFile: string }, token: string): TokenKubeconfig {
  const own = mkdtempSync(join(folder, 'account-'))
  const tokenFile = join(own, 'token')
  writeFileSync(tokenFile, token, { mode: 0o600 })
  const user = { 'auth-provider': { name: 'tokenFile', config: { tokenFile } } }
  return { kubeconfig: writeKubeconfig(join(own, 'kubeconfig'), cluster, user), tokenFile }
}

/** Writes a kubeconfig of one cluster and one user; returns its path. */
export function writeKubeconfig(path: string, { url, caFile }: { url: string; caFile: string }, user: unknown): string {
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'test', cluster: { server: url, 'certificate-authority': caFile } }],
    users: [{ name: 'test', user }],
    contexts: [{ name: 'test', context: { cluster: 'test', user: 'test' } }],
    'current-context': 'test',
  }
  writeFileSync(path, JSON.stringify(config, null, 2), { mode: 0o600 })
  return path
}
