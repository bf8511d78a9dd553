import type { BackendPods } from '../resources/crds.generated.ts'
import type { PodResource } from '../resources/snapshot.ts'
import { type Found, placeAt } from './found.ts'
import { isOwnPod, type Seeker } from './hosts.ts'
import { problem } from './problems.ts'
import { spelled } from './service-places.ts'

/** A backend's `pods`: those that are ready, by their first address. None at all is no mistake: they may be still to come. */
export function findPodsBySelector(spec: BackendPods, object: string, at: string, seeker: Seeker): Found {
  const pods = taking(seeker.lookups.podsWith(seeker.namespace, spec.selector.matchLabels))
  const targets = pods.flatMap((pod) => {
    const [[address], port] = [pod.ips, portOf(pod, spec)]
    return address === undefined || port === undefined ? [] : [{ address, port }]
  })
  const permitted = targets.filter(({ address }) => seeker.policy.permits(address, isOwnPod(seeker)))
  const [refused, ...more] = targets.filter((target) => !permitted.includes(target))
  const portless = pods.length > 0 && pods.every((pod) => portOf(pod, spec) === undefined)
  return {
    places: permitted.map(({ address, port }) => placeAt(address, port, spec)),
    problems: [
      ...(portless ? [problem('PodPortNotFound', object, `${at}.port`, spelled(spec.port))] : []),
      ...(refused === undefined
        ? []
        : [problem('AddressForbidden', object, at, refused.address, more.length === 0 ? '' : String(more.length))]),
    ],
  }
}

const portOf = (pod: PodResource, { port }: BackendPods): number | undefined =>
  port.number ?? pod.ports.find(({ name }) => name === port.name)?.port

/** Those that end take new requests only when there are no others. */
function taking(pods: readonly PodResource[]): readonly PodResource[] {
  const ready = pods.filter((pod) => pod.phase === 'Running' && pod.ready)
  const open = ready.filter(({ terminating }) => !terminating)
  return open.length > 0 ? open : ready
}
