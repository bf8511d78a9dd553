/** What statuses are made of, for one object. PURE. */
import type { EndpointSet, Policy, RoutingTable } from '../../proxy/routing-table/index.ts'
import { type ModelResource, objectKey, type PolicyResource, type Resources } from '../resources/snapshot.ts'
import type { Problem } from '../translate/problems.ts'
import type { ObjectStatus } from '../translate/statuses.ts'
import type { BackendReason, RuleReason } from './reasons.ts'

/** "LlamaModel namespace/name" or "RoutingPolicy namespace/name". */
export type ObjectName = string

/** A gateway that serves something older, or nothing. */
export interface RejectionFacts {
  /** "namespace/pod". */
  readonly proxy: string
  readonly reason: string
  /** JSON pointer. */
  readonly pointer: string
  readonly message: string
}

/** How far gateways are with the newest version of an object. Sidecars do not count. */
export interface ProgrammingFacts {
  /** Those that have confirmed once and are connected, or gone for less than 10 s. */
  readonly gateways: number
  readonly acked: number
  /** Since when a gateway has not answered; milliseconds since the epoch. */
  readonly pendingSinceMs?: number
  readonly rejected: readonly RejectionFacts[]
}

/** Gateways that say of an endpoint that it takes requests, and that it does not; the others do not know. */
export interface EndpointVotes {
  readonly up: number
  readonly down: number
  /** What a gateway has found there. */
  readonly engine?: string
}

/** What translate made, of one moment. */
export interface Translated {
  readonly resources: Pick<Resources, 'models' | 'policies'>
  readonly table: Pick<RoutingTable, 'models' | 'policies' | 'endpointSets'>
  readonly statuses: readonly ObjectStatus[]
  readonly problems: readonly Problem[]
}

/** What the push has heard, of one moment. */
export interface Heard {
  readonly programming: ReadonlyMap<ObjectName, ProgrammingFacts>
  /** By endpoint id. */
  readonly votes: ReadonlyMap<string, EndpointVotes>
  /** Why the newest table could not be pushed at all. */
  readonly unpushed?: string
}

export interface BackendState {
  readonly name: string
  readonly engine: string
  readonly total: number
  readonly ready: number
  /** Absent while it takes requests. */
  readonly reason?: BackendReason
}

export interface RuleState {
  readonly name: string
  readonly ready: boolean
  readonly reason?: RuleReason
}

export interface ObjectFacts {
  readonly object: ObjectName
  /** What was translated: the same as long as neither the object nor its uid has changed. */
  readonly source: ModelResource | PolicyResource | undefined
  readonly status: ObjectStatus
  /** Of the entry in the table; undefined = it has none. */
  readonly generation: number | undefined
  readonly programming: ProgrammingFacts | undefined
  readonly unpushed: string | undefined
  /** Of a LlamaModel. */
  readonly backends: readonly BackendState[]
  /** Of a RoutingPolicy. */
  readonly rules: readonly RuleState[]
}

export type FactsByObject = ReadonlyMap<ObjectName, ObjectFacts>

/** Of every object that translate speaks of. Those that are as they were in `before` are the same objects. */
export function factsOf(
  { resources, table, statuses, problems }: Translated,
  heard: Heard,
  before: FactsByObject = new Map(),
): FactsByObject {
  const problemsOf = Map.groupBy(problems, ({ object }) => object)
  const sets = Map.groupBy(table.endpointSets, ({ model }) => model)
  const [models, policies] = [byRef(table.models), byRef(table.policies)]
  const usable = new Map(table.endpointSets.map((set) => [set, set.endpoints.filter(({ id }) => isUsable(heard.votes.get(id))).length]))
  const ready = new Set([...usable].flatMap(([{ model }, count]) => (count > 0 ? [model] : [])))
  const facts = new Map<ObjectName, ObjectFacts>()
  for (const status of statuses) {
    const object = `${status.kind} ${status.ref}`
    const [model, policy] = [resources.models.get(status.ref), resources.policies.get(status.ref)]
    const isModel = status.kind === 'LlamaModel'
    const places = { sets: sets.get(status.ref) ?? [], usable, votes: heard.votes, problems: problemsOf.get(object) ?? [] }
    const now: ObjectFacts = {
      object,
      source: isModel ? model : policy,
      status,
      generation: (isModel ? models : policies).get(status.ref)?.generation,
      programming: heard.programming.get(object),
      unpushed: heard.unpushed,
      backends: isModel && model !== undefined ? backendStates(model, places) : [],
      rules: !isModel && policy !== undefined ? ruleStates(policy, policies.get(objectKey(policy.metadata)), ready) : [],
    }
    const was = before.get(object)
    facts.set(object, was !== undefined && isSame(was, now) ? was : now)
  }
  return facts
}

