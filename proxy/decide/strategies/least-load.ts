import { aheadOf } from './ahead.ts'
import { leastOf, spared } from './spared.ts'
import { type Choice, drawAt, NO_STEPS, type Question } from './strategy.ts'

const LEAST_WEIGHT = 1e-6

/** Least requests ahead per endpoint and weight; ties by weight at random. */
export function leastLoad({ candidates, views, parts, input, roll }: Question): Choice {
  const raw = candidates.map((candidate, at) => {
    const view = views[at]
    return view === undefined ? 0 : aheadOf(candidate, view, input) / Math.max(candidate.weight, LEAST_WEIGHT)
  })
  const loads = spared(raw, parts)
  const least = leastOf(loads)
  const at = drawAt(
    candidates.map(({ weight }, index) => (loads[index] === least ? Math.max(weight, LEAST_WEIGHT) : 0)),
    roll(),
  )
  return { at, why: `least load ${least.toFixed(2)}`, steps: NO_STEPS }
}
