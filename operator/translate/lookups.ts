import type {
  EndpointSliceResource,
  Labels,
  ObjectKey,
  PodResource,
  Resources,
  SecretResource,
  ServiceResource,
} from '../resources/snapshot.ts'
import { addressKey, type ClusterIndex } from './cluster-index.ts'

/** What the translation of one model may ask of the rest. */
export interface Lookups {
  secret(key: ObjectKey): SecretResource | undefined
  holdsClientKeys(key: ObjectKey): boolean
  service(key: ObjectKey): ServiceResource | undefined
  slices(key: ObjectKey): readonly EndpointSliceResource[]
  /** Whether a pod of this namespace has the address. */
  isPodAddress(namespace: string, address: string): boolean
  /** The Services of this namespace that have the address: one, if any, but for the moment of a change. */
  servicesAt(namespace: string, address: string): readonly ObjectKey[]
  /** Pods of this namespace with all these labels, in the order of their names. */
  podsWith(namespace: string, labels: Labels): readonly PodResource[]
}

/** What it asked: while the answers stay the same, so does its translation. */
export interface Uses {
  readonly secrets: ReadonlySet<ObjectKey>
  readonly services: ReadonlySet<ObjectKey>
  /** `addressKey` of each. */
  readonly addresses: ReadonlySet<string>
  readonly selectors: readonly { readonly namespace: string; readonly labels: Labels }[]
}

export function noteLookups(resources: Resources, index: ClusterIndex): { readonly lookups: Lookups; readonly uses: Uses } {
  const secrets = new Set<ObjectKey>()
  const services = new Set<ObjectKey>()
  const addresses = new Set<string>()
  const selectors: Uses['selectors'][number][] = []
  const lookups: Lookups = {
    secret: (key) => resources.secrets.get(note(secrets, key)),
    holdsClientKeys: (key) => resources.clientKeys.has(note(secrets, key)),
    service: (key) => resources.services.get(note(services, key)),
    slices: (key) => resources.slices.get(note(services, key)) ?? [],
    isPodAddress: (namespace, address) => index.isPod(note(addresses, addressKey(namespace, address))),
    servicesAt: (namespace, address) => index.servicesAt(note(addresses, addressKey(namespace, address))),
    podsWith(namespace, labels) {
      selectors.push({ namespace, labels })
      return index.podsWith(namespace, labels)
    },
  }
  return { lookups, uses: { secrets, services, addresses, selectors } }
}

function note(seen: Set<string>, key: string): string {
  seen.add(key)
  return key
}
