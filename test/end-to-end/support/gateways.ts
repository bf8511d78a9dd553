/** The gateways of an installation, one by one: their Pods, and what each says in its metrics. For a process on the node, which reaches Pods. */
import { isFields } from '../../../operator/validate/problem.ts'
import { listAt, textAt, valueAt } from '../../support/control-plane/api.ts'
import type { Cluster } from '../../support/control-plane/cluster.ts'

export interface GatewayPod {
  readonly name: string
  /** '' before it has one. */
  readonly ip: string
  readonly ready: boolean
}

const SELECTOR = encodeURIComponent('app.kubernetes.io/name=llama-swap,app.kubernetes.io/component=gateway')

/** Those that are not being deleted. */
export async function gatewayPods(cluster: Cluster, namespace: string): Promise<readonly GatewayPod[]> {
  const list = await cluster.ask('GET', `/api/v1/namespaces/${namespace}/pods?labelSelector=${SELECTOR}`)
  return listAt(list, 'items')
    .filter((pod) => valueAt(pod, 'metadata', 'deletionTimestamp') === undefined)
    .map((pod) => ({
      name: textAt(pod, 'metadata', 'name'),
      ip: ipOf(valueAt(pod, 'status', 'podIP')),
      ready: listAt(pod, 'status', 'conditions').some((one) => isFields(one) && one['type'] === 'Ready' && one['status'] === 'True'),
    }))
}

const ipOf = (ip: unknown): string => (typeof ip === 'string' ? ip : '')

/** The sum of a metric's series whose labels contain `labels`, such as `result="refused"`; 0 where there is none. Rejects when it is not answered. */
export async function metricOf({ ip }: GatewayPod, name: string, labels = ''): Promise<number> {
  const page = await (await fetch(`http://${ip}:9090/metrics`, { signal: AbortSignal.timeout(5000) })).text()
  return page
    .split('\n')
    .filter((line) => (line.startsWith(`${name}{`) && line.includes(labels)) || line.startsWith(`${name} `))
    .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0)
}
