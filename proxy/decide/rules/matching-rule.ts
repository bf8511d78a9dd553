import { next, type Rule, refuse } from '../decision.ts'
import { Matching } from '../match/match.ts'
import { begin, directTo, rulingOf } from '../rule-in-force.ts'

/** A model is its own only target; of a policy the first rule that matches gives the targets, and what the policies in its chain say follows. */
export const matchingRule: Rule = (ctx, input) => {
  const { facts, nowMs, table } = input
  const { claim } = ctx
  if (claim === undefined) return refuse(ctx, 'internal', 'No claim.')
  if (claim.kind === 'model') return next(begin(ctx, directTo(claim.model), input))
  const { policy } = claim
  const matching = new Matching(facts, nowMs)
  const rule = policy.rules.find((one) => matching.holds(one))
  if (rule === undefined) {
    return refuse(
      ctx,
      'model_not_found',
      `No rule of "${facts.asked}" matches this request. POST /v1/route:explain shows what was compared.`,
      { param: 'model' },
    )
  }
  return next(begin(ctx, rulingOf(policy, rule, { table, matching }), input))
}
