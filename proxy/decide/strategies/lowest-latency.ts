import { aheadOf } from './ahead.ts'
import { expectedFor } from './expected.ts'
import { leastLoad } from './least-load.ts'
import { leastOf, spared } from './spared.ts'
import { type Choice, drawAt, NO_STEPS, type Question } from './strategy.ts'

/** Within this part of the best all are equal, so that equal ones share. */
const MARGIN = 0.1
/** So many requests at an endpoint make an answer take twice as long, until its own times have shown what they do. */
const USUAL_SLOTS = 8
const LEAST_WEIGHT = 1e-6

/**
 * The lowest expected time of the whole answer, stretched by what is ahead for the weight; by weight among those within a margin of the
 * best. Where nothing is known of any it goes by load.
 */
export function lowestLatency(question: Question): Choice {
  const { candidates, views, parts, input, roll } = question
  const { times: expected, fastestMs } = expectedFor(question)
  if (!Number.isFinite(fastestMs)) return leastLoad(question)
  const usual = candidates.reduce((sum, { weight }) => sum + weight, 0) / candidates.length
  const aheads = candidates.map((candidate, at) => {
    const view = views[at]
    return view === undefined ? 0 : (aheadOf(candidate, view, input) * usual) / Math.max(candidate.weight, LEAST_WEIGHT)
  })
  const times = spared(aheads, parts).map((ahead, at) => (expected[at] ?? 0) * (1 + ahead / USUAL_SLOTS))
  const best = leastOf(times)
  const weights = candidates.map(({ weight }, at) => ((times[at] ?? 0) <= best * (1 + MARGIN) ? Math.max(weight, LEAST_WEIGHT) : 0))
  const at = drawAt(weights, roll())
  const factors = (index: number) => ({ weight: candidates[index]?.weight ?? 0, answerMs: Math.round(times[index] ?? 0) })
  return { at, why: `lowest latency ${Math.round(times[at] ?? 0)} ms`, steps: NO_STEPS, factors }
}
