import type { CompiledEndpoint } from '../../routing-table/compiled.ts'
import { anyLeft, keepEndpoints, next, type Rule, refuse } from '../decision.ts'
import type { Ctx, LiveView } from '../input.ts'

/** Below this part of the estimate a window is certainly too small: token estimates are rarely off by more. */
const CERTAIN = 0.6

/**
 * The prompt fits the endpoint's window. The prompt's size is an estimate, so when no window holds it the largest one is still asked,
 * unless it is certainly too small.
 */
export const withinContext: Rule = (ctx, { facts, live }) => {
  const left = keepEndpoints(
    ctx,
    (endpoint) => windowOf(endpoint, live) >= facts.promptTokens,
    () => `its context window is smaller than about ${facts.promptTokens} tokens`,
    ({ windowTokens }) => windowTokens >= facts.promptTokens,
  )
  if (anyLeft(left) || !anyLeft(ctx)) return next(left)
  const largest = largestWindow(ctx, live)
  if (largest >= facts.promptTokens * CERTAIN) {
    return next(
      keepEndpoints(
        ctx,
        (endpoint) => windowOf(endpoint, live) === largest,
        () => 'another target has a larger context window',
      ),
    )
  }
  const message = `The prompt has about ${facts.promptTokens} tokens; the largest context window of "${facts.asked}" is ${largest} tokens. Shorten it or choose another model.`
  return refuse(left, 'context_length_exceeded', message, { param: 'messages' })
}

export function windowOf(endpoint: CompiledEndpoint, live: LiveView): number {
  return endpoint.backend.contextWindowTokens ?? live.endpoint(endpoint.id).contextWindowTokens ?? Number.POSITIVE_INFINITY
}

function largestWindow({ candidates }: Ctx, live: LiveView): number {
  const windows = candidates.flatMap(({ lost, endpoints }) =>
    lost === undefined ? endpoints.map((endpoint) => windowOf(endpoint, live)) : [],
  )
  return Math.max(...windows)
}
