/**
 * How long failed keys wait: each its own doubling time, and all of them together no faster than a bucket of tokens allows.
 * PURE but for what it remembers; times are values.
 */
export interface RetryLimits {
  readonly baseMs: number
  readonly maxMs: number
  /** Retries that may come at once, of all keys; more wait their turn. */
  readonly burst: number
  readonly perSecond: number
}

export const RETRY_LIMITS: RetryLimits = { baseMs: 5, maxMs: 1_000_000, burst: 100, perSecond: 10 }

/** Beyond this many doublings the longest time is reached, whatever the limits. */
const MAX_DOUBLINGS = 40

export class RetryDelays {
  readonly #limits: RetryLimits
  /** Of the keys that fail. */
  readonly #failures = new Map<string, number>()
  #tokens: number
  #atMs: number | undefined

  constructor(limits: RetryLimits) {
    this.#limits = limits
    this.#tokens = limits.burst
  }

  /** Counts a failure of `key` and says how long it is to wait. */
  failed(key: string, nowMs: number): number {
    const failures = this.#failures.get(key) ?? 0
    this.#failures.set(key, failures + 1)
    const { baseMs, maxMs } = this.#limits
    return Math.max(Math.min(maxMs, baseMs * 2 ** Math.min(failures, MAX_DOUBLINGS)), this.#turn(nowMs))
  }

  forget(key: string): void {
    this.#failures.delete(key)
  }

  /** Takes a token, on credit if there is none: the debt is the wait. */
  #turn(nowMs: number): number {
    const { burst, perSecond } = this.#limits
    const earned = this.#atMs === undefined ? 0 : ((nowMs - this.#atMs) / 1000) * perSecond
    this.#tokens = Math.min(burst, this.#tokens + earned) - 1
    this.#atMs = nowMs
    return this.#tokens >= 0 ? 0 : (-this.#tokens / perSecond) * 1000
  }
}
