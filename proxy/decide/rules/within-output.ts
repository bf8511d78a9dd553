import { anyLeft, keepEndpoints, next, type Rule, refuse } from '../decision.ts'

/** The client asks for no more output than a ceiling with `onExceed: Refuse` allows. (Clamp lowers the number when the request is sent.) */
export const withinOutput: Rule = (ctx, { facts }) => {
  const { maxOutputTokens } = facts
  if (maxOutputTokens === undefined) return next(ctx)
  let ceiling = 0
  const left = keepEndpoints(
    ctx,
    ({ backend: { maxOutput } }) => {
      if (maxOutput?.onExceed !== 'Refuse' || maxOutputTokens <= maxOutput.tokens) return true
      ceiling = Math.max(ceiling, maxOutput.tokens)
      return false
    },
    () => 'it refuses that many output tokens',
    ({ ceilingTokens }) => maxOutputTokens <= ceilingTokens,
  )
  if (anyLeft(left) || !anyLeft(ctx)) return next(left)
  return refuse(
    left,
    'invalid_value',
    `At most ${ceiling} output tokens may be asked of "${facts.asked}"; the request asks for ${maxOutputTokens}.`,
    {
      param: 'max_tokens',
    },
  )
}
