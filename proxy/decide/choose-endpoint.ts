import type { CompiledEndpoint } from '../routing-table/compiled.ts'
import type { EndpointStrategy } from '../routing-table/v1.ts'
import { admits, rampPercent } from './circuit-view.ts'
import type { CursorStep } from './decision.ts'
import { byWeight } from './dice.ts'
import { byPriority, headroomOf, spill } from './headroom.ts'
import type { Candidate, Input } from './input.ts'
import { loadOf } from './load.ts'
import { smoothNext } from './smooth.ts'

interface Picked {
  readonly endpoint: CompiledEndpoint
  readonly why: string
  readonly steps: readonly CursorStep[]
}

const NO_STEPS: readonly CursorStep[] = []

/**
 * One endpoint of the target, among those of the lowest backend priority left; in part among the next, where an upstream's quota is nearly
 * used up. The candidate has at least one.
 */
export function chooseEndpoint({ model, endpoints }: Candidate, input: Pick<Input, 'live' | 'nowMs'>, roll: () => number): Picked {
  const groups = byPriority(endpoints)
  const eligible = groups.length === 1 ? endpoints : (spill(groups, (group) => headroomOf(group, input), roll) ?? endpoints)
  const [first] = eligible
  if (first === undefined) throw new Error(`candidate ${model.entry.ref} has no endpoint`)
  if (eligible.length === 1) return { endpoint: first, why: words(first, input), steps: NO_STEPS }
  const picked = PICKERS[model.entry.loadBalancing]({ key: model.entry.ref, eligible, first, input, roll })
  const more = words(picked.endpoint, input)
  return more === '' ? picked : { ...picked, why: `${picked.why}; ${more}` }
}

const words = (endpoint: CompiledEndpoint, input: Pick<Input, 'live' | 'nowMs'>): string =>
  [circuitWords(endpoint, input), quotaWords(endpoint, input)].filter((one) => one !== '').join('; ')

const quotaWords = (endpoint: CompiledEndpoint, { live, nowMs }: Pick<Input, 'live' | 'nowMs'>): string =>
  live.limits.headroom(endpoint, nowMs) < 1 ? `quota ${live.limits.quotaPercent(endpoint, nowMs)} %` : ''

/** What its circuit adds to why it was chosen. */
function circuitWords({ id }: CompiledEndpoint, { live, nowMs }: Pick<Input, 'live' | 'nowMs'>): string {
  const view = live.endpoint(id)
  if (view.circuit.state === 'closed' && view.parked === undefined) return ''
  if (admits(view, nowMs) === 'one') return view.circuit.state === 'open' ? 'half-open probe' : 're-test'
  const percent = rampPercent(view.circuit, nowMs)
  return percent < 100 ? `ramping ${percent} %` : ''
}

interface Question {
  readonly key: string
  readonly eligible: readonly CompiledEndpoint[]
  readonly first: CompiledEndpoint
  readonly input: Pick<Input, 'live' | 'nowMs'>
  readonly roll: () => number
}

const PICKERS: Record<EndpointStrategy, (question: Question) => Picked> = {
  PowerOfTwo: powerOfTwo,
  RoundRobin: roundRobin,
  LeastLoad: powerOfTwo,
  PrefixHash: powerOfTwo,
  Session: powerOfTwo,
  Random: powerOfTwo,
}

/**
 * Draws two different endpoints by weight and takes the second only if it is less loaded for its weight: with equal load the split is
 * exactly the weights', under load it follows the load, and no endpoint is ever herded onto. One that ramps takes part in its percentage
 * of the draws, and counts as loaded as its peers: being idle it would win every comparison.
 */
function powerOfTwo(question: Question): Picked {
  const { input, roll } = question
  const isRamping = ({ id }: CompiledEndpoint): boolean => rampOf(id, input) < 100
  const ramps = question.eligible.some(isRamping)
  const drawn = ramps ? admitted(question, isRamping) : question.eligible
  const first = drawn[0] ?? question.first
  const weightOf = (endpoint: CompiledEndpoint): number => endpoint.weight * input.live.limits.headroom(endpoint, input.nowMs)
  const one = byWeight(drawn, weightOf, roll()) ?? first
  const rest = drawn.filter((endpoint) => endpoint !== one)
  const other = byWeight(rest, weightOf, roll()) ?? one
  if (other === one || weightOf(other) <= 0) return { endpoint: one, why: 'power of two', steps: NO_STEPS }
  const usual = ramps ? medianOf(drawn.filter((endpoint) => !isRamping(endpoint)).map((endpoint) => loadOf(endpoint, input))) : 0
  const relative = (endpoint: CompiledEndpoint): number =>
    Math.max(loadOf(endpoint, input), ramps && isRamping(endpoint) ? usual : 0) / Math.max(weightOf(endpoint), 1e-6)
  return { endpoint: relative(other) < relative(one) ? other : one, why: 'power of two', steps: NO_STEPS }
}

const rampOf = (id: string, { live, nowMs }: Pick<Input, 'live' | 'nowMs'>): number => rampPercent(live.endpoint(id).circuit, nowMs)

/** Where all of them ramp there is nobody to spare them. */
function admitted({ eligible, input, roll }: Question, isRamping: (endpoint: CompiledEndpoint) => boolean): readonly CompiledEndpoint[] {
  if (eligible.every(isRamping)) return eligible
  return eligible.filter((endpoint) => !isRamping(endpoint) || roll() * 100 < rampOf(endpoint.id, input))
}

function medianOf(loads: readonly number[]): number {
  const sorted = loads.toSorted((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? 0
}

function roundRobin({ key, eligible, first, input }: Question): Picked {
  const members = eligible.map((endpoint) => {
    const { id, weight } = endpoint
    return { id, weight: (weight * rampOf(id, input) * input.live.limits.headroom(endpoint, input.nowMs)) / 100 }
  })
  const chosen = smoothNext(members, input.live.cursor(key))
  const endpoint = eligible.find(({ id }) => id === chosen?.id) ?? first
  return { endpoint, why: 'round robin', steps: [{ key, chosen: endpoint.id, members }] }
}
