import { resolveName } from '../../routing-table/compile.ts'
import { next, type Rule, refuse } from '../decision.ts'
import { nearestNames } from '../nearest.ts'
import { unknown } from './known-model.ts'

/** The client's namespace may use it. A hidden name is answered exactly like an absent one. */
export const clientMayUseModel: Rule = (ctx, { facts, table }) => {
  const claim = resolveName(table, facts.asked, facts.client.namespace)
  if (claim !== undefined) return next({ ...ctx, claim })
  return refuse(ctx, 'model_not_found', unknown(facts.asked, nearestNames(table, facts.asked, facts.client.namespace)), { param: 'model' })
}
