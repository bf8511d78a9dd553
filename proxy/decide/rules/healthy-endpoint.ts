import type { CompiledEndpoint } from '../../routing-table/compiled.ts'
import { anyLeft, keepEndpoints, next, type Rule, refuse } from '../decision.ts'
import type { Ctx, Facts, Input } from '../input.ts'
import { visibleModels } from '../visible.ts'

/**
 * Leaves out endpoints whose probe says they are down, then those that are cooling down after failures. When all that is left is cooling,
 * the one that recovers soonest is tried all the same (panic): a real answer, even a bad one, beats "nothing available".
 */
export const healthyEndpoint: Rule = (ctx, { live, nowMs, facts }) => {
  const ready = keepEndpoints(
    ctx,
    ({ id }) => live.endpoint(id).ready !== false,
    ({ endpoints }) => `not ready: ${(endpoints[0] && live.endpoint(endpoints[0].id).notReadyBecause) ?? 'its endpoints are down'}`,
  )
  if (!anyLeft(ready)) return refuse(ready, 'no_available_target', nothingLeft(ready, facts), { retryAfterMs: 5000 })
  const warm = keepEndpoints(
    ready,
    ({ id }) => live.endpoint(id).coolUntilMs <= nowMs,
    ({ endpoints }) => `cooling down: ${(endpoints[0] && live.endpoint(endpoints[0].id).coolBecause) ?? 'it failed'}`,
  )
  return next(anyLeft(warm) ? warm : soonest(ready, live))
}

function soonest(ctx: Ctx, live: Input['live']): Ctx {
  const untilMs = ({ id }: CompiledEndpoint): number => live.endpoint(id).coolUntilMs
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
