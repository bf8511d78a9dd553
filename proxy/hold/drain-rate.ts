const KEPT = 32
const WINDOW_MS = 60_000
const MIN_MS = 1000
const MAX_MS = 60_000
/** Nobody has left the queue lately: nothing is known but that it is slow. */
const UNKNOWN_MS = 10_000

/** How fast a queue empties: the times of its last 32 departures, those of the last minute counted. */
export class DrainRate {
  readonly #times: number[] = []

  add(nowMs: number): void {
    this.#times.push(nowMs)
    if (this.#times.length > KEPT) this.#times.shift()
  }

  /** How long a queue of this length will take to empty, 1 s to 60 s. */
  waitMs(waiting: number, nowMs: number): number {
    const recent = this.#times.filter((time) => nowMs - time <= WINDOW_MS)
    const [first] = recent
    if (first === undefined) return UNKNOWN_MS
    const eachMs = (nowMs - first) / recent.length
    return Math.min(MAX_MS, Math.max(MIN_MS, eachMs * waiting))
  }
}
