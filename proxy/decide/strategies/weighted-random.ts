import { type Choice, drawAt, NO_STEPS, type Question, round, weightsOf } from './strategy.ts'

/** By weight. */
export function weightedRandom({ candidates, roll }: Question): Choice {
  const weights = weightsOf(candidates)
  const at = drawAt(weights, roll())
  return { at, why: `weight ${share(weights, at)}`, steps: NO_STEPS }
}

/** "5/15": of all. */
export function share(weights: readonly number[], at: number): string {
  const total = weights.reduce((sum, weight) => sum + weight, 0)
  return `${round(weights[at] ?? 0)}/${round(total)}`
}
