import type { CompiledEndpoint } from '../../routing-table/compiled.ts'
import { NO_STEPS, type Picked, type Question } from '../endpoint-strategies/endpoint-strategy.ts'
import { powerOfTwo } from '../endpoint-strategies/power-of-two.ts'
import { rampOf, weightOf } from '../endpoint-strategies/share.ts'
import { loadIn } from '../load.ts'
import { scoreOf } from './hash.ts'

/** An endpoint may have so much more than its share of the requests under way … */
const MORE = 1.25
/** … and a few beyond that: among few requests a share is a small number, and none of them waits. */
const FEW = 2
const LEAST_WEIGHT = 1e-9

/**
 * Consistent hashing with bounded load: the endpoint that has the key, unless it has too much to do; then the next in the key's own order, which
 * is the same in every proxy. Without a key power of two.
 */
export function bounded(question: Question, key: number | undefined, name: string): Picked {
  if (key === undefined) return { ...powerOfTwo(question), affinity: 'none' }
  const { eligible, first } = question
  const weights = eligible.map((endpoint) => (weightOf(endpoint, question) * rampOf(endpoint, question)) / 100)
  const order = inOrder(eligible, weights, key)
  const fits = roomFor(eligible, weights, question)
  const at = order.find(fits)
  const owner = order[0]
  const endpoint = eligible[at ?? owner ?? 0] ?? first
  const kept = at === undefined || at === owner
  return { endpoint, why: kept ? name : `${name}, but its place is busy`, steps: NO_STEPS, affinity: kept ? 'kept' : 'shed' }
}

/** Indexes, the key's own endpoint first. */
function inOrder(eligible: readonly CompiledEndpoint[], weights: readonly number[], key: number): readonly number[] {
  const scores = eligible.map(({ id }, at) => scoreOf(key, id, weights[at] ?? 0))
  return [...eligible.keys()].sort((a, b) => (scores[b] ?? 0) - (scores[a] ?? 0))
}

function roomFor(eligible: readonly CompiledEndpoint[], weights: readonly number[], { input }: Question): (at: number) => boolean {
  const loads = eligible.map((endpoint) => loadIn(endpoint, input.live.endpoint(endpoint.id), input.nowMs))
  const total = loads.reduce((sum, one) => sum + one, 1)
  const all = Math.max(
    LEAST_WEIGHT,
    weights.reduce((sum, one) => sum + one, 0),
  )
  return (at) => (loads[at] ?? 0) + 1 <= Math.ceil((MORE * total * (weights[at] ?? 0)) / all) + FEW
}
