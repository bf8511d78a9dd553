import type { CompiledModel, CompiledPolicy, CompiledRule, CompiledTarget } from '../../routing-table/compiled.ts'
import type { HeaderMatch, Match } from '../../routing-table/v1.ts'
import { DEFAULT_WHEN } from '../classes.ts'
import { clientFits } from '../client-terms.ts'
import { next, type Rule, refuse } from '../decision.ts'
import type { Candidate, Ctx, Facts, RuleInForce } from '../input.ts'

/** A model is its own only target; of a policy the first rule that matches gives the targets. */
export const matchingRule: Rule = (ctx, { facts }) => {
  const { claim } = ctx
  if (claim === undefined) return refuse(ctx, 'internal', 'No claim.')
  if (claim.kind === 'model') return next(direct(ctx, claim.model))
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
  return next({ ...ctx, rule: inForce(policy, rule), candidates: candidatesOf(rule) })
}

function direct(ctx: Ctx, model: CompiledModel): Ctx {
  const fallback = { enabled: false, when: DEFAULT_WHEN, targets: [] }
  const rule: RuleInForce = { name: 'direct', key: model.entry.ref, strategy: 'WeightedRandom', fallback, policy: undefined }
  return { ...ctx, rule, candidates: [candidate({ model, weight: 1 }, 0)] }
}

const inForce = (policy: CompiledPolicy, { entry }: CompiledRule): RuleInForce => ({
  name: entry.name,
  key: `${policy.entry.ref}/${entry.name}`,
  strategy: entry.strategy,
  fallback: entry.fallback,
  policy,
})

function candidatesOf(rule: CompiledRule): readonly Candidate[] {
  const own = rule.targets.map((target) => candidate(target, 0))
  if (!rule.entry.fallback.enabled) return own
  const chain = rule.fallbackTargets.filter(({ model }) => !rule.targets.some((target) => target.model === model))
  return [...own, ...chain.map((target, index) => candidate(target, index + 1))]
}

function candidate({ model, weight }: CompiledTarget, tier: number): Candidate {
  const lost = model.withLastResorts.length === 0 ? 'it has no endpoint' : undefined
  return { model, weight, tier, endpoints: model.withLastResorts, lost }
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
