import type { CompiledEndpoint } from '../../routing-table/compiled.ts'
import { admits, outBecause } from '../circuit-view.ts'
import { anyLeft, keepEndpoints, next, type Rule, refuse } from '../decision.ts'
import type { Ctx, Facts, Input } from '../input.ts'
import { visibleModels } from '../visible.ts'

/**
 * Leaves out endpoints whose probe says they are down, then those whose circuit is open, that asked for a pause, or whose one probe is
 * under way. When nothing else is left, the one that reopens soonest is tried all the same (panic): a real answer, even a bad one, beats
 * "nothing available".
 */
export const healthyEndpoint: Rule = (ctx, input) => {
  const { live, nowMs, facts } = input
  const ready = keepEndpoints(
    ctx,
    ({ id }) => live.endpoint(id).ready !== false,
    ({ endpoints }) => `not ready: ${(endpoints[0] && live.endpoint(endpoints[0].id).notReadyBecause) ?? 'its endpoints are down'}`,
    ({ calm }) => calm,
  )
  if (!anyLeft(ready)) return refuse(ready, 'no_available_target', nothingLeft(ready, facts), { retryAfterMs: 5000 })
  const admitted = keepEndpoints(
    ready,
    ({ id }) => admits(live.endpoint(id), nowMs) !== 'none',
    ({ endpoints }) => (endpoints[0] === undefined ? 'it failed' : outBecause(live.endpoint(endpoints[0].id), nowMs)),
    ({ calm }) => calm,
  )
  return next(anyLeft(admitted) ? admitted : soonest(ready, input))
}

/** Those that wait for the end of a probe would be asked now: any of them. */
function soonest(ctx: Ctx, { live, nowMs }: Input): Ctx {
  const untilMs = ({ id }: CompiledEndpoint): number => Math.max(nowMs, live.endpoint(id).coolUntilMs)
  const first = Math.min(...ctx.candidates.flatMap(({ lost, endpoints }) => (lost === undefined ? endpoints.map(untilMs) : [])))
  return {
    ...keepEndpoints(
      ctx,
      (endpoint) => untilMs(endpoint) === first,
      () => 'it recovers later than another',
    ),
    panic: true,
  }
}

function nothingLeft({ candidates }: Ctx, { asked, client }: Facts): string {
  const reasons = visibleModels(candidates, client.namespace, 8).map(({ model, lost }) => `${model.name}: ${lost}`)
  return `No endpoint of "${asked}" can take requests${reasons.length === 0 ? '' : ` (${reasons.join('; ')})`}. Try again shortly.`
}
