import type { Facts, LiveView } from '../decide/input.ts'
import { knownCostOf, pricesAt } from '../decide/price.ts'
import type { Booking, Used } from '../limits/booking.ts'
import type { CompiledEndpoint } from '../routing-table/compiled.ts'
import type { AttemptOutcome } from './attempt.ts'

/** `estimated`: nobody reported it. `unknown`: the answer is whole, and says nothing of its tokens. */
export type UsedByAttempt = (Used & { readonly estimated: boolean }) | 'unknown'

/** What an attempt used that gave the client something; undefined = it gave nothing, and nothing is counted. */
export function usedBy(
  outcome: AttemptOutcome,
  facts: Facts,
  endpoint: CompiledEndpoint,
  live: Pick<LiveView, 'endpoint' | 'tokens'>,
): UsedByAttempt | undefined {
  const pricing = pricesAt(endpoint, live)
  if (outcome.usage !== undefined) return { ...outcome.usage, pricing, estimated: false }
  if (outcome.kind === 'answered') return 'unknown'
  // A stream that broke or was left: as many tokens as it had events, which is a good guess for all engines.
  if (outcome.kind === 'failed' || outcome.firstTokenMs === undefined) return undefined
  return {
    inputTokens: live.tokens.of(endpoint.model, facts),
    outputTokens: outcome.events,
    cachedInputTokens: 0,
    pricing,
    estimated: true,
  }
}

/** USD; undefined = nothing was used, or nobody knows how much, or at what price. */
export function costUsdOf({ billed }: AttemptOutcome, used: UsedByAttempt | undefined): number | undefined {
  return used === undefined || used === 'unknown' ? undefined : knownCostOf(billed ?? used, used.pricing)
}

/** Ends a booking by what was used. */
export function settle(booking: Booking, used: UsedByAttempt | undefined, nowMs: number): void {
  if (used === undefined) booking.refund(nowMs)
  else booking.settle(used === 'unknown' ? undefined : used, nowMs)
}
