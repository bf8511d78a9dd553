/**
 * The shapes of what the cluster, or a folder of YAML, says. `Resources` is all of it at one moment: made by `watch/`, read by
 * `translate/`, changed by nobody. Objects in it have passed their CRD's schema and rules and carry its defaults.
 * PURE: types and small values only, no I/O.
 */
import type { LlamaModelSpec, RoutingPolicySpec } from './crds.generated.ts'
import type { SecretValue } from './secret-value.ts'

/** "namespace/name". */
export type ObjectKey = string

export type Labels = Readonly<Record<string, string>>

export interface Metadata {
  readonly namespace: string
  readonly name: string
  /** Raised with each change of `spec`. */
  readonly generation: number
  /** Absent in files: there namespace and name alone decide who comes first. */
  readonly createdAtMs?: number
  readonly labels: Labels
  readonly annotations: Labels
}

export interface ModelResource {
  readonly kind: 'LlamaModel'
  readonly metadata: Metadata
  readonly spec: LlamaModelSpec
}

export interface PolicyResource {
  readonly kind: 'RoutingPolicy'
  readonly metadata: Metadata
  readonly spec: RoutingPolicySpec
}

/** A Secret that backends may name. */
export interface SecretResource {
  readonly metadata: Metadata
  readonly entries: Readonly<Record<string, SecretValue>>
}

/** One entry of a client-key Secret. The key itself is gone: `watch/` digests it (hashing is an effect there), translate judges the rest. */
export interface ClientKeyEntry {
  readonly name: string
  /** Lower-case hex SHA-256 of the key, without a line break at its end. */
  readonly sha256: string
  /** Length of the key in characters. */
  readonly characters: number
  /** Whether a client can send it in a header at all: printable ASCII without spaces. */
  readonly sendable: boolean
}

/** A Secret labelled `llamaswap.dev/api-key: "true"`. */
export interface ClientKeyResource {
  readonly metadata: Metadata
  readonly entries: readonly ClientKeyEntry[]
}

/** What the installation decides, as far as translate needs it. */
export interface Settings {
  /** Standalone: a virtual model `auto` over all Public models, unless an object claims that name. */
  readonly builtInAuto: boolean
}

export interface Resources {
  readonly models: ReadonlyMap<ObjectKey, ModelResource>
  readonly policies: ReadonlyMap<ObjectKey, PolicyResource>
  readonly secrets: ReadonlyMap<ObjectKey, SecretResource>
  readonly clientKeys: ReadonlyMap<ObjectKey, ClientKeyResource>
  /** Name → labels, `kubernetes.io/metadata.name` included. */
  readonly namespaces: ReadonlyMap<string, Labels>
  readonly settings: Settings
}

export const NAMESPACE_NAME_LABEL = 'kubernetes.io/metadata.name'
/** On a Secret: its entries are client keys. */
export const CLIENT_KEY_LABEL = 'llamaswap.dev/api-key'
/** On a client-key Secret: when its keys stop being valid, as RFC 3339. */
export const EXPIRES_ANNOTATION = 'llamaswap.dev/expires'
/** On a LlamaModel: its engines are simulated, and answers say so. */
export const SIMULATED_LABEL = 'llamaswap.dev/simulated'

export const objectKey = (metadata: Pick<Metadata, 'namespace' | 'name'>): ObjectKey => `${metadata.namespace}/${metadata.name}`
