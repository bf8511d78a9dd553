import { smoothNext } from '../smooth.ts'
import type { Choice, Question } from './strategy.ts'
import { share } from './weighted-random.ts'

/** In turns by weight (see `smooth.ts`). */
export function weightedRoundRobin({ candidates, key, input }: Question): Choice | undefined {
  const members = candidates.map(({ model, weight }) => ({ id: model.entry.ref, weight }))
  const chosen = smoothNext(members, input.live.cursor(key))
  if (chosen === undefined) return undefined
  const at = members.indexOf(chosen)
  const weights = members.map(({ weight }) => weight)
  return { at, why: `round robin ${share(weights, at)}`, steps: [{ key, chosen: chosen.id, members }] }
}
