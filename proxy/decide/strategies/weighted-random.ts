import { byWeight } from '../dice.ts'
import { type Choice, NO_STEPS, type Question, round } from './strategy.ts'

/** By weight. */
export const weightedRandom = (question: Question): Choice | undefined => drawn(question, 'weight')

/** One by weight; `why` says what the weights are those of. */
export function drawn({ candidates, roll }: Pick<Question, 'candidates' | 'roll'>, why: string): Choice | undefined {
  const candidate = byWeight(candidates, ({ weight }) => weight, roll())
  if (candidate === undefined) return undefined
  const total = round(candidates.reduce((sum, { weight }) => sum + weight, 0))
  return { candidate, why: `${why} ${candidate.weight}/${total}`, steps: NO_STEPS }
}
