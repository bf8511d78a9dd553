/** Answers so long ago count half: a price should not follow every burst. */
const HALF_LIFE_MS = 300_000
/** Before so much has been seen of it nothing is said. */
const ENOUGH_MS = 1000

/** Tokens that an endpoint writes in a second while it has something of ours to do, over the last minutes. */
export class Throughput {
  #tokens = 0
  #busyMs = 0
  #atMs = 0
  #fromMs: number | undefined

  /** The first of the requests in flight. */
  begins(nowMs: number): void {
    this.#fromMs = nowMs
  }

  /** One of them has been answered. */
  answered(outputTokens: number, nowMs: number): void {
    const kept = 2 ** (-Math.max(0, nowMs - this.#atMs) / HALF_LIFE_MS)
    this.#tokens = this.#tokens * kept + outputTokens
    this.#busyMs = this.#busyMs * kept + Math.max(0, nowMs - (this.#fromMs ?? nowMs))
    this.#atMs = nowMs
    this.#fromMs = nowMs
  }

  /** Undefined = not known yet. */
  get perSecond(): number | undefined {
    return this.#busyMs < ENOUGH_MS || this.#tokens <= 0 ? undefined : (this.#tokens / this.#busyMs) * 1000
  }
}
