import {
  FALLBACK_CLASSES,
  type Fallback,
  type FallbackClass,
  type HeaderMatch,
  type Match,
  type Model,
  type Policy,
  type PolicyRule,
  type Ref,
} from '../../proxy/routing-table/index.ts'
import type {
  Fallback as FallbackSpec,
  HeaderMatch as HeaderSpec,
  RoutingPolicySpec,
  RuleMatch,
  PolicyRule as RuleSpec,
} from '../resources/crds.generated.ts'
import { objectKey, type PolicyResource, type Resources } from '../resources/snapshot.ts'
import { translateAccess } from './access.ts'
import { type Names, objectName } from './names.ts'
import { inPrecedence } from './precedence.ts'
import { type Problem, problem } from './problems.ts'
import { setFields } from './set-fields.ts'
import { findTargets, type Seeker } from './targets.ts'

interface BuiltRule {
  readonly rule: PolicyRule
  readonly problems: readonly Problem[]
}

export interface BuiltPolicies {
  readonly policies: readonly Policy[]
  readonly problems: readonly Problem[]
}

/** Name of the rule that the policy's own targets make. */
const OWN_RULE = 'default'

/** The classes of failure after which another target is tried, unless `fallback.when` says otherwise. */
export const DEFAULT_WHEN: readonly FallbackClass[] = FALLBACK_CLASSES.filter((name) => name !== 'ContentFilter')

/** One entry per RoutingPolicy that has a target somewhere, in precedence order. One without any is left out and keeps its names. */
export function translatePolicies(resources: Resources, names: Names, models: readonly Model[]): BuiltPolicies {
  const byRef = new Map(models.map((model) => [model.ref, model]))
  const built = inPrecedence(resources.policies).map((resource) => translatePolicy(resource, names, byRef, resources))
  return { policies: built.flatMap(({ policies }) => policies), problems: built.flatMap(({ problems }) => problems) }
}

function translatePolicy(
  resource: PolicyResource,
  names: Names,
  models: ReadonlyMap<Ref, Model>,
  { namespaces }: Resources,
): BuiltPolicies {
  const object = objectName(resource)
  const { metadata, spec } = resource
  const seeker = { object, namespace: metadata.namespace, models }
  const built = ruleSpecs(spec).map(({ rule, at, targetsAt }) => translateRule(rule, spec, { at, targetsAt }, seeker))
  const problems = [...judgeNames(spec, object), ...built.flatMap((one) => one.problems)]
  const rules = built.map(({ rule }) => rule)
  if (rules.every(isEmpty)) return { policies: [], problems: [...problems, problem('NoRule', object, 'spec')] }
  const policy = {
    ref: objectKey(metadata),
    generation: metadata.generation,
    ...setFields({ createdAtMs: metadata.createdAtMs }),
    names: names.won.get(object) ?? [],
    access: translateAccess(spec.access, namespaces),
    rules,
  }
  return { policies: [policy], problems }
}

/** Both rules work; status, metrics and headers could not tell them apart. */
function judgeNames({ rules, targets }: RoutingPolicySpec, object: string): readonly Problem[] {
  const index = targets === undefined ? -1 : (rules ?? []).findIndex(({ name }) => name === OWN_RULE)
  return index < 0 ? [] : [problem('RuleNameTaken', object, `spec.rules[${index}].name`, OWN_RULE)]
}

const isEmpty = ({ targets, fallback }: PolicyRule): boolean => targets.length === 0 && fallback.targets.length === 0

/** The rules in order; the policy's own targets are the last, without matches. A rule without targets has the policy's. */
function ruleSpecs(spec: RoutingPolicySpec): readonly { readonly rule: RuleSpec; readonly at: string; readonly targetsAt: string }[] {
  const listed = (spec.rules ?? []).map((rule, index) => {
    const at = `spec.rules[${index}]`
    return { rule, at, targetsAt: rule.targets === undefined ? 'spec.targets' : `${at}.targets` }
  })
  return spec.targets === undefined ? listed : [...listed, { rule: { name: OWN_RULE }, at: 'spec', targetsAt: 'spec.targets' }]
}

/**
 * A rule's targets, strategy and fallback replace the policy's whole. A rule whose targets are all unusable stays, empty: were it
 * dropped, its requests would reach models of a later rule that it was written to keep them from.
 */
function translateRule(
  own: RuleSpec,
  policy: RoutingPolicySpec,
  { at, targetsAt }: { at: string; targetsAt: string },
  seeker: Seeker,
): BuiltRule {
  const { targets, problems } = findTargets(own.targets ?? policy.targets ?? [], targetsAt, seeker)
  const fallback = translateFallback(
    own.fallback ?? policy.fallback,
    own.fallback === undefined ? 'spec.fallback' : `${at}.fallback`,
    seeker,
  )
  const matches = (own.matches ?? []).map((match) => translateMatch(match, seeker.namespace))
  const rule = {
    name: own.name,
    matches,
    strategy: own.strategy ?? policy.strategy ?? 'WeightedRandom',
    targets,
    fallback: fallback.fallback,
  }
  // What is wrong with the policy's own targets and fallback is said once, by the first rule that uses them: see `unique` in translate.ts.
  return { rule, problems: [...problems, ...fallback.problems, ...judgeRule(rule, targetsAt, seeker.object)] }
}

function judgeRule(rule: PolicyRule, at: string, object: string): readonly Problem[] {
  if (isEmpty(rule)) return [problem('NoTarget', object, at, rule.name)]
  return rule.targets.length > 0 && rule.targets.every(({ weight }) => weight === 0) ? [problem('TargetsWeightless', object, at)] : []
}

/** No fallback at all means none: a policy asks for it. */
function translateFallback(
  spec: FallbackSpec | undefined,
  at: string,
  seeker: Seeker,
): { fallback: Fallback; problems: readonly Problem[] } {
  const { targets, problems } = findTargets(spec?.targets ?? [], `${at}.targets`, seeker)
  return { fallback: { enabled: spec?.enabled ?? false, when: spec?.when ?? DEFAULT_WHEN, targets }, problems }
}

function translateMatch(match: RuleMatch, namespace: string): Match {
  return setFields({
    capabilities: match.capabilities,
    promptTokens: match.promptTokens === undefined ? undefined : setFields({ min: match.promptTokens.min, max: match.promptTokens.max }),
    headers: match.headers?.map(translateHeader),
    paths: match.paths,
    clients: match.clients === undefined ? undefined : translateClients(match.clients, namespace),
  })
}

function translateHeader({ type, name, value }: HeaderSpec): HeaderMatch {
  const lowerName = name.toLowerCase()
  return type === 'Present' ? { type, name: lowerName } : { type, name: lowerName, value: value ?? '' }
}

/** A client is "namespace/secretName"; a name alone is one of the policy's own namespace. */
function translateClients({ names, namespaces }: NonNullable<RuleMatch['clients']>, home: string): NonNullable<Match['clients']> {
  return setFields({ names: names?.map((name) => (name.includes('/') ? name : `${home}/${name}`)), namespaces })
}
