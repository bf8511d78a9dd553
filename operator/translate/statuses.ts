import { type ModelResource, objectKey, type PolicyResource } from '../resources/snapshot.ts'
import { conditionOf, type Problem, type ProblemCode } from './problems.ts'
import { reuse } from './reuse.ts'

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

/** They follow from other problems, which are the reason to give. */
const CONSEQUENCES: ReadonlySet<ProblemCode> = new Set(['NoCredential', 'NoBackend', 'NoTarget', 'NoRule'])
/** A condition's message tells every problem up to this length; the rest are events. */
const MAX_MESSAGE_CHARACTERS = 1024
/** The schema's bound on a summary. */
const MAX_COLUMN_CHARACTERS = 1024

export interface MadeStatus {
  readonly resource: ModelResource | PolicyResource
  readonly served: readonly string[]
  readonly problems: readonly Problem[]
  readonly status: ObjectStatus
}

/** `problems` are all that is wrong with this object; `before` is what this made of it last. */
export function makeStatus(
  resource: ModelResource | PolicyResource,
  served: readonly string[],
  problems: readonly Problem[],
  before: MadeStatus | undefined,
): MadeStatus {
  if (before?.resource === resource && before.served === served && before.problems === problems) return before
  const status: ObjectStatus = {
    kind: resource.kind,
    ref: objectKey(resource.metadata),
    observedGeneration: resource.metadata.generation,
    servedNames: served,
    conditions: conditions(problems),
    summary: resource.kind === 'LlamaModel' ? modelSummary(resource) : policySummary(resource),
  }
  return { resource, served, problems, status: reuse(before?.status, status) }
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
  const found = problems.filter(({ code }) => conditionOf(code) === type)
  const [first, ...more] = found.toSorted((a, b) => Number(CONSEQUENCES.has(a.code)) - Number(CONSEQUENCES.has(b.code)))
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
