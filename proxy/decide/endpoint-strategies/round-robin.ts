import { smoothNext } from '../smooth.ts'
import type { Picked, Question } from './endpoint-strategy.ts'
import { rampOf, weightOf } from './share.ts'

/** In turns by weight (see `smooth.ts`); one that ramps has a part of a turn. */
export function roundRobin(question: Question): Picked {
  const { key, eligible, first, input } = question
  const members = eligible.map((endpoint) => ({
    id: endpoint.id,
    weight: (weightOf(endpoint, question) * rampOf(endpoint, question)) / 100,
  }))
  const chosen = smoothNext(members, input.live.cursor(key))
  const endpoint = eligible.find(({ id }) => id === chosen?.id) ?? first
  return { endpoint, why: 'round robin', steps: [{ key, chosen: endpoint.id, members }] }
}
