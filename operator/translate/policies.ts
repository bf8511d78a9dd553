import {
  FALLBACK_CLASSES,
  type Fallback,
  type FallbackClass,
  type HeaderMatch,
  type Match,
  type Model,
  type Policy,
  type PolicyRule,
  type Range,
  type Ref,
} from '../../proxy/routing-table/index.ts'
import type {
  Fallback as FallbackSpec,
  HeaderMatch as HeaderSpec,
  RoutingPolicySpec,
  RuleMatch,
  PolicyRule as RuleSpec,
} from '../resources/crds.generated.ts'
import { objectKey, type PolicyResource } from '../resources/snapshot.ts'
import { translateAccess } from './access.ts'
import { type Chains, namesPolicies } from './chains.ts'
import type { Changes } from './changes.ts'
import { translateClientMatch, translateClients, translateLimits } from './client-terms.ts'
import { judgeMatches } from './judge-matches.ts'
import { judgePolicy, OWN_RULE } from './judge-policy.ts'
import { type Names, objectName } from './names.ts'
import { type Problem, problem } from './problems.ts'
import { decimals } from './quantity.ts'
import { equal, reuse } from './reuse.ts'
import { translateSchedule } from './schedule.ts'
import { setFields } from './set-fields.ts'
import { findFallbacks, findTargets, type Seeker } from './targets.ts'

interface BuiltRule {
  readonly rule: PolicyRule
  readonly problems: readonly Problem[]
}

export interface BuiltPolicy {
  readonly resource: PolicyResource
  /** Names it won. */
  readonly names: readonly string[]
  /** Undefined: no rule of it has a target, so it is left out of the table. It keeps its names. */
  readonly policy: Policy | undefined
  readonly problems: readonly Problem[]
  /** The models it looked for, as they were. */
  readonly seen: ReadonlyMap<Ref, Model | undefined>
}

export interface PolicyContext {
  readonly chains: Chains
  readonly names: Names
  readonly models: ReadonlyMap<Ref, Model>
  readonly changes: Changes
}

const NO_CEILING = { perRequest: undefined, perMillionOutputTokens: undefined }

/** The classes of failure after which another target is tried, unless `fallback.when` says otherwise. */
export const DEFAULT_WHEN: readonly FallbackClass[] = FALLBACK_CLASSES.filter((name) => name !== 'ContentFilter')

/** `before` is what this made of it last; while nothing it depends on has changed, that holds. */
export function translatePolicy(resource: PolicyResource, context: PolicyContext, before: BuiltPolicy | undefined): BuiltPolicy {
  const names = context.names.won.get(objectName(resource)) ?? []
  if (before !== undefined && before.resource === resource && equal(before.names, names) && !isTouched(before, context)) return before
  const seen = new Map<Ref, Model | undefined>()
  const look = (ref: Ref): Model | undefined => {
    const model = context.models.get(ref)
    seen.set(ref, model)
    return model
  }
  const { policy, problems } = build(resource, names, { get: look }, context)
  return { resource, names, policy: reuse(before?.policy, policy), problems: reuse(before?.problems, problems), seen }
}

function isTouched({ resource, seen }: BuiltPolicy, { changes, models }: PolicyContext): boolean {
  if (namesPolicies(resource) && changes.policies.size + changes.namespaces.size > 0) return true
  if (changes.namespaces.size > 0 && resource.spec.access.from === 'Selector') return true
  for (const [ref, model] of seen) if (models.get(ref) !== model) return true
  return false
}

function build(
  resource: PolicyResource,
  names: readonly string[],
  models: Seeker['models'],
  { chains }: PolicyContext,
): Pick<BuiltPolicy, 'policy' | 'problems'> {
  const object = objectName(resource)
  const { metadata, spec } = resource
  const seeker = { object, namespace: metadata.namespace, ref: objectKey(metadata), chains, models }
  const built = ruleSpecs(spec).map(({ rule, at, targetsAt }) => translateRule(rule, spec, { at, targetsAt }, seeker))
  const rules = built.map(({ rule }) => rule)
  const problems = [...judgePolicy(spec, rules, seeker), ...built.flatMap((one) => one.problems)]
  if (rules.every(isEmpty)) return { policy: undefined, problems: [...problems, problem('NoRule', object, 'spec')] }
  const policy = {
    ref: objectKey(metadata),
    generation: metadata.generation,
    ...setFields({ createdAtMs: metadata.createdAtMs }),
    names,
    access: translateAccess(spec.access, chains.namespaces),
    rules,
    ...setFields({
      clients: spec.clients === undefined ? undefined : translateClients(spec.clients, metadata.namespace),
      costCeiling: spec.costCeiling && decimals({ ...NO_CEILING, ...spec.costCeiling }),
      // Absent in a table means Allow.
      unknownPrice: spec.unknownPrice === 'Exclude' ? spec.unknownPrice : undefined,
    }),
  }
  return { policy, problems }
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
 * A rule's targets, strategy, fallback and limits replace the policy's whole. A rule whose targets are all unusable stays, empty: were it
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
    strategy: own.strategy ?? policy.strategy ?? 'Adaptive',
    targets,
    fallback: fallback.fallback,
    ...setFields({ sticky: own.sticky ?? policy.sticky, limits: own.limits && translateLimits(own.limits) }),
  }
  // What is wrong with the policy's own targets and fallback is said once, by the first rule that uses them: see `tellOnce`.
  const judged = [...judgeMatches(own.matches ?? [], `${at}.matches`, seeker.object), ...judgeRule(rule, targetsAt, seeker.object)]
  return { rule, problems: [...problems, ...fallback.problems, ...judged] }
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
  const { targets, problems } = findFallbacks(spec?.targets ?? [], `${at}.targets`, seeker)
  // Absent in a table means Error, and a proxy that does not know the field does nothing else.
  const interrupt = spec?.interrupt === 'Continue' ? spec.interrupt : undefined
  return { fallback: { enabled: spec?.enabled ?? false, when: spec?.when ?? DEFAULT_WHEN, targets, ...setFields({ interrupt }) }, problems }
}

function translateMatch(match: RuleMatch, namespace: string): Match {
  return setFields({
    capabilities: match.capabilities,
    promptTokens: match.promptTokens && translateRange(match.promptTokens),
    maxOutputTokens: match.maxOutputTokens && translateRange(match.maxOutputTokens),
    headers: match.headers?.map(translateHeader),
    paths: match.paths,
    schedule: match.schedule === undefined ? undefined : translateSchedule(match.schedule),
    cel: match.cel,
    clients: match.clients === undefined ? undefined : translateClientMatch(match.clients, namespace),
  })
}

const translateRange = ({ min, max }: NonNullable<RuleMatch['promptTokens']>): Range => setFields({ min, max })

function translateHeader({ type, name, value }: HeaderSpec): HeaderMatch {
  const lowerName = name.toLowerCase()
  return type === 'Present' ? { type, name: lowerName } : { type, name: lowerName, value: value ?? '' }
}
