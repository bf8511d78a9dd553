import type { Model, Policy } from '../../proxy/routing-table/index.ts'
import { type ModelResource, objectKey, type PolicyResource, type Resources } from '../resources/snapshot.ts'
import { objectName } from './names.ts'
import { inPrecedence } from './precedence.ts'
import { conditionOf, type Problem } from './problems.ts'

export interface Condition {
  readonly type: 'Accepted' | 'ResolvedRefs' | 'Programmed' | 'Ready'
  readonly status: 'True' | 'False' | 'Unknown'
  readonly reason: string
  readonly message: string
}

/** What translate knows of one object's status. `report/` adds endpoints, programmed and the last word on Programmed and Ready. */
export interface ObjectStatus {
  readonly kind: 'LlamaModel' | 'RoutingPolicy'
  readonly ref: string
  readonly observedGeneration: number
  /** Of the names the object asks for, those it answers to. */
  readonly servedNames: readonly string[]
  readonly conditions: readonly Condition[]
  /** Strings for printer columns. */
  readonly summary: Readonly<Record<string, string>>
}

/** A condition's message tells every problem up to this length; the rest are events. */
const MAX_MESSAGE_CHARACTERS = 1024
/** The schema's bound on a summary. */
const MAX_COLUMN_CHARACTERS = 1024

export function makeStatuses(
  resources: Resources,
  models: readonly Model[],
  policies: readonly Policy[],
  problems: readonly Problem[],
): readonly ObjectStatus[] {
  const byObject = Map.groupBy(problems, ({ object }) => object)
  const served = new Map<string, readonly string[]>([
    ...models.map((model) => [`LlamaModel ${model.ref}`, model.names] as const),
    ...policies.map((policy) => [`RoutingPolicy ${policy.ref}`, policy.names] as const),
  ])
  const status = (resource: ModelResource | PolicyResource): ObjectStatus => ({
    kind: resource.kind,
    ref: objectKey(resource.metadata),
    observedGeneration: resource.metadata.generation,
    servedNames: served.get(objectName(resource)) ?? [],
    conditions: conditions(byObject.get(objectName(resource)) ?? []),
    summary: resource.kind === 'LlamaModel' ? modelSummary(resource) : policySummary(resource),
  })
  return [...inPrecedence(resources.models).map(status), ...inPrecedence(resources.policies).map(status)]
}

function conditions(problems: readonly Problem[]): readonly Condition[] {
  return [
    judged('Accepted', problems),
    judged('ResolvedRefs', problems),
    { type: 'Programmed', status: 'Unknown', reason: 'Pending', message: '' },
    { type: 'Ready', status: 'Unknown', reason: 'Pending', message: '' },
  ]
}

function judged(type: 'Accepted' | 'ResolvedRefs', problems: readonly Problem[]): Condition {
  const [first, ...more] = problems.filter(({ code }) => conditionOf(code) === type)
  if (first === undefined) return { type, status: 'True', reason: type, message: '' }
  const message = [first, ...more].map(({ at, message: text }) => `${at}: ${text}`).join(' ')
  return { type, status: 'False', reason: first.code, message: message.slice(0, MAX_MESSAGE_CHARACTERS) }
}

function modelSummary({ spec }: ModelResource): ObjectStatus['summary'] {
  const engines = new Set(spec.backends.map(({ engine }) => engine))
  return { engines: column([...engines]), backends: column(spec.backends.map(({ name }) => name)) }
}

function policySummary({ spec }: PolicyResource): ObjectStatus['summary'] {
  const targets = [...(spec.rules ?? []).flatMap((rule) => rule.targets ?? []), ...(spec.targets ?? [])]
  return { virtualModels: column(spec.virtualModels), targets: column([...new Set(targets.map(({ model }) => model))]) }
}

const column = (names: readonly string[]): string => names.join(',').slice(0, MAX_COLUMN_CHARACTERS)
