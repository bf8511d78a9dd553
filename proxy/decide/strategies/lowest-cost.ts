import { estimatedUsd } from '../price.ts'
import { type Choice, drawAt, NO_STEPS, type Question } from './strategy.ts'

/** Prices that differ by less are the same. */
const SAME = 1 + 1e-9

/** The lowest price of this request by estimate; ties by weight. One whose price is not known comes last. */
export function lowestCost({ candidates, input, roll }: Question): Choice {
  const costs = candidates.map(({ endpoints: [first] }) => (first === undefined ? undefined : estimatedUsd(first, input.facts, input.live)))
  const least = costs.reduce<number>((lowest, cost = Number.POSITIVE_INFINITY) => Math.min(lowest, cost), Number.POSITIVE_INFINITY)
  const isLeast = (cost = Number.POSITIVE_INFINITY): boolean => cost === least || cost <= least * SAME
  const weights = candidates.map(({ weight }, at) => (isLeast(costs[at]) ? Math.max(weight, 1e-6) : 0))
  const why = Number.isFinite(least) ? `lowest cost ${usd(least)} USD` : 'no price known'
  const factors = (at: number) => ({
    weight: candidates[at]?.weight ?? 0,
    ...(costs[at] !== undefined && { costUsd: Number(usd(costs[at])) }),
  })
  return { at: drawAt(weights, roll()), why, steps: NO_STEPS, factors }
}

const usd = (cost: number): string => String(Number(cost.toPrecision(3)))
