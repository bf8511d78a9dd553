import type {
  ClientKeyResource,
  EndpointSliceResource,
  Labels,
  ModelResource,
  ObjectKey,
  PodResource,
  PolicyResource,
  Resources,
  SecretResource,
  ServiceResource,
  Settings,
  TokenIssuer,
} from '../resources/snapshot.ts'
import { type ClusterKinds, labelsOfNamespace } from './cluster-kinds.ts'
import { Mirror } from './mirror.ts'
import { SliceIndex } from './slice-index.ts'

export interface ClusterViewOptions {
  readonly kinds: () => ClusterKinds
  /** One that is gone, and is still to be handed on. */
  readonly leavingPod: (key: ObjectKey) => PodResource | undefined
  readonly secret: (key: ObjectKey) => SecretResource | undefined
  readonly settings: Settings
  readonly namespaces: 'all' | readonly string[]
}

/** What changed since the last snapshot is noted here; a snapshot takes over the notes of endpoints, or all of them. */
export class ClusterView {
  readonly #settings: Settings
  readonly #read: () => ClusterKinds
  readonly #index = new SliceIndex()
  readonly #touchedSlices = new Set<ObjectKey>()
  readonly #models: Mirror<ModelResource>
  readonly #policies: Mirror<PolicyResource>
  readonly #secrets: Mirror<SecretResource>
  readonly #clientKeys: Mirror<ClientKeyResource>
  readonly #namespaces: Mirror<Labels>
  readonly #services: Mirror<ServiceResource>
  readonly #slices: Mirror<readonly EndpointSliceResource[]>
  readonly #pods: Mirror<PodResource>

  constructor({ kinds, leavingPod, secret, settings, namespaces }: ClusterViewOptions) {
    this.#settings = settings
    this.#read = kinds
    this.#models = new Mirror((key) => kinds().models.get(key)?.resource)
    this.#policies = new Mirror((key) => kinds().policies.get(key)?.resource)
    this.#secrets = new Mirror(secret)
    this.#clientKeys = new Mirror((key) => kinds().clientKeys.get(key))
    const fixed = new Map(namespaces === 'all' ? [] : namespaces.map((name) => [name, labelsOfNamespace(name)] as const))
    this.#namespaces = new Mirror((name) => fixed.get(name) ?? kinds().namespaces?.get(`/${name}`)?.labels)
    for (const name of fixed.keys()) this.#namespaces.touch(name)
    this.#services = new Mirror((key) => kinds().services.get(key))
    this.#slices = new Mirror((service) => this.#index.of(service))
    this.#pods = new Mirror((key) => kinds().pods.get(key) ?? leavingPod(key))
  }

  touch(kind: keyof ClusterKinds | 'secrets', key: ObjectKey): void {
    if (kind === 'slices') this.#touchedSlices.add(key)
    else if (kind === 'namespaces') this.#namespaces.touch(key.slice(1))
    else this.#mirrorOf(kind).touch(key)
  }

  all(tokenIssuers: readonly TokenIssuer[]): Resources {
    return this.endpoints({
      models: this.#models.current(),
      policies: this.#policies.current(),
      secrets: this.#secrets.current(),
      clientKeys: this.#clientKeys.current(),
      namespaces: this.#namespaces.current(),
      services: this.#services.current(),
      tokenIssuers,
      settings: this.#settings,
    })
  }

  /** The same as before but for slices and pods. */
  endpoints(others: Omit<Resources, 'slices' | 'pods'>): Resources {
    this.#indexSlices()
    return { ...others, slices: this.#slices.current(), pods: this.#pods.current() }
  }

  #indexSlices(): void {
    for (const key of this.#touchedSlices) {
      for (const service of this.#index.put(key, this.#read().slices.get(key))) this.#slices.touch(service)
    }
    this.#touchedSlices.clear()
  }

  #mirrorOf(kind: Exclude<keyof ClusterKinds | 'secrets', 'slices' | 'namespaces'>): { touch(key: ObjectKey): void } {
    const mirrors = {
      models: this.#models,
      policies: this.#policies,
      secrets: this.#secrets,
      clientKeys: this.#clientKeys,
      services: this.#services,
      pods: this.#pods,
    }
    return mirrors[kind]
  }
}
