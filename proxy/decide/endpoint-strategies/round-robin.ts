import { smoothNext } from '../smooth.ts'
import type { Picked, Question } from './endpoint-strategy.ts'
import { rampOf, weightOf } from './share.ts'

/** In turns by weight (see `smooth.ts`); one that ramps has a part of a turn. */
export function roundRobin({ key, eligible, first, input }: Question): Picked {
  const members = eligible.map((endpoint) => ({ id: endpoint.id, weight: (weightOf(endpoint, input) * rampOf(endpoint.id, input)) / 100 }))
  const chosen = smoothNext(members, input.live.cursor(key))
  const endpoint = eligible.find(({ id }) => id === chosen?.id) ?? first
  return { endpoint, why: 'round robin', steps: [{ key, chosen: endpoint.id, members }] }
}
