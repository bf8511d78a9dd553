import { type Model, mayUse, type Ref, type Target } from '../../proxy/routing-table/index.ts'
import type { Target as TargetSpec } from '../resources/crds.generated.ts'
import { type Problem, problem } from './problems.ts'

/** Whose targets: the policy, its namespace, and the models it may look among. */
export interface Seeker {
  readonly object: string
  readonly namespace: string
  readonly models: Pick<ReadonlyMap<Ref, Model>, 'get'>
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
  const targets = new Map<Ref, Target & { readonly spelled: string }>()
  const problems: Problem[] = []
  for (const [index, { model: spelled, weight }] of specs.entries()) {
    const found = findModel(spelled, `${at}[${index}].model`, seeker)
    const first = 'code' in found ? undefined : targets.get(found.ref)
    if ('code' in found) problems.push(found)
    else if (first !== undefined) problems.push(problem('TargetDuplicate', seeker.object, `${at}[${index}].model`, spelled, first.spelled))
    else targets.set(found.ref, { model: found.ref, weight: weight ?? found.weight, spelled })
  }
  return { targets: [...targets.values()].map(({ model, weight }) => ({ model, weight })), problems }
}

function findModel(spelled: string, at: string, { object, namespace, models }: Seeker): Model | Problem {
  const ref = spelled.includes('/') ? spelled : `${namespace}/${spelled}`
  const home = ref.slice(0, ref.indexOf('/'))
  const model = models.get(ref)
  if (model !== undefined && mayUse(model.access, home, namespace)) return model
  return home === namespace
    ? problem('TargetNotFound', object, at, ref.slice(home.length + 1), namespace)
    : problem('TargetNotShared', object, at, ref, namespace)
}
