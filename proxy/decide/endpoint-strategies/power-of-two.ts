import type { CompiledEndpoint } from '../../routing-table/compiled.ts'
import { byWeight } from '../dice.ts'
import { loadOf } from '../load.ts'
import { NO_STEPS, type Picked, type Question } from './endpoint-strategy.ts'
import { admitted, rampOf, weightOf } from './share.ts'

/**
 * Draws two different endpoints by weight and takes the second only if it is less loaded for its weight: with equal load the split is
 * exactly the weights', under load it follows the load, and no endpoint is ever herded onto. One that ramps takes part in its percentage
 * of the draws, and counts as loaded as its peers: being idle it would win every comparison.
 */
export function powerOfTwo(question: Question): Picked {
  const { input, roll } = question
  const isRamping = ({ id }: CompiledEndpoint): boolean => rampOf(id, input) < 100
  const drawn = admitted(question)
  const first = drawn[0] ?? question.first
  const weight = (endpoint: CompiledEndpoint): number => weightOf(endpoint, input)
  const one = byWeight(drawn, weight, roll()) ?? first
  const rest = drawn.filter((endpoint) => endpoint !== one)
  const other = byWeight(rest, weight, roll()) ?? one
  if (other === one || weight(other) <= 0) return { endpoint: one, why: 'power of two', steps: NO_STEPS }
  const ramps = drawn.some(isRamping)
  const usual = ramps ? medianOf(drawn.filter((endpoint) => !isRamping(endpoint)).map((endpoint) => loadOf(endpoint, input))) : 0
  const relative = (endpoint: CompiledEndpoint): number =>
    Math.max(loadOf(endpoint, input), ramps && isRamping(endpoint) ? usual : 0) / Math.max(weight(endpoint), 1e-6)
  return { endpoint: relative(other) < relative(one) ? other : one, why: 'power of two', steps: NO_STEPS }
}

function medianOf(loads: readonly number[]): number {
  const sorted = loads.toSorted((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? 0
}
