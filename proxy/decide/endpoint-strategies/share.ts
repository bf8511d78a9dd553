import type { CompiledEndpoint } from '../../routing-table/compiled.ts'
import { rampPercent } from '../circuit-view.ts'
import type { Question } from './endpoint-strategy.ts'

/** 0 to 100: the part of its fair share that its circuit lets it have. */
export const rampOf = ({ id }: CompiledEndpoint, { view, input: { live, nowMs } }: Question): number =>
  view.calm ? 100 : rampPercent(live.endpoint(id).circuit, nowMs)

/** Its weight, less what its upstream's quota has lost. */
export const weightOf = (endpoint: CompiledEndpoint, { view, input: { live, nowMs } }: Question): number =>
  view.hasQuota ? endpoint.weight * live.limits.headroom(endpoint, nowMs) : endpoint.weight

/** Those that take part in a draw: one that ramps does so in its percentage of the draws. Where all of them ramp there is nobody to spare them. */
export function admitted(question: Question): readonly CompiledEndpoint[] {
  const { eligible, roll, view } = question
  if (view.calm) return eligible
  const ramps = eligible.map((endpoint) => rampOf(endpoint, question))
  if (ramps.every((percent) => percent === 100) || ramps.every((percent) => percent < 100)) return eligible
  return eligible.filter((_, at) => (ramps[at] ?? 100) === 100 || roll() * 100 < (ramps[at] ?? 100))
}
