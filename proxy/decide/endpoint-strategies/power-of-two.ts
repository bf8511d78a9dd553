import type { CompiledEndpoint } from '../../routing-table/compiled.ts'
import { byWeight } from '../dice.ts'
import { NO_STEPS, type Picked, type Question } from './endpoint-strategy.ts'
import { admitted, weightOf } from './share.ts'
import { waitsAmong } from './wait.ts'

/**
 * Draws two different endpoints by weight and takes the second only if a request would wait less there: with equal load the split is
 * exactly the weights', under load it follows the load, and no endpoint is ever herded onto. One that ramps takes part in its percentage
 * of the draws.
 */
export function powerOfTwo(question: Question): Picked {
  const { first, roll } = question
  const drawn = admitted(question)
  const weight = (endpoint: CompiledEndpoint): number => weightOf(endpoint, question)
  const one = byWeight(drawn, weight, roll()) ?? first
  const rest = drawn.filter((endpoint) => endpoint !== one)
  const other = byWeight(rest, weight, roll()) ?? one
  if (other === one || weight(other) <= 0) return { endpoint: one, why: 'power of two', steps: NO_STEPS }
  const waitOf = waitsAmong([one, other], question)
  return { endpoint: waitOf(other) < waitOf(one) ? other : one, why: 'power of two', steps: NO_STEPS }
}
