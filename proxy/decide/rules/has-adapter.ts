import { anyLeft, keepEndpoints, next, type Rule } from '../decision.ts'

/**
 * An alias that is an adapter (LoRA) goes to endpoints whose engine has it, as long as any has. One that nobody lists is tried all the same: not
 * every engine lists what it can load.
 */
export const hasAdapter: Rule = (ctx, { facts, live }) => {
  const adapter = ctx.claim?.kind === 'model' ? ctx.claim.model.aliasUpstream.get(facts.asked) : undefined
  if (adapter === undefined) return next(ctx)
  const left = keepEndpoints(
    ctx,
    ({ id }) => live.endpoint(id).adapters?.includes(adapter) === true,
    () => 'its engine does not have the adapter',
  )
  return next(anyLeft(left) ? left : ctx)
}
