/**
 * Nodes and Pods without a kubelet: the objects are real, what a kubelet would write of them we write. The controllers do the rest: a Pod
 * that fits a Service's selector is in its EndpointSlices within a tenth of a second.
 */
import { type Api, textAt } from './api.ts'
import { podAddress } from './network.ts'
import { ensureServiceAccount } from './tokens.ts'

export interface PodSpec {
  readonly namespace: string
  readonly name: string
  readonly labels?: Readonly<Record<string, string>>
  readonly annotations?: Readonly<Record<string, string>>
  readonly ownerReferences?: readonly unknown[]
  /** One of its own if absent. In a private network tests can listen there. */
  readonly ips?: readonly string[]
  /** True if absent. */
  readonly ready?: boolean
  readonly ports?: readonly { readonly name?: string; readonly port: number }[]
  readonly serviceAccount?: string
  /** Name of a node; one is made if it is not there. */
  readonly node?: string
}

export interface PodStatus {
  readonly ready?: boolean
  readonly ips?: readonly string[]
  readonly phase?: 'Pending' | 'Running' | 'Succeeded' | 'Failed'
  /** Deleted, with so many seconds for its end; it stays, as terminating, until `removePod`. */
  readonly terminatingSeconds?: number
}

export interface Pod {
  readonly name: string
  readonly uid: string
  /** The first of `ips`. */
  readonly ip: string
  readonly ips: readonly string[]
}

const IMAGE = 'registry.example/engine:1'

/** Ready at once, in `zone`. */
export async function makeNode(api: Api, name: string, zone = 'zone-a'): Promise<void> {
  const metadata = { name, labels: { 'topology.kubernetes.io/zone': zone, 'kubernetes.io/hostname': name } }
  await api.ask('PATCH', `/api/v1/nodes/${name}?fieldManager=test&force=true`, { apiVersion: 'v1', kind: 'Node', metadata }, APPLY)
  await api.ask('PATCH', `/api/v1/nodes/${name}/status`, { status: { conditions: [condition('Ready', true)] } })
}

const APPLY = 'application/apply-patch+yaml'

export async function makePod(api: Api, pod: PodSpec): Promise<Pod> {
  const { namespace, name, ips = [podAddress()], ready = true, node = 'node-a', serviceAccount = 'default' } = pod
  if ((await api.request('GET', `/api/v1/nodes/${node}`)).status === 404) await makeNode(api, node)
  await ensureServiceAccount(api, namespace, serviceAccount)
  const made = await api.ask('POST', `/api/v1/namespaces/${namespace}/pods`, manifest(pod, node, serviceAccount))
  await setPod(api, namespace, name, { phase: 'Running', ready, ips })
  return { name, uid: textAt(made, 'metadata', 'uid'), ip: ips[0] ?? '', ips }
}

function manifest(
  { name, labels = {}, annotations = {}, ownerReferences = [], ports = [] }: PodSpec,
  node: string,
  account: string,
): unknown {
  const container = { name: 'engine', image: IMAGE, ports: ports.map(({ port, ...rest }) => ({ containerPort: port, ...rest })) }
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, labels, annotations, ownerReferences },
    spec: { nodeName: node, serviceAccountName: account, containers: [container] },
  }
}

/** What a kubelet would say of a change; only what is given changes. */
export async function setPod(
  api: Api,
  namespace: string,
  name: string,
  { ready, ips, phase, terminatingSeconds }: PodStatus,
): Promise<void> {
  const path = `/api/v1/namespaces/${namespace}/pods/${name}`
  const status = {
    ...(phase === undefined ? {} : { phase }),
    ...(ips === undefined ? {} : { podIP: ips[0], podIPs: ips.map((ip) => ({ ip })) }),
    ...(ready === undefined ? {} : readiness(ready)),
  }
  if (Object.keys(status).length > 0) await api.ask('PATCH', `${path}/status`, { status })
  if (terminatingSeconds !== undefined) await api.ask('DELETE', path, { gracePeriodSeconds: terminatingSeconds })
}

/** At once, as after its last second. */
export async function removePod(api: Api, namespace: string, name: string): Promise<void> {
  await api.ask('DELETE', `/api/v1/namespaces/${namespace}/pods/${name}`, { gracePeriodSeconds: 0 })
}

function readiness(ready: boolean): Readonly<Record<string, unknown>> {
  const now = new Date().toISOString()
  const container = { name: 'engine', ready, restartCount: 0, image: IMAGE, imageID: IMAGE, state: { running: { startedAt: now } } }
  const conditions = [
    condition('PodScheduled', true),
    condition('Initialized', true),
    condition('ContainersReady', ready),
    condition('Ready', ready),
  ]
  return { conditions, containerStatuses: [container] }
}

const condition = (type: string, is: boolean): unknown => ({
  type,
  status: is ? 'True' : 'False',
  lastTransitionTime: new Date().toISOString(),
})
