import type { CompiledEndpoint, CompiledPolicy } from '../routing-table/compiled.ts'
import type { ClientLimits, ModelLimits, Ref } from '../routing-table/v1.ts'
import type { Client } from './input.ts'

/** What a request will use, estimated before it is sent. */
export interface Demand {
  /** Prompt and answer together, with room for what an estimate misses. */
  readonly tokens: number
  readonly inputTokens: number
  readonly outputTokens: number
}

/** A limit that has no room for a request now. */
export interface Shortage {
  readonly limit: keyof ModelLimits | keyof ClientLimits
  readonly max: number
  readonly remaining: number
  /** Until there is room; Infinity = the request is larger than the whole limit. */
  readonly resetMs: number
}

/** Read-only view of limits and quotas; their owner books, decide never does. */
export interface LimitsView {
  /** Undefined = the model's own limits have room. */
  modelShortage(model: Ref, demand: Demand, nowMs: number): Shortage | undefined
  /** Of all limits of the policy that match the client the one that takes longest to have room. */
  clientShortage(policy: CompiledPolicy, client: Client, demand: Demand, nowMs: number): Shortage | undefined
  /** 0 to 1: the part of its share an endpoint should still get, by what its upstream's quota has left. 0 = parked until the reset. */
  headroom(endpoint: CompiledEndpoint, nowMs: number): number
}
