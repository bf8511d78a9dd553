import type { Sticky } from '../../routing-table/v1.ts'
import type { Candidate, Facts } from '../input.ts'
import { scoreOf } from './hash.ts'

/**
 * Of the targets left the one where the session belongs, by weight: index, or undefined where the rule keeps nothing together or the request
 * has no session. When the target of a session is ruled out another has it until it is back.
 */
export function stuckTo(candidates: readonly Candidate[], sticky: Sticky | undefined, { keys }: Facts): number | undefined {
  const key = sticky === undefined ? undefined : keys?.session()
  if (key === undefined) return undefined
  let [best, highest] = [0, Number.NEGATIVE_INFINITY]
  for (const [at, { model, weight }] of candidates.entries()) {
    const score = scoreOf(key, model.entry.ref, weight)
    if (score > highest) [best, highest] = [at, score]
  }
  return best
}
