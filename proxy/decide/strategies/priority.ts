import { bestHeadroom, spill } from '../headroom.ts'
import type { Choice, Question } from './strategy.ts'
import { drawn } from './weighted-random.ts'

/** By weight among those of the lowest priority; in part among the next, where quotas of the lowest are nearly used up. */
export function priority({ candidates, input, roll }: Question): Choice | undefined {
  const priorities = [...new Set(candidates.map(({ model }) => model.entry.priority))].sort((a, b) => a - b)
  const inOrder = priorities.map((one) => candidates.filter(({ model }) => model.entry.priority === one))
  const group = spill(inOrder, (some) => bestHeadroom(some, input), roll) ?? candidates
  return drawn({ candidates: group, roll }, `priority ${group[0]?.model.entry.priority}`)
}
