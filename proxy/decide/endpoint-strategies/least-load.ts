import { byWeight } from '../dice.ts'
import { NO_STEPS, type Picked, type Question } from './endpoint-strategy.ts'
import { admitted, weightOf } from './share.ts'
import { waitsAmong } from './wait.ts'

/** Where a request would wait least; ties by weight at random. An endpoint without weight takes part only where none has one. */
export function leastLoad(question: Question): Picked {
  const weighed = withWeight(question)
  const waitOf = waitsAmong(weighed, question)
  const waits = weighed.map(waitOf)
  const least = Math.min(...waits)
  const tied = weighed.filter((_, at) => waits[at] === least)
  const endpoint = byWeight(tied, (one) => weightOf(one, question), question.roll()) ?? question.first
  return { endpoint, why: 'least load', steps: NO_STEPS }
}

function withWeight(question: Question): Question['eligible'] {
  const drawn = admitted(question)
  const weighed = drawn.filter((endpoint) => weightOf(endpoint, question) > 0)
  return weighed.length > 0 ? weighed : drawn
}
