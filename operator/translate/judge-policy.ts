import { type Backend, type Model, modelTargets, type PolicyRule, type Ref } from '../../proxy/routing-table/index.ts'
import type { RoutingPolicySpec } from '../resources/crds.generated.ts'
import { type Problem, problem } from './problems.ts'
import type { Seeker } from './targets.ts'

/** Name of the rule that the policy's own targets make. */
export const OWN_RULE = 'default'

/** What is wrong with a policy whose rules are made. */
export function judgePolicy(spec: RoutingPolicySpec, rules: readonly PolicyRule[], seeker: Seeker): readonly Problem[] {
  return [...judgeNames(spec, seeker.object), ...judgeInterrupts(spec, rules, seeker), ...judgeCosts(spec, rules, seeker)]
}

/** Both rules work; status, metrics and headers could not tell them apart. */
function judgeNames({ rules, targets }: RoutingPolicySpec, object: string): readonly Problem[] {
  const index = targets === undefined ? -1 : (rules ?? []).findIndex(({ name }) => name === OWN_RULE)
  return index < 0 ? [] : [problem('RuleNameTaken', object, `spec.rules[${index}].name`, OWN_RULE)]
}

/** Rules come in the order of the spec's; one more is the policy's own. What the policy says for several rules is judged by all of them. */
function judgeInterrupts(spec: RoutingPolicySpec, rules: readonly PolicyRule[], seeker: Seeker): readonly Problem[] {
  const own = (spec.rules ?? []).map(({ fallback }) => fallback !== undefined)
  const places = Map.groupBy(rules, (_rule, index) => (own[index] === true ? `spec.rules[${index}].fallback` : 'spec.fallback'))
  return [...places].flatMap(([at, judged]) => {
    const asked = judged.filter(({ fallback }) => fallback.interrupt === 'Continue')
    const models = leadsElsewhere(asked) ? [] : modelsOf(asked, seeker)
    return models.length > 0 && !models.some(({ backends }) => backends.some(mayContinue))
      ? [problem('NothingContinues', seeker.object, `${at}.interrupt`)]
      : []
  })
}

/** What other policies name is theirs. */
const leadsElsewhere = (rules: readonly PolicyRule[]): boolean =>
  rules.some(({ fallback }) => fallback.targets.some((target) => 'policy' in target))

/** Capabilities that nobody declared are found out later. */
const mayContinue = ({ capabilities }: Backend): boolean => capabilities === undefined || capabilities.includes('prefixContinuation')

/** A limit on money, or a choice by it, that cannot hold for a model as nobody knows what it costs. */
function judgeCosts(spec: RoutingPolicySpec, rules: readonly PolicyRule[], seeker: Seeker): readonly Problem[] {
  const limited = (spec.clients ?? []).flatMap(({ limits }, index) =>
    limits?.costPerDay === undefined ? [] : [{ code: 'CostUnknown' as const, at: `spec.clients[${index}].limits.costPerDay` }],
  )
  const capped = spec.costCeiling === undefined ? [] : [{ code: CEILING[spec.unknownPrice], at: 'spec.costCeiling' }]
  const ofRules = rules.flatMap((rule, index) =>
    rule.limits?.costPerDay === undefined
      ? []
      : toldOf([{ code: 'CostUnknown', at: `spec.rules[${index}].limits.costPerDay` }], [rule], seeker),
  )
  const told = [...toldOf([...limited, ...capped], rules, seeker), ...ofRules]
  const compared = rules.filter(({ strategy }) => strategy === 'LowestCost')
  const excludes = spec.costCeiling === undefined && spec.unknownPrice === 'Exclude'
  return excludes ? [...told, ...toldOf([{ code: 'PriceUnknown', at: 'spec.unknownPrice' }], compared, seeker)] : told
}

interface Found {
  readonly code: 'CostUnknown' | 'CeilingUnknown' | 'PriceUnknown'
  readonly at: string
}

/** Of the models that these rules name and that have no price; nothing where all have one. */
function toldOf(found: readonly Found[], rules: readonly PolicyRule[], seeker: Seeker): readonly Problem[] {
  if (found.length === 0) return []
  const [first, ...more] = modelsOf(rules, seeker).filter(({ backends }) => !backends.every(isPriced))
  if (first === undefined) return []
  return found.map(({ code, at }) => problem(code, seeker.object, at, first.ref, more.length === 0 ? '' : `${more.length}`))
}

const CEILING = { Allow: 'CeilingUnknown', Exclude: 'PriceUnknown' } as const

/** What an hour costs becomes a price of tokens once something has been served. */
const isPriced = ({ pricing }: Backend): boolean =>
  pricing?.perHour !== undefined || (pricing?.inputPerMillionTokens !== undefined && pricing.outputPerMillionTokens !== undefined)

/** Each once, in the order of the rules. */
function modelsOf(rules: readonly PolicyRule[], { models }: Seeker): readonly Model[] {
  const refs = new Set<Ref>(
    rules.flatMap(({ targets, fallback }) => [...targets, ...modelTargets(fallback.targets)].map(({ model }) => model)),
  )
  return [...refs].flatMap((ref) => models.get(ref) ?? [])
}
