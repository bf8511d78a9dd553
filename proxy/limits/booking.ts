import type { Pricing } from '../routing-table/v1.ts'

/** What an answer used, as its engine reports it; cached tokens are inside `inputTokens`. */
export interface Used {
  readonly inputTokens: number
  readonly outputTokens: number
  readonly cachedInputTokens: number
  readonly cacheWriteTokens?: number
  /** Of the backend that served; absent or undefined = unknown. Only client limits on cost read it. */
  readonly pricing?: Pricing | undefined
  /** Of all attempts of the request, where another one has cost something too. Absent = by the pricing. */
  readonly costUsd?: number
}

/** Room taken in limits. Ended once: the first call of either kind counts, later ones do nothing. */
export interface Booking {
  /** The request was served. Undefined = nobody said what it used: what was estimated stays booked. */
  settle(used: Used | undefined, nowMs: number): void
  /** It was not served: nothing was used. */
  refund(nowMs: number): void
}
