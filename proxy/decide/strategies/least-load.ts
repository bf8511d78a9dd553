import { byWeight } from '../dice.ts'
import { loadOf } from '../load.ts'
import { type Choice, NO_STEPS, type Question } from './strategy.ts'

/** Least load per endpoint and weight; ties by weight at random. */
export function leastLoad({ candidates, input, roll }: Question): Choice | undefined {
  const loads = candidates.map((candidate) => {
    const load = candidate.endpoints.reduce((sum, endpoint) => sum + loadOf(endpoint, input), 0)
    return load / Math.max(candidate.weight, 1e-6) / Math.max(candidate.endpoints.length, 1)
  })
  const least = Math.min(...loads)
  const tied = candidates.filter((_, index) => loads[index] === least)
  const candidate = byWeight(tied, ({ weight }) => weight, roll())
  return candidate === undefined ? undefined : { candidate, why: `least load ${least.toFixed(2)}`, steps: NO_STEPS }
}
