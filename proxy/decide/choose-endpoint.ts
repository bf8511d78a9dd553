import type { CompiledEndpoint } from '../routing-table/compiled.ts'
import type { EndpointStrategy } from '../routing-table/v1.ts'
import { prefixHash } from './affinity/prefix-hash.ts'
import { session } from './affinity/session.ts'
import { admits, rampPercent } from './circuit-view.ts'
import { type EndpointStrategyOf, NO_STEPS, type Picked, type SeenByEndpoints } from './endpoint-strategies/endpoint-strategy.ts'
import { leastLoad } from './endpoint-strategies/least-load.ts'
import { powerOfTwo } from './endpoint-strategies/power-of-two.ts'
import { random } from './endpoint-strategies/random.ts'
import { roundRobin } from './endpoint-strategies/round-robin.ts'
import { byPriority, headroomOf, spill } from './headroom.ts'
import type { Candidate } from './input.ts'

/**
 * Adding one = a file and its line here; the shared suite in `strategies.test.ts` runs over all of them.
 */
const STRATEGIES: Record<EndpointStrategy, EndpointStrategyOf> = {
  PowerOfTwo: powerOfTwo,
  RoundRobin: roundRobin,
  LeastLoad: leastLoad,
  PrefixHash: prefixHash,
  Session: session,
  Random: random,
}

/**
 * One endpoint of the target, among those of the lowest backend priority left; in part among the next, where an upstream's quota is nearly
 * used up. The candidate has at least one.
 */
export function chooseEndpoint({ model, endpoints }: Candidate, input: SeenByEndpoints, roll: () => number): Picked {
  const groups = byPriority(endpoints)
  const eligible = groups.length === 1 ? endpoints : (spill(groups, (group) => headroomOf(group, input), roll) ?? endpoints)
  const [first] = eligible
  if (first === undefined) throw new Error(`candidate ${model.entry.ref} has no endpoint`)
  if (eligible.length === 1) return { endpoint: first, why: words(first, input), steps: NO_STEPS }
  const view = input.live.model(model, input.nowMs)
  const picked = STRATEGIES[model.entry.loadBalancing]({ key: model.entry.ref, eligible, first, view, input, roll })
  const more = words(picked.endpoint, input)
  return more === '' ? picked : { ...picked, why: `${picked.why}; ${more}` }
}

const words = (endpoint: CompiledEndpoint, input: SeenByEndpoints): string =>
  [circuitWords(endpoint, input), quotaWords(endpoint, input)].filter((one) => one !== '').join('; ')

const quotaWords = (endpoint: CompiledEndpoint, { live, nowMs }: SeenByEndpoints): string =>
  live.limits.headroom(endpoint, nowMs) < 1 ? `quota ${live.limits.quotaPercent(endpoint, nowMs)} %` : ''

/** What its circuit adds to why it was chosen. */
function circuitWords({ id }: CompiledEndpoint, { live, nowMs }: SeenByEndpoints): string {
  const view = live.endpoint(id)
  if (view.circuit.state === 'closed' && view.parked === undefined) return ''
  if (admits(view, nowMs) === 'one') return view.circuit.state === 'open' ? 'half-open probe' : 're-test'
  const percent = rampPercent(view.circuit, nowMs)
  return percent < 100 ? `ramping ${percent} %` : ''
}
