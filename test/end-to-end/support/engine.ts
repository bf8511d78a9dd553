/**
 * A real llama-server with the real small model, as Deployment and Service. In: a name. Out: objects to apply, and what stories do to it:
 * scale it, kill its Pods or the process in them.
 */
import { globSync, readFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { isFields } from '../../../operator/validate/problem.ts'
import { listAt, textAt, valueAt } from '../../support/control-plane/api.ts'
import type { Cluster } from '../../support/control-plane/cluster.ts'
import type { KubeObject } from '../../support/control-plane/objects.ts'
import { kubectl, stateOf } from './cluster.ts'

export interface EngineOptions {
  /** Of Deployment, Service and label `app`. */
  readonly name: string
  readonly namespace: string
  /** 1 if absent. */
  readonly replicas?: number
  /** Further arguments of llama-server. */
  readonly args?: readonly string[]
  /** Requests served at a time; 4 if absent. The context of 8,192 tokens is divided among them. */
  readonly slots?: number
  /** Labels of the Pods besides `app`. */
  readonly labels?: Readonly<Record<string, string>>
}

export const ENGINE_IMAGE = 'localhost/llama-server:1'
export const ENGINE_PORT = 8080
const MODEL = '/models/smollm2.gguf'
const CONTEXT_TOKENS = '8192'

/** What the restricted Pod Security standard asks of a container. */
export const RESTRICTED_CONTAINER = {
  allowPrivilegeEscalation: false,
  readOnlyRootFilesystem: true,
  capabilities: { drop: ['ALL'] },
} as const
export const RESTRICTED_POD = { runAsNonRoot: true, runAsUser: 1000, runAsGroup: 1000, seccompProfile: { type: 'RuntimeDefault' } } as const

/** The Service's port is 8080, named "http". A Pod is ready when `/health` says that the model is loaded. */
export function engineObjects({ name, namespace, replicas = 1, args = [], slots = 4, labels = {} }: EngineOptions): readonly KubeObject[] {
  const metadata = { name, namespace, labels: { app: name } }
  const server = ['-m', MODEL, '--host', '0.0.0.0', '--port', String(ENGINE_PORT), '-a', name, '-np', String(slots), '-c', CONTEXT_TOKENS]
  const container = {
    name: 'engine',
    image: ENGINE_IMAGE,
    imagePullPolicy: 'IfNotPresent',
    args: [...server, '-t', '1', '-tb', '1', '--metrics', '--offline', '--no-warmup', '--no-webui', ...args],
    ports: [{ name: 'http', containerPort: ENGINE_PORT }],
    startupProbe: { httpGet: { path: '/health', port: 'http' }, periodSeconds: 1, failureThreshold: 60 },
    readinessProbe: { httpGet: { path: '/health', port: 'http' }, periodSeconds: 1 },
    // llama-server drops the answers it is giving when it gets SIGTERM: it gets no new requests before that.
    lifecycle: { preStop: { sleep: { seconds: 3 } } },
    resources: { requests: { cpu: '50m', memory: '256Mi' }, limits: { memory: '768Mi' } },
    securityContext: RESTRICTED_CONTAINER,
  }
  const spec = {
    automountServiceAccountToken: false,
    terminationGracePeriodSeconds: 10,
    securityContext: RESTRICTED_POD,
    containers: [container],
  }
  const template = { metadata: { labels: { app: name, ...labels } }, spec }
  return [
    { apiVersion: 'apps/v1', kind: 'Deployment', metadata, spec: { replicas, selector: { matchLabels: { app: name } }, template } },
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata,
      spec: { selector: { app: name }, ports: [{ name: 'http', port: ENGINE_PORT, targetPort: 'http' }] },
    },
  ]
}

/** Applies it; resolves when all replicas are ready. */
export async function startEngine(cluster: Cluster, options: EngineOptions): Promise<void> {
  await cluster.apply(engineObjects(options))
  await engineReady(cluster, options)
}

/** Rejects with the state of the namespace after a minute and a half. */
export async function engineReady(cluster: Cluster, { name, namespace }: Pick<EngineOptions, 'name' | 'namespace'>): Promise<void> {
  try {
    await kubectl(cluster, ['-n', namespace, 'rollout', 'status', '--timeout=90s', `deployment/${name}`], { timeoutMs: 100_000 })
  } catch (error) {
    throw new Error(`the engine ${name} did not become ready\n${await stateOf(cluster, namespace)}`, { cause: error })
  }
}

/** Without waiting. */
export async function scaleEngine(cluster: Cluster, at: Pick<EngineOptions, 'name' | 'namespace'>, replicas: number): Promise<void> {
  await kubectl(cluster, ['-n', at.namespace, 'scale', `deployment/${at.name}`, `--replicas=${replicas}`])
}

export interface EnginePod {
  readonly name: string
  readonly uid: string
  readonly ip: string
  readonly ready: boolean
  /** Restarts of its container. */
  readonly restarts: number
}

/** Those that are not being deleted. */
export async function enginePods(
  cluster: Cluster,
  { name, namespace }: Pick<EngineOptions, 'name' | 'namespace'>,
): Promise<readonly EnginePod[]> {
  const list = await cluster.ask('GET', `/api/v1/namespaces/${namespace}/pods?labelSelector=app%3D${name}`)
  return listAt(list, 'items')
    .filter((pod) => valueAt(pod, 'metadata', 'deletionTimestamp') === undefined)
    .map((pod) => ({
      name: textAt(pod, 'metadata', 'name'),
      uid: textAt(pod, 'metadata', 'uid'),
      ip: wordAt(pod, 'status', 'podIP'),
      ready: listAt(pod, 'status', 'conditions').some((one) => isFields(one) && one['type'] === 'Ready' && one['status'] === 'True'),
      restarts: Number(valueAt(pod, 'status', 'containerStatuses', 0, 'restartCount') ?? 0),
    }))
}

/** As a node that is lost: at once, without a grace period. */
export async function killPod(cluster: Cluster, namespace: string, name: string): Promise<void> {
  await kubectl(cluster, ['-n', namespace, 'delete', 'pod', name, '--grace-period=0', '--force', '--wait=false'])
}

/** SIGKILL to the engine in a Pod, as the kernel does when memory runs out: the Pod stays, the kubelet starts its container anew. */
export function killContainer({ uid, name }: Pick<EnginePod, 'uid' | 'name'>): void {
  const pids = globSync('/proc/[0-9]*/cgroup').filter((file) => isIn(file, uid))
  const killed = pids.map(dirname).filter((folder) => read(join(folder, 'cmdline')).includes('llama-server'))
  if (killed.length === 0) throw new Error(`no engine runs in the Pod ${name}`)
  for (const folder of killed) process.kill(Number(basename(folder)), 'SIGKILL')
}

const isIn = (file: string, podUid: string): boolean => read(file).replaceAll('_', '-').includes(`pod${podUid}`)

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return '' // the process has ended
  }
}

function wordAt(value: unknown, ...path: readonly string[]): string {
  const found = valueAt(value, ...path)
  return typeof found === 'string' ? found : ''
}
