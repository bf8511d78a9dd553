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

export interface ServicePort {
  /** "" = the Service's only, unnamed port. */
  readonly name: string
  readonly port: number
}

/** The fields of a Service that routing needs. */
export interface ServiceResource {
  readonly metadata: Pick<Metadata, 'namespace' | 'name'>
  readonly type: 'ClusterIP' | 'NodePort' | 'LoadBalancer' | 'ExternalName'
  /** One per address family; empty = headless. */
  readonly clusterIPs: readonly string[]
  readonly externalName?: string
  readonly ports: readonly ServicePort[]
}

/** One endpoint of a slice. Absent conditions were read as the API documents them: ready and serving true, terminating false. */
export interface SliceEndpoint {
  readonly addresses: readonly string[]
  readonly ready: boolean
  readonly serving: boolean
  readonly terminating: boolean
}

/** The fields of an EndpointSlice that routing needs. */
export interface EndpointSliceResource {
  readonly metadata: Pick<Metadata, 'namespace' | 'name'>
  /** Name of the Service it belongs to (label `kubernetes.io/service-name`). */
  readonly service: string
  readonly addressType: 'IPv4' | 'IPv6' | 'FQDN'
  /** Named as the Service names them; `port` absent = all ports, which no backend can use. */
  readonly ports: readonly { readonly name: string; readonly port?: number }[]
  readonly endpoints: readonly SliceEndpoint[]
}

/** The fields of a Pod that routing and identity need. */
export interface PodResource {
  readonly metadata: Pick<Metadata, 'namespace' | 'name' | 'labels'>
  readonly uid: string
  readonly serviceAccount: string
  readonly phase: 'Pending' | 'Running' | 'Succeeded' | 'Failed' | 'Unknown'
  readonly ready: boolean
  /** It has a deletion timestamp. */
  readonly terminating: boolean
  /** One per address family. */
  readonly ips: readonly string[]
  /** Named container ports, native sidecars' included. */
  readonly ports: readonly ServicePort[]
  /** Of one that asks for a sidecar of ours or has one. */
  readonly sidecar?: {
    readonly asked: boolean
    readonly has: boolean
    /** Of what was injected; absent = none was, or by hand. */
    readonly version?: string
    /** Why it was left without. */
    readonly refused?: string
  }
}

/** Keys with which the cluster signs ServiceAccount tokens: proxies verify clients' tokens with them. */
export interface TokenIssuer {
  readonly issuer: string
  /** JSON Web Keys, public parts only. */
  readonly keys: readonly Readonly<Record<string, unknown>>[]
}

/** Which addresses backends may have (the installation decides, not the schema). CIDRs; `allow` wins over `deny`. */
export interface AddressSettings {
  /**
   * `Cluster`: public addresses, and pod and Service addresses of the model's own namespace; never loopback, link-local, metadata or the
   * API server. `Standalone`: all but link-local and metadata.
   */
  readonly base: 'Cluster' | 'Standalone'
  readonly allow: readonly string[]
  readonly deny: readonly string[]
  /** Addresses of the API server, denied in a cluster. */
  readonly apiServer: readonly string[]
}

/** What the installation decides, as far as translate needs it. */
export interface Settings {
  readonly addresses: AddressSettings
  /** Standalone: a virtual model `auto` over all Public models, unless an object claims that name. */
  readonly builtInAuto: boolean
}

/** What files on one host are read with: any address but link-local and metadata, and an `auto`. */
export const STANDALONE_SETTINGS: Settings = {
  addresses: { base: 'Standalone', allow: [], deny: [], apiServer: [] },
  builtInAuto: true,
}

export interface Resources {
  readonly models: ReadonlyMap<ObjectKey, ModelResource>
  readonly policies: ReadonlyMap<ObjectKey, PolicyResource>
  readonly secrets: ReadonlyMap<ObjectKey, SecretResource>
  readonly clientKeys: ReadonlyMap<ObjectKey, ClientKeyResource>
  /** Name → labels, `kubernetes.io/metadata.name` included. */
  readonly namespaces: ReadonlyMap<string, Labels>
  readonly services: ReadonlyMap<ObjectKey, ServiceResource>
  /** By the key of the Service they belong to, in the order of their names. */
  readonly slices: ReadonlyMap<ObjectKey, readonly EndpointSliceResource[]>
  readonly pods: ReadonlyMap<ObjectKey, PodResource>
  readonly tokenIssuers: readonly TokenIssuer[]
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
