import type { HeaderMatch, Match } from '../../routing-table/v1.ts'
import { clientFits } from '../client-terms.ts'
import { next, type Rule, refuse } from '../decision.ts'
import type { Facts } from '../input.ts'
import { begin, directTo, rulingOf } from '../rule-in-force.ts'

/** A model is its own only target; of a policy the first rule that matches gives the targets. */
export const matchingRule: Rule = (ctx, input) => {
  const { facts } = input
  const { claim } = ctx
  if (claim === undefined) return refuse(ctx, 'internal', 'No claim.')
  if (claim.kind === 'model') return next(begin(ctx, directTo(claim.model), input))
  const { policy } = claim
  const rule = policy.rules.find(({ entry }) => entry.matches.length === 0 || entry.matches.some((match) => matches(match, facts)))
  if (rule === undefined) {
    return refuse(
      ctx,
      'model_not_found',
      `No rule of "${facts.asked}" matches this request. POST /v1/route:explain shows what was compared.`,
      { param: 'model' },
    )
  }
  return next(begin(ctx, rulingOf(policy, rule), input))
}

function matches(match: Match, facts: Facts): boolean {
  const { capabilities, promptTokens, headers, paths, clients } = match
  if (capabilities?.some((capability) => !facts.needs.includes(capability)) === true) return false
  if (promptTokens?.min !== undefined && facts.promptTokens < promptTokens.min) return false
  if (promptTokens?.max !== undefined && facts.promptTokens > promptTokens.max) return false
  if (headers?.some((header) => !headerFits(header, facts)) === true) return false
  if (paths !== undefined && !paths.includes(facts.path)) return false
  return clients === undefined || clientFits(clients, facts.client)
}

function headerFits(match: HeaderMatch, { headers }: Facts): boolean {
  const sent = headers[match.name]
  if (sent === undefined) return false
  const values = typeof sent === 'string' ? [sent] : sent
  if (match.type === 'Present') return true
  return values.some((value) => (match.type === 'Exact' ? value === match.value : value.startsWith(match.value)))
}
