import { byWeight } from '../dice.ts'
import { NO_STEPS, type Picked, type Question } from './endpoint-strategy.ts'
import { admitted, weightOf } from './share.ts'

/** By weight; one that ramps takes part in its percentage of the draws. */
export function random(question: Question): Picked {
  const endpoint = byWeight(admitted(question), (one) => weightOf(one, question), question.roll())
  return { endpoint: endpoint ?? question.first, why: 'random', steps: NO_STEPS }
}
