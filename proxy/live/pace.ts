import { BUCKETS, bucketOf, type Pace } from '../decide/pace-view.ts'

/** Answers so long ago count half. */
const HALF_LIFE_MS = 10_000
/** How much a bucket's neighbours have their say, by steps away. */
const KERNEL: readonly number[] = Array.from({ length: BUCKETS }, (_, steps) => 8 ** -steps)
/** However busy it is, an endpoint that falls silent is not believed for longer than after so many answers. */
const MAX_WEIGHT = 8
/** Tokens of a prompt are read so much faster than others are written: only to part a time of which nothing else is known. */
const READ_FASTER = 20

/** What one attempt has shown. */
export interface Answered {
  readonly promptTokens: number
  readonly outputTokens: number
  /** From the attempt's start to its first token; undefined = it came whole, and all is in `wholeMs`. */
  readonly firstTokenMs: number | undefined
  readonly wholeMs: number
}

/** An average whose past fades with time; the same half-life whatever the rate of its values. */
export class DecayedMean {
  #sum = 0
  #weight = 0
  #atMs = 0

  add(value: number, nowMs: number): void {
    const kept = this.#kept(nowMs)
    this.#sum = this.#sum * kept + value
    this.#weight = this.#weight * kept + 1
    this.#atMs = Math.max(nowMs, this.#atMs)
  }

  get known(): boolean {
    return this.#weight > 0
  }

  get mean(): number {
    return this.#weight > 0 ? this.#sum / this.#weight : 0
  }

  weight(nowMs: number): number {
    return this.#weight * this.#kept(nowMs)
  }

  #kept(nowMs: number): number {
    return 2 ** (-Math.max(0, nowMs - this.#atMs) / HALF_LIFE_MS)
  }
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] }

/**
 * Times to first token and times per token of one endpoint by prompt size. A bucket that has little of its own borrows from its neighbours.
 * Bounded: five buckets. `paces` changes in place.
 */
export class PaceBook {
  readonly paces: readonly Mutable<Pace>[] = Array.from({ length: BUCKETS }, () => ({ firstTokenMs: 0, tokenMs: 0, weight: 0, atMs: 0 }))
  readonly #first = Array.from({ length: BUCKETS }, () => new DecayedMean())
  readonly #token = Array.from({ length: BUCKETS }, () => new DecayedMean())

  add(answered: Answered, nowMs: number): void {
    const bucket = bucketOf(answered.promptTokens)
    const { firstTokenMs, tokenMs } = this.#parted(answered, bucket)
    this.#first[bucket]?.add(firstTokenMs, nowMs)
    if (answered.outputTokens > 1) this.#token[bucket]?.add(tokenMs, nowMs)
    this.#borrow(nowMs)
  }

  #borrow(nowMs: number): void {
    const firstWeights = this.#first.map((mean) => mean.weight(nowMs))
    const tokenWeights = this.#token.map((mean) => mean.weight(nowMs))
    for (const [at, pace] of this.paces.entries()) {
      const first = borrowed(this.#first, firstWeights, at)
      pace.firstTokenMs = first.mean
      pace.tokenMs = borrowed(this.#token, tokenWeights, at).mean
      pace.weight = Math.min(MAX_WEIGHT, first.weight)
      pace.atMs = nowMs
    }
  }

  /** It took at least so long, and gave nothing: believed only where that is longer than usual. */
  silent(promptTokens: number, waitedMs: number, nowMs: number): void {
    const pace = this.paces[bucketOf(promptTokens)]
    if (pace !== undefined && waitedMs > pace.firstTokenMs)
      this.add({ promptTokens, outputTokens: 0, firstTokenMs: waitedMs, wholeMs: waitedMs }, nowMs)
  }

  /** What came whole is parted as the endpoint's other answers were. */
  #parted({ promptTokens, outputTokens, firstTokenMs, wholeMs }: Answered, bucket: number): { firstTokenMs: number; tokenMs: number } {
    const further = Math.max(1, outputTokens - 1)
    if (firstTokenMs !== undefined) return { firstTokenMs, tokenMs: Math.max(0, wholeMs - firstTokenMs) / further }
    if (outputTokens <= 1) return { firstTokenMs: wholeMs, tokenMs: 0 }
    const pace = this.paces[bucket]
    const known = pace !== undefined && pace.tokenMs > 0
    const first = known ? pace.firstTokenMs : Math.max(1, promptTokens) / READ_FASTER
    const token = known ? pace.tokenMs : 1
    const scale = wholeMs / (first + token * further)
    return { firstTokenMs: first * scale, tokenMs: token * scale }
  }
}

function borrowed(means: readonly DecayedMean[], weights: readonly number[], bucket: number): { mean: number; weight: number } {
  let [sum, weight] = [0, 0]
  for (let at = 0; at < BUCKETS; at++) {
    const part = (weights[at] ?? 0) * (KERNEL[Math.abs(at - bucket)] ?? 0)
    sum += part * (means[at]?.mean ?? 0)
    weight += part
  }
  return { mean: weight > 0 ? sum / weight : 0, weight }
}
