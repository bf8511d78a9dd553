/**
 * Targets with the labels that Prometheus' discovery of Kubernetes gives them: Debian's Prometheus is built without it, so what it would ask
 * the API server is asked here, and it gets the answer as files (`file_sd_configs`). Everything behind that is Prometheus' own: which targets
 * are kept, and what they are called. In: objects as the API server has them. Out: target groups. PURE.
 */
import { isFields } from '../../../operator/validate/problem.ts'
import { listAt, textAt, valueAt } from '../../support/control-plane/api.ts'

export interface TargetGroup {
  readonly targets: readonly string[]
  readonly labels: Readonly<Record<string, string>>
}

type LabelSet = Readonly<Record<string, string>>
const META = '__meta_kubernetes'

/** Role `pod`: each port of each container, init containers too. */
export const podTargets = (pods: readonly unknown[]): readonly TargetGroup[] =>
  pods.filter(hasAddress).flatMap((pod) =>
    portsOf(pod).map(({ container, port }) => ({
      targets: [`${textAt(pod, 'status', 'podIP')}:${String(valueAt(port, 'containerPort'))}`],
      labels: { ...ofNamespace(pod), ...ofPod(pod), ...ofPort(container, port) },
    })),
  )

/** Role `endpointslice`: each address and port of each slice, with what is known of its Service and its Pod. */
export function sliceTargets(slices: readonly unknown[], services: readonly unknown[], pods: readonly unknown[]): readonly TargetGroup[] {
  const serviceOf = byKey(services)
  const podOf = byKey(pods)
  return slices.flatMap((slice) => {
    const namespace = textAt(slice, 'metadata', 'namespace')
    const service = serviceOf.get(`${namespace}/${String(valueAt(slice, 'metadata', 'labels', 'kubernetes.io/service-name'))}`)
    return listAt(slice, 'endpoints').flatMap((endpoint) => {
      const pod = podOf.get(`${namespace}/${String(valueAt(endpoint, 'targetRef', 'name'))}`)
      return listAt(slice, 'ports').map((port) => ({
        targets: listAt(endpoint, 'addresses').map((address) => `${String(address)}:${String(valueAt(port, 'port'))}`),
        labels: {
          ...ofNamespace(slice),
          ...ofService(service),
          ...(pod !== undefined && { ...ofPod(pod), ...ofContainerAt(pod, valueAt(port, 'port')) }),
          [`${META}_endpointslice_port_name`]: nameOf(port),
        },
      }))
    })
  })
}

const byKey = (objects: readonly unknown[]): ReadonlyMap<string, unknown> =>
  new Map(objects.map((object) => [`${textAt(object, 'metadata', 'namespace')}/${textAt(object, 'metadata', 'name')}`, object]))

/** '' where it has none. */
function nameOf(port: unknown): string {
  const name = valueAt(port, 'name')
  return typeof name === 'string' ? name : ''
}

const hasAddress = (pod: unknown): boolean => typeof valueAt(pod, 'status', 'podIP') === 'string'

function portsOf(pod: unknown): readonly { readonly container: unknown; readonly port: unknown }[] {
  const containers = [...listAt(pod, 'spec', 'containers'), ...listAt(pod, 'spec', 'initContainers')]
  return containers.flatMap((container) => listAt(container, 'ports').map((port) => ({ container, port })))
}

const ofNamespace = (object: unknown): LabelSet => ({ [`${META}_namespace`]: textAt(object, 'metadata', 'namespace') })

const ofPod = (pod: unknown): LabelSet => ({
  [`${META}_pod_name`]: textAt(pod, 'metadata', 'name'),
  [`${META}_pod_phase`]: String(valueAt(pod, 'status', 'phase')),
  ...ofLabels(pod, 'pod'),
})

const ofService = (service: unknown): LabelSet =>
  service === undefined ? {} : { [`${META}_service_name`]: textAt(service, 'metadata', 'name'), ...ofLabels(service, 'service') }

const ofPort = (container: unknown, port: unknown): LabelSet => ({
  [`${META}_pod_container_name`]: textAt(container, 'name'),
  [`${META}_pod_container_port_name`]: nameOf(port),
})

/** A target of a slice knows its container by the number of its port. */
function ofContainerAt(pod: unknown, number: unknown): LabelSet {
  const found = portsOf(pod).find(({ port }) => valueAt(port, 'containerPort') === number)
  return found === undefined ? {} : ofPort(found.container, found.port)
}

function ofLabels(object: unknown, kind: string): LabelSet {
  const labels = valueAt(object, 'metadata', 'labels')
  const entries = Object.entries(isFields(labels) ? labels : {}).flatMap(([label, value]): readonly [string, string][] => {
    const name = label.replaceAll(/[^a-zA-Z0-9_]/g, '_')
    return [
      [`${META}_${kind}_label_${name}`, String(value)],
      [`${META}_${kind}_labelpresent_${name}`, 'true'],
    ]
  })
  return Object.fromEntries(entries)
}
