import type { Input } from '../input.ts'
import type { ModelView } from '../model-view.ts'
import { answerMs, blendedMs, bucketOf, medianOf, outputTokensOf } from '../pace-view.ts'

/**
 * Of each target how long it takes until the whole answer is there, as its better endpoints have been doing for prompts of this size. One
 * of which little or nothing is known is taken to be as its peers are at the median. All NaN where nothing is known of any.
 */
export function expectedMs(views: readonly ModelView[], { facts, nowMs }: Input): number[] {
  const bucket = bucketOf(facts.promptTokens)
  const outputTokens = outputTokensOf(facts.maxOutputTokens)
  const own: number[] = []
  for (const view of views) own.push(answerMs(view.pace(bucket), outputTokens))
  const peersMs = medianOf(own)
  for (let at = 0; at < own.length; at++) {
    const pace = views[at]?.pace(bucket)
    if (pace !== undefined) own[at] = blendedMs(pace, own[at] ?? Number.NaN, peersMs, nowMs)
  }
  return own
}
