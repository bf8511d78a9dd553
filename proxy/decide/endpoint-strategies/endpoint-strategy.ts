import type { CompiledEndpoint } from '../../routing-table/compiled.ts'
import type { Kept } from '../affinity/kept.ts'
import type { CursorStep } from '../decision.ts'
import type { Facts, Input } from '../input.ts'
import type { ModelView } from '../model-view.ts'

/** What an endpoint strategy sees. Without `facts` nothing is known of the request: it passes through. */
export type SeenByEndpoints = Pick<Input, 'live' | 'nowMs'> & { readonly facts?: Facts | undefined }

/**
 * One of `eligible`, two or more that rules have left, all of one backend priority. Chance comes from `roll` alone. Quotas' headroom and
 * ramps are the strategy's to heed: `share.ts` has the weight that is left of them.
 */
export interface Question {
  /** The model's ref: names the round robin's cursor. */
  readonly key: string
  readonly eligible: readonly CompiledEndpoint[]
  readonly first: CompiledEndpoint
  /** Of the whole model. */
  readonly view: ModelView
  readonly input: SeenByEndpoints
  readonly roll: () => number
}

export interface Picked {
  readonly endpoint: CompiledEndpoint
  /** In a few words; for clients too, so no address. */
  readonly why: string
  /** Of strategies that keep requests together. */
  readonly affinity?: Kept
  readonly steps: readonly CursorStep[]
}

export type EndpointStrategyOf = (question: Question) => Picked

export const NO_STEPS: readonly CursorStep[] = []
