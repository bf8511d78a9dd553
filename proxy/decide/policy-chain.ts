import type { CompiledModel, CompiledPolicy, CompiledRule, CompiledTable, CompiledTarget } from '../routing-table/compiled.ts'
import type { Ref } from '../routing-table/v1.ts'
import type { Candidate, RuleInForce } from './input.ts'
import type { Matching } from './match/match.ts'

/** Policies in the chain of policies in the chain: as deep as this. Translate refuses cycles; here nothing depends on that. */
const MAX_DEPTH = 4
const MAX_POLICIES = 64
const MAX_CANDIDATES = 64

export interface Asking {
  readonly table: CompiledTable
  readonly matching: Matching
}

/** What a rule of a policy says. */
type InForce = (policy: CompiledPolicy, rule: CompiledRule) => RuleInForce

export function candidateOf({ model, weight }: CompiledTarget, tier: number): Candidate {
  const lost = model.withLastResorts.length === 0 ? 'it has no endpoint' : undefined
  return { model, weight, tier, endpoints: model.withLastResorts, lost }
}

/** A rule of a policy in the chain, for one request. */
interface Step {
  readonly policy: CompiledPolicy
  readonly rule: CompiledRule
}

/** What was made of a rule and the rules that its chain led to; of each rule the last few ways. */
const CHAINS = new WeakMap<CompiledRule, readonly Way[]>()
const MAX_WAYS = 4

interface Way {
  readonly steps: readonly Step[]
  readonly candidates: readonly Candidate[]
}

/** The same list while the chain leads to the same rules: what is seen of its models is kept by that list. */
export function chained(rule: CompiledRule, asking: Asking, inForce: InForce): readonly Candidate[] {
  const steps = stepsFrom(rule, asking)
  const ways = CHAINS.get(rule) ?? []
  const known = ways.find((way) => way.steps.length === steps.length && way.steps.every((step, at) => step.rule === steps[at]?.rule))
  if (known !== undefined) return known.candidates
  const made = { steps, candidates: new Chain(steps, inForce).follow(rule) }
  CHAINS.set(rule, [made, ...ways.slice(0, MAX_WAYS - 1)])
  return made.candidates
}

/** Of each policy the rule that holds for the request, in the order in which the chain gets there; each policy once. */
function stepsFrom(rule: CompiledRule, { table, matching }: Asking): readonly Step[] {
  const steps: Step[] = []
  const seen = new Set<Ref>()
  const walk = ({ entry, chain }: CompiledRule, depth: number): void => {
    if (!entry.fallback.enabled || depth >= MAX_DEPTH) return
    for (const target of chain) {
      if ('model' in target || seen.has(target.policy) || seen.size >= MAX_POLICIES) continue
      seen.add(target.policy)
      const policy = table.policies.get(target.policy)
      const next = policy?.rules.find((one) => matching.holds(one))
      if (policy === undefined || next === undefined) continue
      steps.push({ policy, rule: next })
      walk(next, depth + 1)
    }
  }
  walk(rule, 0)
  return steps
}

/** Collects the candidates of a rule and of the rules that its chain leads to, in order, each model once. */
class Chain {
  readonly #steps: ReadonlyMap<Ref, Step>
  readonly #inForce: InForce
  readonly #entered = new Set<Step>()
  readonly #found = new Map<CompiledModel, Candidate>()
  #tier = 0

  constructor(steps: readonly Step[], inForce: InForce) {
    this.#inForce = inForce
    this.#steps = new Map(steps.map((step) => [step.policy.entry.ref, step]))
  }

  follow(rule: CompiledRule): readonly Candidate[] {
    this.#take(rule, undefined)
    return [...this.#found.values()]
  }

  /** One tier of a rule's own targets, chosen among by that rule, then what follows them. */
  #take(rule: CompiledRule, via: RuleInForce | undefined): void {
    this.#add(rule.targets, via)
    if (!rule.entry.fallback.enabled) return
    for (const target of rule.chain) {
      if ('model' in target) this.#add([target], undefined)
      else this.#enter(this.#steps.get(target.policy))
    }
  }

  #enter(step: Step | undefined): void {
    if (step === undefined || this.#entered.has(step)) return
    this.#entered.add(step)
    this.#take(step.rule, this.#inForce(step.policy, step.rule))
  }

  #add(targets: readonly CompiledTarget[], via: RuleInForce | undefined): void {
    for (const target of targets) {
      if (this.#found.has(target.model) || this.#found.size >= MAX_CANDIDATES) continue
      const candidate = candidateOf(target, this.#tier)
      this.#found.set(target.model, via === undefined ? candidate : { ...candidate, via })
    }
    this.#tier++
  }
}
