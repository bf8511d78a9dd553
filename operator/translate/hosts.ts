import type { SliceEndpoint } from '../resources/snapshot.ts'
import type { AddressPolicy } from './address-policy.ts'
import type { Lookups } from './lookups.ts'

/** Whose model it is, and what it may ask. */
export interface Seeker {
  readonly namespace: string
  readonly lookups: Lookups
  readonly policy: AddressPolicy
}

/** `addresses`: the private ones that the name may resolve to. `Unqualified`: a name that means another host in each namespace. */
export type HostVerdict = { readonly addresses: readonly string[] } | 'Forbidden' | 'Unqualified'

const METADATA_HOSTS: readonly string[] = ['metadata.google.internal', 'metadata']
/** NAME.NAMESPACE.svc, with the cluster's domain or without, and with a pod's own name before it. */
const SERVICE_HOST = /^(?:[^.]+\.)*([^.]+)\.([^.]+)\.svc(?:\.cluster\.local)?$/
const IP_HOST = /^\[(.*)\]$|^(\d+\.\d+\.\d+\.\d+)$/
/** What the table takes. */
const MAX_ADDRESSES = 1000

/**
 * Judges a URL's host, in lower case, as far as that can be done without resolving it; the rest is judged at connect. In a cluster a name
 * that is a Service's must be of the model's own namespace, or all its addresses allowed.
 */
export function judgeHost(spelled: string, seeker: Seeker): HostVerdict {
  const host = spelled.replace(/\.$/, '')
  const { policy } = seeker
  const ip = IP_HOST.exec(host)
  if (ip !== null) return policy.permits(ip[1] ?? ip[2] ?? '', isOwn(seeker)) ? { addresses: [] } : 'Forbidden'
  if (METADATA_HOSTS.includes(host)) return 'Forbidden'
  if (policy.base === 'Standalone') return { addresses: [] }
  if (/(^|\.)localhost$/.test(host)) return policy.allows('127.0.0.1') ? { addresses: [] } : 'Forbidden'
  const [, name, namespace] = SERVICE_HOST.exec(host) ?? []
  if (name !== undefined && namespace !== undefined) return judgeService(`${namespace}/${name}`, namespace, seeker)
  return host.includes('.') ? { addresses: [] } : 'Unqualified'
}

/** For the policy's questions about an address that the model names: a pod's of its namespace, or a Service's that leads nowhere else. */
export const isOwn =
  (seeker: Seeker) =>
  (address: string): boolean => {
    if (isOwnPod(seeker)(address)) return true
    const services = seeker.lookups.servicesAt(seeker.namespace, address)
    return services.length > 0 && services.every((service) => strayAddress(service, seeker) === undefined)
  }

/** For the policy's questions about an address in an EndpointSlice, which anyone may write. */
export const isOwnPod =
  ({ lookups, namespace }: Seeker) =>
  (address: string): boolean =>
    lookups.isPodAddress(namespace, address)

/** An address that a Service's own address may lead to and that its backend may not have: the cluster would send requests there. */
export function strayAddress(key: string, seeker: Seeker): string | undefined {
  const addresses = sliceAddresses(key, seeker.lookups)
  return addresses.find((address) => !seeker.policy.permits(address, isOwnPod(seeker)))
}

function judgeService(key: string, namespace: string, seeker: Seeker): HostVerdict {
  const { lookups, policy } = seeker
  const clusterIPs = lookups.service(key)?.clusterIPs ?? []
  const addresses = clusterIPs.length > 0 ? clusterIPs : sliceAddresses(key, lookups)
  if (namespace !== seeker.namespace)
    return addresses.length > 0 && addresses.every((address) => policy.allows(address)) ? { addresses: [] } : 'Forbidden'
  if (clusterIPs.length > 0 && strayAddress(key, seeker) !== undefined) return 'Forbidden'
  const permitted = addresses.filter((address) => policy.permits(address, isOwn(seeker)))
  return addresses.length > 0 && permitted.length === 0 ? 'Forbidden' : { addresses: permitted.slice(0, MAX_ADDRESSES) }
}

/** Of endpoints that take requests: one that does not yet may be in its slice before its pod is known here. */
const sliceAddresses = (key: string, lookups: Lookups): readonly string[] =>
  lookups.slices(key).flatMap(({ addressType, endpoints }) => (addressType === 'FQDN' ? [] : endpoints.flatMap(openAddresses)))

const openAddresses = ({ addresses, ready, serving }: SliceEndpoint): readonly string[] => (ready || serving ? addresses : [])
