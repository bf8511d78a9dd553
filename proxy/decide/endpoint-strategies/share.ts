import type { CompiledEndpoint } from '../../routing-table/compiled.ts'
import { rampPercent } from '../circuit-view.ts'
import type { Question, SeenByEndpoints } from './endpoint-strategy.ts'

/** 0 to 100: the part of its fair share that its circuit lets it have. */
export const rampOf = (id: string, { live, nowMs }: SeenByEndpoints): number => rampPercent(live.endpoint(id).circuit, nowMs)

/** Its weight, less what its upstream's quota has lost. */
export const weightOf = (endpoint: CompiledEndpoint, { live, nowMs }: SeenByEndpoints): number =>
  endpoint.weight * live.limits.headroom(endpoint, nowMs)

/** Those that take part in a draw: one that ramps does so in its percentage of the draws. Where all of them ramp there is nobody to spare them. */
export function admitted({ eligible, input, roll }: Question): readonly CompiledEndpoint[] {
  const ramps = eligible.map(({ id }) => rampOf(id, input))
  if (ramps.every((percent) => percent === 100) || ramps.every((percent) => percent < 100)) return eligible
  return eligible.filter((_, at) => (ramps[at] ?? 100) === 100 || roll() * 100 < (ramps[at] ?? 100))
}
