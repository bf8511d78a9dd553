import type { CompiledEndpoint } from '../../routing-table/compiled.ts'
import type { Ref } from '../../routing-table/v1.ts'
import { anyLeft, keepEndpoints, next, type Rule, refuse } from '../decision.ts'
import type { Ctx, Facts, LiveView } from '../input.ts'
import { MOST_TIMES } from '../tokens-view.ts'

/**
 * The prompt, as the model counts it, fits the endpoint's window. That count is an estimate, so when no window holds it the largest one is
 * still asked, unless it is certainly too small; how much that is depends on how well the model's estimates are known.
 */
export const withinContext: Rule = (ctx, { facts, live }) => {
  const fits = (window: number, model: Ref | undefined): boolean =>
    window >= facts.promptTokens * MOST_TIMES || (model !== undefined && window >= live.tokens.of(model, facts))
  const left = keepEndpoints(
    ctx,
    (endpoint) => fits(windowOf(endpoint, live), endpoint.model),
    ({ model }) => `its context window is smaller than about ${live.tokens.of(model.entry.ref, facts)} tokens`,
    ({ windowTokens }, candidate) => fits(windowTokens, candidate?.model.entry.ref),
  )
  if (anyLeft(left) || !anyLeft(ctx)) return next(left)
  const { model, windowTokens } = roomiest(ctx, facts, live)
  const tokens = live.tokens.of(model, facts)
  if (windowTokens >= tokens * live.tokens.certain(model, facts)) {
    return next(
      keepEndpoints(
        ctx,
        (endpoint) => windowOf(endpoint, live) === windowTokens && live.tokens.of(endpoint.model, facts) === tokens,
        () => 'another target has a larger context window',
      ),
    )
  }
  const message = `The prompt has about ${tokens} tokens; the largest context window of "${facts.asked}" is ${windowTokens} tokens. Shorten it or choose another model.`
  return refuse(left, 'context_length_exceeded', message, { param: 'messages' })
}

export function windowOf(endpoint: CompiledEndpoint, live: LiveView): number {
  return endpoint.backend.contextWindowTokens ?? live.endpoint(endpoint.id).contextWindowTokens ?? Number.POSITIVE_INFINITY
}

/** Where the least of the prompt is too much. */
function roomiest({ candidates }: Ctx, facts: Facts, live: LiveView): { model: Ref; windowTokens: number } {
  let found = { model: '', windowTokens: 0 }
  let most = -1
  for (const { lost, endpoints } of candidates) {
    if (lost !== undefined) continue
    for (const endpoint of endpoints) {
      const windowTokens = windowOf(endpoint, live)
      const part = windowTokens / Math.max(1, live.tokens.of(endpoint.model, facts))
      if (part <= most) continue
      most = part
      found = { model: endpoint.model, windowTokens }
    }
  }
  return found
}
