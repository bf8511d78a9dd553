import { smoothNext } from '../smooth.ts'
import { type Choice, type Question, round } from './strategy.ts'

/** In turns by weight (see `smooth.ts`). */
export function weightedRoundRobin({ candidates, key, input }: Question): Choice | undefined {
  const members = candidates.map(({ model, weight }) => ({ id: model.entry.ref, weight }))
  const chosen = smoothNext(members, input.live.cursor(key))
  const candidate = candidates.find(({ model }) => model.entry.ref === chosen?.id)
  if (candidate === undefined) return undefined
  const total = round(members.reduce((sum, { weight }) => sum + weight, 0))
  return { candidate, why: `round robin ${candidate.weight}/${total}`, steps: [{ key, chosen: candidate.model.entry.ref, members }] }
}
