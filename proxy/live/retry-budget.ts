const WINDOW_MS = 10_000
const DEFAULT_PERCENT = 20
/** A quiet model may always retry a little, or one failure in a silent minute could not be hidden. */
const ALWAYS_PER_WINDOW = 10

/** Extra load by retries: at most a share of a model's requests within the running and the last ten seconds. */
export class RetryBudget {
  #windowStartMs = 0
  #requests = { now: 0, before: 0 }
  #retries = { now: 0, before: 0 }

  request(nowMs: number): void {
    this.#roll(nowMs)
    this.#requests.now++
  }

  /** Whether one more retry fits. */
  allows(nowMs: number, percent: number = DEFAULT_PERCENT): boolean {
    this.#roll(nowMs)
    const requests = this.#requests.now + this.#requests.before
    const retries = this.#retries.now + this.#retries.before
    return percent > 0 && retries < Math.max(ALWAYS_PER_WINDOW, (requests * percent) / 100)
  }

  retry(nowMs: number): void {
    this.#roll(nowMs)
    this.#retries.now++
  }

  /** The retry that was counted last goes to another model: no load here. */
  giveBack(nowMs: number): void {
    this.#roll(nowMs)
    if (this.#retries.now > 0) this.#retries.now--
  }

  #roll(nowMs: number): void {
    const windows = Math.floor((nowMs - this.#windowStartMs) / WINDOW_MS)
    if (windows < 1) return
    this.#requests = { now: 0, before: windows === 1 ? this.#requests.now : 0 }
    this.#retries = { now: 0, before: windows === 1 ? this.#retries.now : 0 }
    this.#windowStartMs += windows * WINDOW_MS
  }
}
