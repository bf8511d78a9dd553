import { bestHeadroom, spill } from '../headroom.ts'
import type { Candidate } from '../input.ts'
import { type Choice, drawAt, NO_STEPS, type Question, weightsOf } from './strategy.ts'
import { share } from './weighted-random.ts'

/** By weight among those of the lowest priority; in part among the next, where quotas of the lowest are nearly used up. */
export function priority({ candidates, input, roll }: Question): Choice {
  const group = spill(byModelPriority(candidates), (some) => bestHeadroom(some, input), roll) ?? candidates
  const weights = weightsOf(group)
  const drawn = drawAt(weights, roll())
  const chosen = group[drawn]
  const at = chosen === undefined ? 0 : candidates.indexOf(chosen)
  return { at, why: `priority ${chosen?.model.entry.priority} ${share(weights, drawn)}`, steps: NO_STEPS }
}

function byModelPriority(candidates: readonly Candidate[]): readonly (readonly Candidate[])[] {
  const priorities = new Set(candidates.map(({ model }) => model.entry.priority))
  if (priorities.size === 1) return [candidates]
  return [...priorities].sort((a, b) => a - b).map((one) => candidates.filter(({ model }) => model.entry.priority === one))
}
