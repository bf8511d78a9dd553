import { type FallbackTarget, type Model, mayUse, type PolicyTarget, type Ref, type Target } from '../../proxy/routing-table/index.ts'
import type { FallbackTarget as FallbackSpec, Target as TargetSpec } from '../resources/crds.generated.ts'
import { type Chains, cycleThrough, mayFollow, refOf } from './chains.ts'
import { type Problem, problem } from './problems.ts'

/** Whose targets: the policy, its namespace, and the models and policies it may look among. */
export interface Seeker {
  readonly object: string
  readonly namespace: string
  /** Of the policy. */
  readonly ref: Ref
  readonly chains: Chains
  readonly models: Pick<ReadonlyMap<Ref, Model>, 'get'>
}

export interface FoundFallbacks {
  readonly targets: readonly FallbackTarget[]
  readonly problems: readonly Problem[]
}

export interface FoundTargets {
  readonly targets: readonly Target[]
  readonly problems: readonly Problem[]
}

/**
 * Turns "model" and "namespace/model" into refs and gives each its weight: its own, else its model's. Two spellings of one model count
 * once. A model of another namespace that does not exist and one that is not shared sound alike, so that policies cannot probe for names.
 */
export function findTargets(specs: readonly TargetSpec[], at: string, seeker: Seeker): FoundTargets {
  const seen = new Map<Ref, string>()
  const found = specs.map((spec, index) => findTarget(spec, `${at}[${index}].model`, seen, seeker))
  return { targets: found.flatMap((one) => ('code' in one ? [] : [one])), problems: found.flatMap((one) => ('code' in one ? [one] : [])) }
}

/** The same of a fallback chain, whose items may also be other policies. */
export function findFallbacks(specs: readonly FallbackSpec[], at: string, seeker: Seeker): FoundFallbacks {
  const seen = new Map<Ref, string>()
  const found = specs.map(({ model = '', policy }, index) =>
    policy === undefined
      ? findTarget({ model }, `${at}[${index}].model`, seen, seeker)
      : findPolicy(policy, `${at}[${index}].policy`, seeker),
  )
  return { targets: found.flatMap((one) => ('code' in one ? [] : [one])), problems: found.flatMap((one) => ('code' in one ? [one] : [])) }
}

/** `seen`: how each ref was spelled first. */
function findTarget({ model: spelled, weight }: TargetSpec, at: string, seen: Map<Ref, string>, seeker: Seeker): Target | Problem {
  const found = findModel(spelled, at, seeker)
  if ('code' in found) return found
  const first = seen.get(found.ref)
  if (first !== undefined) return problem('TargetDuplicate', seeker.object, at, spelled, first)
  seen.set(found.ref, spelled)
  return { model: found.ref, weight: weight ?? found.weight }
}

function findPolicy(spelled: string, at: string, { object, namespace, ref: own, chains }: Seeker): PolicyTarget | Problem {
  const ref = refOf(spelled, namespace)
  if (!mayFollow(chains, ref, namespace)) return problem('PolicyNotFound', object, at, spelled, namespace)
  const cycle = cycleThrough(chains, own, ref)
  return cycle === undefined ? { policy: ref } : problem('FallbackCycle', object, at, cycle.join(' → '))
}

function findModel(spelled: string, at: string, { object, namespace, models }: Seeker): Model | Problem {
  const ref = refOf(spelled, namespace)
  const home = ref.slice(0, ref.indexOf('/'))
  const model = models.get(ref)
  if (model !== undefined && mayUse(model.access, home, namespace)) return model
  return home === namespace
    ? problem('TargetNotFound', object, at, ref.slice(home.length + 1), namespace)
    : problem('TargetNotShared', object, at, ref, namespace)
}
