import { type Match, type Model, mayUse, type Policy, type PolicyRule, splitRef, type Target } from '../../proxy/routing-table/index.ts'
import type { Resources } from '../resources/snapshot.ts'
import type { Names } from './names.ts'
import { DEFAULT_WHEN } from './policies.ts'
import { byText } from './precedence.ts'
import { type Problem, problem } from './problems.ts'

const NAME = 'auto'
const HOME = 'default'
const REF = `${HOME}/${NAME}`
/** The table's bounds on a match, a rule and a policy. Namespaces past them get what is shared with all. */
const MAX_NAMESPACES_PER_MATCH = 8
const MAX_NAMESPACES_PER_RULE = 64
const MAX_RULES = 32
/** A decision looks at each target: so many keep it within microseconds. */
const MAX_TARGETS = 64

export interface BuiltAuto {
  readonly policies: readonly Policy[]
  readonly problems: readonly Problem[]
}

const NOTHING: BuiltAuto = { policies: [], problems: [] }

/**
 * Standalone's `auto`: one virtual model for every client, over all Public models that this client's namespace may use. It exists
 * only where no object claims the name (nor the ref "default/auto"). Namespaces that may use the same models share a rule; the last
 * rule has the models shared with all, for clients of namespaces that nothing mentions. Of more models than a rule takes it has those of
 * the lowest priority, then of the highest weight, then the first by name.
 */
export function builtInAuto(resources: Resources, names: Names, models: readonly Model[]): BuiltAuto {
  if (!resources.settings.builtInAuto || names.claimed.has(NAME) || resources.policies.has(REF)) return NOTHING
  const open = models.filter(({ visibility, backends }) => visibility === 'Public' && backends.length > 0)
  const forAll = open.filter(({ access }) => access.from === 'All')
  const groups = [...groupNamespaces(resources, open)].filter(([targets]) => targets !== keyOf(forAll))
  const rules = groups.flatMap(([targets, namespaces]) => rulesFor(namespaces, targetsOf(open, targets)))
  if (forAll.length > 0) rules.splice(MAX_RULES, Number.POSITIVE_INFINITY, rule([], targetsOf(open, keyOf(forAll))))
  const named = rules.slice(0, MAX_RULES + 1).map((one, index) => ({ ...one, name: index === 0 ? 'default' : `default-${index + 1}` }))
  if (named.length === 0) return NOTHING
  return {
    policies: [{ ref: REF, generation: 1, names: [NAME], access: { from: 'All' }, rules: named }],
    problems: problemsOf(open, named),
  }
}

/** Refs of the usable models, joined → the namespaces that may use exactly these. */
function groupNamespaces(resources: Resources, models: readonly Model[]): ReadonlyMap<string, readonly string[]> {
  const groups = new Map<string, string[]>()
  for (const namespace of knownNamespaces(resources)) {
    const usable = models.filter(({ ref, access }) => mayUse(access, splitRef(ref).namespace, namespace))
    const group = groups.get(keyOf(usable))
    if (group !== undefined) group.push(namespace)
    else if (usable.length > 0) groups.set(keyOf(usable), [namespace])
  }
  return groups
}

/** `default` first, as most installations have no other. */
function knownNamespaces({ namespaces, models, clientKeys }: Resources): readonly string[] {
  const mentioned = [...models.values(), ...clientKeys.values()].map(({ metadata }) => metadata.namespace)
  const others = new Set([...namespaces.keys(), ...mentioned])
  others.delete(HOME)
  return [HOME, ...[...others].sort(byText)]
}

const keyOf = (models: readonly Model[]): string => models.map(({ ref }) => ref).join(' ')

function targetsOf(models: readonly Model[], key: string): readonly Target[] {
  const refs = new Set(key.split(' '))
  const usable = models.filter(({ ref }) => refs.has(ref))
  const chosen = new Set(usable.length > MAX_TARGETS ? usable.toSorted(byPreference).slice(0, MAX_TARGETS) : usable)
  return usable.filter((model) => chosen.has(model)).map(({ ref, weight }) => ({ model: ref, weight }))
}

const byPreference = (a: Model, b: Model): number => a.priority - b.priority || b.weight - a.weight || byText(a.ref, b.ref)

/** Those that no rule has, told of once. */
function problemsOf(open: readonly Model[], rules: readonly PolicyRule[]): readonly Problem[] {
  if (open.length <= MAX_TARGETS) return []
  const taken = new Set(rules.flatMap(({ targets }) => targets.map(({ model }) => model)))
  const [first, ...others] = open.filter(({ ref }) => !taken.has(ref)).toSorted(byPreference)
  if (first === undefined) return []
  return [
    problem('AutoFull', `LlamaModel ${first.ref}`, 'metadata.name', String(MAX_TARGETS), others.length === 0 ? '' : String(others.length)),
  ]
}

function rulesFor(namespaces: readonly string[], targets: readonly Target[]): readonly PolicyRule[] {
  return chunks(namespaces, MAX_NAMESPACES_PER_RULE).map((some) =>
    rule(
      chunks(some, MAX_NAMESPACES_PER_MATCH).map((few) => ({ clients: { namespaces: few } })),
      targets,
    ),
  )
}

function rule(matches: readonly Match[], targets: readonly Target[]): PolicyRule {
  return { name: 'default', matches, strategy: 'Adaptive', targets, fallback: { enabled: true, when: DEFAULT_WHEN, targets: [] } }
}

function chunks<T>(list: readonly T[], size: number): readonly (readonly T[])[] {
  return Array.from({ length: Math.ceil(list.length / size) }, (_, index) => list.slice(index * size, (index + 1) * size))
}
