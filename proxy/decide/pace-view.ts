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

/** The same as far as it is to be believed now; the rest is what its peers do. */
export function blendedMs(pace: Pace, ownMs: number, peersMs: number, nowMs: number): number {
  if (pace.weight === 0) return peersMs
  if (Number.isNaN(peersMs)) return ownMs
  const silentMs = Math.max(0, nowMs - pace.atMs)
  const weight = pace.weight / (1 + silentMs / FORGET_MS)
  return (weight * ownMs + PEERS_WEIGHT * peersMs) / (weight + PEERS_WEIGHT)
}

/** Of those that are known; NaN = none is. Changes the order of `values`. */
export function medianOf(values: number[]): number {
  const known = values.filter((value) => !Number.isNaN(value)).sort((a, b) => a - b)
  return known[Math.floor(known.length / 2)] ?? Number.NaN
}
