import type { CompiledModel, CompiledPolicy, CompiledRule } from '../routing-table/compiled.ts'
import { DEFAULT_WHEN } from './classes.ts'
import type { Candidate, Ctx, Input, RuleInForce } from './input.ts'
import { type Asking, candidateOf, chained } from './policy-chain.ts'

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

/** A chain of models is the same for every request; what other policies say depends on the request. */
export function rulingOf(policy: CompiledPolicy, rule: CompiledRule, asking: Asking): Ruling {
  const ruling = ownRuling(policy, rule)
  const candidates = leadsToPolicies(rule) ? chained(rule, asking, (other, one) => ownRuling(other, one).rule) : ruling.candidates
  const { failedExpressions } = asking.matching
  return { rule: failedExpressions === 0 ? ruling.rule : { ...ruling.rule, failedExpressions }, candidates }
}

const leadsToPolicies = ({ entry, chain }: CompiledRule): boolean => entry.fallback.enabled && chain.some((one) => 'policy' in one)

/** What goes on from here: the rule, the models that may serve, and how each of them is. */
export function begin({ claim, panic }: Ctx, { rule, candidates }: Ruling, { live, nowMs }: Input): Ctx {
  return { claim, rule, candidates, outlook: live.outlook(candidates, nowMs), panic }
}

function ownRuling(policy: CompiledPolicy, rule: CompiledRule): Ruling {
  const known = RULINGS.get(rule)
  if (known !== undefined) return known
  const made = { rule: inForce(policy, rule), candidates: candidatesOf(rule) }
  RULINGS.set(rule, made)
  return made
}

const inForce = (policy: CompiledPolicy, { entry }: CompiledRule): RuleInForce => ({
  name: entry.name,
  key: `${policy.entry.ref}/${entry.name}`,
  strategy: entry.strategy,
  fallback: entry.fallback,
  sticky: entry.sticky,
  policy,
  ...(entry.limits !== undefined && { limits: entry.limits }),
})

/** Models only. */
function candidatesOf(rule: CompiledRule): readonly Candidate[] {
  const own = rule.targets.map((target) => candidateOf(target, 0))
  if (!rule.entry.fallback.enabled) return own
  const chain = rule.chain.filter((one) => 'model' in one).filter(({ model }) => !rule.targets.some((target) => target.model === model))
  return [...own, ...chain.map((target, index) => candidateOf(target, index + 1))]
}
