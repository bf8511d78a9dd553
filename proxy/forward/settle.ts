import type { Facts } from '../decide/input.ts'
import type { Booking, Used } from '../limits/booking.ts'
import type { CompiledEndpoint } from '../routing-table/compiled.ts'
import type { AttemptOutcome } from './attempt.ts'

/** What an attempt used that gave the client something; undefined = it gave nothing, and nothing is counted. */
export function usedBy(outcome: AttemptOutcome, facts: Facts, { backend: { pricing } }: CompiledEndpoint): Used | 'unknown' | undefined {
  if (outcome.usage !== undefined) return { ...outcome.usage, pricing }
  if (outcome.kind === 'answered') return 'unknown'
  // A stream that broke or was left: as many tokens as it had events, which is a good guess for all engines.
  if (outcome.kind === 'failed' || outcome.firstTokenMs === undefined) return undefined
  return { inputTokens: facts.promptTokens, outputTokens: outcome.events, cachedInputTokens: 0, pricing }
}

/** Ends a booking by how its attempt ended. */
export function settle(
  booking: Booking,
  { outcome, facts, endpoint }: { outcome: AttemptOutcome; facts: Facts; endpoint: CompiledEndpoint },
  nowMs: number,
): void {
  const used = usedBy(outcome, facts, endpoint)
  if (used === undefined) booking.refund(nowMs)
  else booking.settle(used === 'unknown' ? undefined : used, nowMs)
}
