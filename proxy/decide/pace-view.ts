/** How fast an endpoint has been answering, as a decision sees it. Who learns it: `proxy/live/pace.ts`. */

/** Upper bounds of the prompt-size buckets, in estimated tokens. The last one is open. */
const PROMPT_BUCKETS: readonly number[] = [512, 2048, 8192, 32_768]
export const BUCKETS = PROMPT_BUCKETS.length + 1

export function bucketOf(promptTokens: number): number {
  let bucket = 0
  for (const bound of PROMPT_BUCKETS) {
    if (promptTokens <= bound) return bucket
    bucket++
  }
  return bucket
}

/** Time-decayed averages for prompts of one size. */
export interface Pace {
  readonly firstTokenMs: number
  /** Of each further token; 0 = its answers have none, or nobody counts them. */
  readonly tokenMs: number
  /** What they rest on: 1 = one answer just now. 0 = nothing is known. */
  readonly weight: number
  /** Of the newest answer. */
  readonly atMs: number
}

/** By bucket. */
export type Paces = readonly Pace[]

export const NO_PACE: Pace = { firstTokenMs: 0, tokenMs: 0, weight: 0, atMs: 0 }
export const NO_PACES: Paces = Array.from({ length: BUCKETS }, () => NO_PACE)

/** For an answer that nobody bounds. */
export const USUAL_OUTPUT_TOKENS = 256
/** Routes whose answers are no text that comes token by token have `tokenMs` 0. */
export const outputTokensOf = (maxOutputTokens: number | undefined): number =>
  Math.min(maxOutputTokens ?? USUAL_OUTPUT_TOKENS, USUAL_OUTPUT_TOKENS)

/** How many answers the word of the peers is worth. */
const PEERS_WEIGHT = 0.5
/** An endpoint that has been silent for so long is believed half as much. */
const FORGET_MS = 20_000

/** Until the whole answer is there, as this endpoint has been doing; NaN = nothing is known. */
export const answerMs = ({ firstTokenMs, tokenMs, weight }: Pace, outputTokens: number): number =>
  weight > 0 ? firstTokenMs + tokenMs * outputTokens : Number.NaN

/** The same as far as it is to be believed now; the rest is what its peers do. Between times it is their ratio that counts. */
export function blendedMs(pace: Pace, ownMs: number, peersMs: number, nowMs: number): number {
  if (pace.weight === 0) return peersMs
  if (Number.isNaN(peersMs) || ownMs <= 0) return ownMs
  const silentMs = Math.max(0, nowMs - pace.atMs)
  const weight = pace.weight / (1 + silentMs / FORGET_MS)
  return ownMs * (peersMs / ownMs) ** (PEERS_WEIGHT / (weight + PEERS_WEIGHT))
}

/** Of those that are known; NaN = none is. */
export function medianOf(values: readonly number[]): number {
  const known: number[] = []
  for (const value of values) if (!Number.isNaN(value)) known.push(value)
  return known.length === 0 ? Number.NaN : nth(known, known.length >> 1)
}

/** The value that would stand at `index` if they were sorted (Hoare's selection); changes their order. */
export function nth(values: number[], index: number): number {
  let [low, high] = [0, values.length - 1]
  while (low < high) {
    const pivot = values[(low + high) >> 1] ?? 0
    let [left, right] = [low, high]
    while (left <= right) {
      while ((values[left] ?? 0) < pivot) left++
      while ((values[right] ?? 0) > pivot) right--
      if (left > right) break
      const swapped = values[left] ?? 0
      values[left++] = values[right] ?? 0
      values[right--] = swapped
    }
    if (index <= right) high = right
    else if (index >= left) low = left
    else break
  }
  return values[index] ?? Number.NaN
}
