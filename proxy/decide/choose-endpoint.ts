import type { CompiledEndpoint } from '../routing-table/compiled.ts'
import type { EndpointStrategy } from '../routing-table/v1.ts'
import type { CursorStep } from './decision.ts'
import { byWeight } from './dice.ts'
import type { Candidate, Input } from './input.ts'
import { loadOf } from './load.ts'
import { smoothNext } from './smooth.ts'

interface Picked {
  readonly endpoint: CompiledEndpoint
  readonly why: string
  readonly steps: readonly CursorStep[]
}

const NO_STEPS: readonly CursorStep[] = []

/** One endpoint of the target, among those of the lowest backend priority left. The candidate has at least one. */
export function chooseEndpoint({ model, endpoints }: Candidate, input: Pick<Input, 'live' | 'nowMs'>, roll: () => number): Picked {
  const [first] = endpoints
  if (first === undefined) throw new Error(`candidate ${model.entry.ref} has no endpoint`)
  const eligible = endpoints.filter(({ backend }) => backend.priority === first.backend.priority)
  if (eligible.length === 1) return { endpoint: first, why: '', steps: NO_STEPS }
  return PICKERS[model.entry.loadBalancing]({ key: model.entry.ref, eligible, first, input, roll })
}

interface Question {
  readonly key: string
  readonly eligible: readonly CompiledEndpoint[]
  readonly first: CompiledEndpoint
  readonly input: Pick<Input, 'live' | 'nowMs'>
  readonly roll: () => number
}

const PICKERS: Record<EndpointStrategy, (question: Question) => Picked> = { PowerOfTwo: powerOfTwo, RoundRobin: roundRobin }

/**
 * Draws two different endpoints by weight and takes the second only if it is less loaded for its weight: with equal load the split is
 * exactly the weights', under load it follows the load, and no endpoint is ever herded onto.
 */
function powerOfTwo({ eligible, first, input, roll }: Question): Picked {
  const one = byWeight(eligible, ({ weight }) => weight, roll()) ?? first
  const rest = eligible.filter((endpoint) => endpoint !== one)
  const other = byWeight(rest, ({ weight }) => weight, roll()) ?? one
  if (other.weight <= 0) return { endpoint: one, why: 'power of two', steps: NO_STEPS }
  const relative = (endpoint: CompiledEndpoint): number => loadOf(endpoint, input) / Math.max(endpoint.weight, 1e-6)
  return { endpoint: relative(other) < relative(one) ? other : one, why: 'power of two', steps: NO_STEPS }
}

function roundRobin({ key, eligible, first, input }: Question): Picked {
  const members = eligible.map(({ id, weight }) => ({ id, weight }))
  const chosen = smoothNext(members, input.live.cursor(key))
  const endpoint = eligible.find(({ id }) => id === chosen?.id) ?? first
  return { endpoint, why: 'round robin', steps: [{ key, chosen: endpoint.id, members }] }
}
