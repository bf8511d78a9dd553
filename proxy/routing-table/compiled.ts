import type { CelProgram } from './cel/cel.ts'
import type { EndpointsById } from './endpoints-by-id.ts'
import type { Access, Backend, ClientKey, EndpointSet, Match, Model, Policy, PolicyRule, Ref, RoutingTable } from './v1.ts'

/** An endpoint with all that an attempt needs: looked up once a table, not once a request. */
export interface CompiledEndpoint {
  readonly id: string
  readonly origin: string
  readonly basePath: string
  readonly model: Ref
  readonly backend: Backend
  /** This endpoint's part of its backend's weight. */
  readonly weight: number
  /** A Service's own address: for when no other endpoint can take a request. */
  readonly lastResort: boolean
}

export interface CompiledModel {
  readonly entry: Model
  readonly namespace: string
  readonly name: string
  /** Of all backends, lowest priority first, without the last resorts. */
  readonly endpoints: readonly CompiledEndpoint[]
  /** The same with the last resorts, each behind its backend's own. */
  readonly withLastResorts: readonly CompiledEndpoint[]
  /** Alias → what the engine calls it. */
  readonly aliasUpstream: ReadonlyMap<string, string>
}

export interface CompiledTarget {
  readonly model: CompiledModel
  readonly weight: number
}

/** `holds`: of its CEL expression; undefined where it has none. It throws where the text is none. */
export interface CompiledMatch {
  readonly entry: Match
  readonly holds: CelProgram | undefined
}

/** Resolved when it is needed, as the other policy changes by itself. */
export interface CompiledPolicyTarget {
  readonly policy: Ref
}

export interface CompiledRule {
  readonly entry: PolicyRule
  readonly matches: readonly CompiledMatch[]
  readonly targets: readonly CompiledTarget[]
  readonly chain: readonly (CompiledTarget | CompiledPolicyTarget)[]
}

export interface CompiledPolicy {
  readonly entry: Policy
  readonly namespace: string
  readonly name: string
  readonly rules: readonly CompiledRule[]
}

/** Who answers to a name. Within one name the oldest first, then by ref: the order of the table means nothing. */
export type Claim =
  | { readonly kind: 'model'; readonly namespace: string; readonly access: Access; readonly model: CompiledModel }
  | { readonly kind: 'policy'; readonly namespace: string; readonly access: Access; readonly policy: CompiledPolicy }

export interface CompiledTable {
  readonly table: RoutingTable
  readonly claims: ReadonlyMap<string, readonly Claim[]>
  readonly models: ReadonlyMap<Ref, CompiledModel>
  readonly policies: ReadonlyMap<Ref, CompiledPolicy>
  /** By model: what its endpoints were made of. */
  readonly sets: ReadonlyMap<Ref, readonly EndpointSet[]>
  /** By id, last resorts included. An id is its model's alone. */
  readonly endpoints: EndpointsById<CompiledEndpoint>
  readonly credentials: ReadonlyMap<string, string>
  /** By lower-case hex SHA-256. */
  readonly clientKeys: ReadonlyMap<string, ClientKey>
}
