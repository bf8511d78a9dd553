import type { CompiledEndpoint } from '../routing-table/compiled.ts'
import { admits } from './circuit-view.ts'
import { keepEndpoints } from './decision.ts'
import type { Ctx, Input } from './input.ts'

/**
 * Who goes on with an answer that has begun: rather an endpoint that can be given the text so far than one that has to say it again, then
 * rather one of the model that has begun. A wish holds only while somebody who takes requests now fulfils it.
 */
export function whoGoesOn(ctx: Ctx, input: Input): Ctx {
  const begun = input.past.find(({ interrupted }) => interrupted !== undefined)
  if (begun === undefined) return ctx
  const able =
    input.past.at(-1)?.interrupted === 'prefix'
      ? preferred(
          ctx,
          input,
          ({ backend }) => backend.capabilities?.includes('prefixContinuation') === true,
          'it does not declare prefixContinuation',
        )
      : ctx
  return preferred(able, input, ({ model }) => model === begun.model, 'another model has begun the answer')
}

function preferred(ctx: Ctx, { live, nowMs }: Input, fits: (endpoint: CompiledEndpoint) => boolean, reason: string): Ctx {
  const kept = keepEndpoints(ctx, fits, () => reason)
  const takes = ({ id }: CompiledEndpoint): boolean => live.endpoint(id).ready !== false && admits(live.endpoint(id), nowMs) !== 'none'
  return kept.candidates.some(({ lost, endpoints }) => lost === undefined && endpoints.some(takes)) ? kept : ctx
}
