import type { CompiledEndpoint, CompiledPolicy } from '../routing-table/compiled.ts'
import type { ClientLimits, ModelLimits, Ref } from '../routing-table/v1.ts'
import type { Counted } from './tokens-view.ts'

/** What says which limits a client has: the rule, where it has some of its own, else its policy. */
export interface Limiting {
  /** Names the rule's own limits, and its round robin's cursor: "namespace/policy/rule". */
  readonly key: string
  /** Undefined = the model was asked for by name: only its own limits hold. */
  readonly policy: CompiledPolicy | undefined
  /** Absent = those of the policy's clients. */
  readonly limits?: ClientLimits
}

/** As much of a request's facts as limits need to know. */
export interface LimitedRequest extends Counted {
  readonly route: string
  readonly maxOutputTokens: number | undefined
  readonly client: { readonly name: string | undefined; readonly namespace: string }
}

/** A limit that has no room for a request now. */
export interface Shortage {
  /** Of the meter or counter that is short; stable, the same in every proxy. */
  readonly key: string
  readonly limit: keyof ModelLimits | keyof ClientLimits
  /** Of the whole installation. */
  readonly max: number
  /** What this proxy could still admit. */
  readonly remaining: number
  /** What the request needs. */
  readonly needed: number
  /** Until there is room; Infinity = the request is larger than the whole limit. */
  readonly resetMs: number
  /** This proxy holds only a share of the limit: there may be room as soon as it gets more. */
  readonly leased: boolean
}

/** Read-only view of limits and quotas; their owner books, decide never does. */
export interface LimitsView {
  /** Undefined = the model's own limits have room. */
  modelShortage(model: Ref, request: LimitedRequest, nowMs: number): Shortage | undefined
  /** Of all limits that the client has under the rule the one that takes longest to have room. */
  clientShortage(rule: Limiting, request: LimitedRequest, nowMs: number): Shortage | undefined
  /** 0 to 1: the part of its share an endpoint should still get, by what its upstream's quota has left. 0 = parked until the reset. */
  headroom(endpoint: CompiledEndpoint, nowMs: number): number
  /** 0 to 100: how much of its upstream's quota is used, as far as known. */
  quotaPercent(endpoint: CompiledEndpoint, nowMs: number): number
}