function isSame(a: ObjectFacts, b: ObjectFacts): boolean {
  return (
    a.status === b.status &&
    a.source === b.source &&
    a.generation === b.generation &&
    a.unpushed === b.unpushed &&
    isSameProgramming(a.programming, b.programming) &&
    isSameList(a.backends, b.backends, ['name', 'engine', 'total', 'ready', 'reason']) &&
    isSameList(a.rules, b.rules, ['name', 'ready', 'reason'])
  )
}

function isSameProgramming(a: ProgrammingFacts | undefined, b: ProgrammingFacts | undefined): boolean {
  if (a === undefined || b === undefined) return a === b
  const isCalm = a.rejected.length === 0 && b.rejected.length === 0
  return isCalm && a.gateways === b.gateways && a.acked === b.acked && a.pendingSinceMs === b.pendingSinceMs
}

const isSameList = <T>(a: readonly T[], b: readonly T[], fields: readonly (keyof T)[]): boolean =>
  a.length === b.length && a.every((one, index) => fields.every((field) => one[field] === b[index]?.[field]))

/** One that nobody knows anything of is tried, so it counts as usable. */
const isUsable = (votes: EndpointVotes | undefined): boolean => votes === undefined || votes.up > 0 || votes.down === 0

interface Places {
  readonly sets: readonly EndpointSet[]
  /** How many endpoints of a set are usable. */
  readonly usable: ReadonlyMap<EndpointSet, number>
  readonly votes: Heard['votes']
  readonly problems: readonly Problem[]
}

function backendStates({ spec }: ModelResource, { sets, usable, votes, problems }: Places): readonly BackendState[] {
  return spec.backends.map(({ name, engine }, index) => {
    const set = sets.find(({ backend }) => backend === name)
    const { endpoints = [] } = set ?? {}
    const ready = set === undefined ? 0 : (usable.get(set) ?? 0)
    const told = endpoints.find(({ id }) => votes.get(id)?.engine !== undefined)
    const found = told === undefined ? undefined : votes.get(told.id)?.engine
    const reason =
      ready > 0 ? undefined : (problemAt(problems, `spec.backends[${index}]`) ?? (endpoints.length === 0 ? 'NoEndpoints' : 'EndpointsDown'))
    return { name, engine: found ?? engine, total: endpoints.length, ready, ...(reason !== undefined && { reason }) }
  })
}

const problemAt = (problems: readonly Problem[], at: string): Problem['code'] | undefined =>
  problems.find((one) => one.at === at || one.at.startsWith(`${at}.`))?.code

/** Name of the rule that a policy's own targets make. */
const OWN_RULE = 'default'

function ruleStates({ spec }: PolicyResource, entry: Policy | undefined, ready: ReadonlySet<string>): readonly RuleState[] {
  const names = new Set([...(spec.rules ?? []).map(({ name }) => name), ...(spec.targets === undefined ? [] : [OWN_RULE])])
  return [...names].map((name) => {
    const rule = entry?.rules.find((one) => one.name === name)
    if (rule === undefined || rule.targets.length === 0) return { name, ready: false, reason: 'NoTarget' }
    return rule.targets.some(({ model }) => ready.has(model)) ? { name, ready: true } : { name, ready: false, reason: 'NoReadyTarget' }
  })
}

const byRef = <T extends { readonly ref: string }>(entries: readonly T[]): ReadonlyMap<string, T> =>
  new Map(entries.map((entry) => [entry.ref, entry]))
