import type { CompiledModel, CompiledPolicy, CompiledRule, CompiledTarget } from '../routing-table/compiled.ts'
import { DEFAULT_WHEN } from './classes.ts'
import type { Candidate, Ctx, Input, RuleInForce } from './input.ts'

/** What a rule of a policy says, and the models it names: its own targets, then the chain that fallback adds. */
export interface Ruling {
  readonly rule: RuleInForce
  readonly candidates: readonly Candidate[]
}

/** Worked out once a table, not once a request: what is made of a compiled rule never changes. */
const RULINGS = new WeakMap<CompiledRule, Ruling>()
const DIRECT = new WeakMap<CompiledModel, Ruling>()

/** A model asked for by name is its own only target. */
export function directTo(model: CompiledModel): Ruling {
  const known = DIRECT.get(model)
  if (known !== undefined) return known
  const { ref } = model.entry
  const fallback = { enabled: false, when: DEFAULT_WHEN, targets: [] }
  const rule: RuleInForce = { name: 'direct', key: ref, strategy: 'WeightedRandom', fallback, sticky: undefined, policy: undefined }
  const made = { rule, candidates: [candidateOf({ model, weight: 1 }, 0)] }
  DIRECT.set(model, made)
  return made
}

export function rulingOf(policy: CompiledPolicy, rule: CompiledRule): Ruling {
  const known = RULINGS.get(rule)
  if (known !== undefined) return known
  const made = { rule: inForce(policy, rule), candidates: candidatesOf(rule) }
  RULINGS.set(rule, made)
  return made
}

/** What goes on from here: the rule, the models that may serve, and how each of them is. */
export const begin = (ctx: Ctx, { rule, candidates }: Ruling, { live, nowMs }: Input): Ctx => ({
  ...ctx,
  rule,
  candidates,
  views: candidates.map(({ model }) => live.model(model, nowMs)),
})

const inForce = (policy: CompiledPolicy, { entry }: CompiledRule): RuleInForce => ({
  name: entry.name,
  key: `${policy.entry.ref}/${entry.name}`,
  strategy: entry.strategy,
  fallback: entry.fallback,
  sticky: entry.sticky,
  policy,
})

function candidatesOf(rule: CompiledRule): readonly Candidate[] {
  const own = rule.targets.map((target) => candidateOf(target, 0))
  if (!rule.entry.fallback.enabled) return own
  const chain = rule.fallbackTargets.filter(({ model }) => !rule.targets.some((target) => target.model === model))
  return [...own, ...chain.map((target, index) => candidateOf(target, index + 1))]
}

export function candidateOf({ model, weight }: CompiledTarget, tier: number): Candidate {
  const lost = model.withLastResorts.length === 0 ? 'it has no endpoint' : undefined
  return { model, weight, tier, endpoints: model.withLastResorts, lost }
}
