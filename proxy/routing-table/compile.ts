import { type CelProgram, compileCel } from './cel/cel.ts'
import { compileClaims } from './claims.ts'
import type {
  Claim,
  CompiledEndpoint,
  CompiledMatch,
  CompiledModel,
  CompiledPolicy,
  CompiledRule,
  CompiledTable,
  CompiledTarget,
} from './compiled.ts'
import { EndpointsById } from './endpoints-by-id.ts'
import {
  type Access,
  type Endpoint,
  type EndpointSet,
  type Match,
  type Model,
  modelTargets,
  type Policy,
  type Ref,
  type RoutingTable,
  type Target,
} from './v1.ts'

/** Splits "namespace/name". A ref without a slash does not occur in a parsed table. */
export function splitRef(ref: Ref): { namespace: string; name: string } {
  const slash = ref.indexOf('/')
  return { namespace: ref.slice(0, slash), name: ref.slice(slash + 1) }
}

/** Whether a client of `clientNamespace` may use what stands in `namespace` with this access. */
export function mayUse(access: Access, namespace: string, clientNamespace: string): boolean {
  if (namespace === clientNamespace) return true
  if (access.from === 'All') return true
  return access.from === 'Namespaces' && access.namespaces.includes(clientNamespace)
}

const NOTHING: CompiledTable = {
  table: { version: 1, epoch: 0, seq: 0, models: [], policies: [], endpointSets: [], credentials: [], clientKeys: [] },
  claims: new Map(),
  models: new Map(),
  policies: new Map(),
  sets: new Map(),
  endpoints: new EndpointsById(),
  credentials: new Map(),
  clientKeys: new Map(),
}

/**
 * Builds every look-up of a table. Targets that name no model of the table are dropped (translate has said so already). What `previous`
 * made of values that are the same objects now is taken over: the same answer, at the cost of what changed.
 */
export function compileTable(table: RoutingTable, previous: CompiledTable = NOTHING): CompiledTable {
  const sets = setsByModel(table, previous)
  const models = reuseMap(previous.models, table.models, (entry, before) =>
    before?.entry === entry && sets.get(entry.ref) === previous.sets.get(entry.ref) ? before : compileModel(entry, sets.get(entry.ref)),
  )
  const changedModels = differing(previous.models, models)
  const policies = reuseMap(previous.policies, table.policies, (entry, before) =>
    before?.entry === entry && !targetsAny(entry, changedModels) ? before : compilePolicy(entry, models),
  )
  const changed = { models: changedModels, policies: differing(previous.policies, policies) }
  const sameCredentials = sameItems(table.credentials, previous.table.credentials)
  const sameKeys = sameItems(table.clientKeys, previous.table.clientKeys)
  return Object.freeze({
    table,
    claims: compileClaims({ models, policies }, changed, previous),
    models,
    policies,
    sets,
    endpoints: changedModels.size === 0 ? previous.endpoints : previous.endpoints.following(models, changedModels),
    credentials: sameCredentials ? previous.credentials : new Map(table.credentials.map(({ id, value }) => [id, value])),
    clientKeys: sameKeys ? previous.clientKeys : new Map(table.clientKeys.map((key) => [key.sha256, Object.freeze(key)])),
  })
}

function setsByModel({ endpointSets }: RoutingTable, previous: CompiledTable): CompiledTable['sets'] {
  const sets = new Map<Ref, EndpointSet[]>()
  for (const set of endpointSets) {
    const list = sets.get(set.model)
    if (list === undefined) sets.set(set.model, [set])
    else list.push(set)
  }
  return new Map([...sets].map(([ref, list]) => [ref, reuseItems(previous.sets.get(ref), list)]))
}

const reuseItems = <T>(before: readonly T[] | undefined, after: readonly T[]): readonly T[] =>
  before !== undefined && sameItems(before, after) ? before : after

const sameItems = <T>(a: readonly T[], b: readonly T[]): boolean => a.length === b.length && a.every((item, index) => item === b[index])

/** By ref; the map itself where nothing in it is new. */
function reuseMap<E extends { readonly ref: Ref }, C>(
  before: ReadonlyMap<Ref, C>,
  entries: readonly E[],
  compile: (entry: E, before: C | undefined) => C,
): ReadonlyMap<Ref, C> {
  const after = new Map(entries.map((entry) => [entry.ref, compile(entry, before.get(entry.ref))]))
  return differing(before, after).size === 0 ? before : after
}

/** The keys whose value came, went or was replaced. */
function differing<T>(before: ReadonlyMap<Ref, T>, after: ReadonlyMap<Ref, T>): ReadonlySet<Ref> {
  const refs = new Set<Ref>()
  if (before === after) return refs
  for (const [ref, value] of after) if (before.get(ref) !== value) refs.add(ref)
  for (const ref of before.keys()) if (!after.has(ref)) refs.add(ref)
  return refs
}

function compileModel(entry: Model, sets: readonly EndpointSet[] = []): CompiledModel {
  const backends = [...entry.backends].sort((a, b) => a.priority - b.priority)
  const withLastResorts = backends.flatMap((backend) => {
    const { endpoints: found = [], lastResort } = sets.findLast((set) => set.backend === backend.name) ?? {}
    const compiled = ({ id, origin, basePath }: Endpoint, weight: number, isLast: boolean): CompiledEndpoint =>
      Object.freeze({ id, origin, basePath, model: entry.ref, backend, weight, lastResort: isLast })
    const own = found.map((endpoint) => compiled(endpoint, backend.weight / found.length, false))
    return lastResort === undefined ? own : [...own, compiled(lastResort, backend.weight, true)]
  })
  const endpoints = withLastResorts.filter(({ lastResort }) => !lastResort)
  const aliasUpstream = new Map(
    entry.aliases.flatMap(({ name, upstreamModel }) => (upstreamModel === undefined ? [] : [[name, upstreamModel] as const])),
  )
  return Object.freeze({
    entry,
    ...splitRef(entry.ref),
    endpoints: Object.freeze(endpoints),
    withLastResorts: Object.freeze(withLastResorts),
    aliasUpstream,
  })
}

function compilePolicy(entry: Policy, models: ReadonlyMap<Ref, CompiledModel>): CompiledPolicy {
  const resolve = (targets: readonly Target[]): readonly CompiledTarget[] =>
    targets.flatMap(({ model: ref, weight }) => {
      const model = models.get(ref)
      return model === undefined ? [] : [Object.freeze({ model, weight })]
    })
  const rules = entry.rules.map((rule) =>
    Object.freeze({
      entry: rule,
      matches: rule.matches.map(compileMatch),
      targets: resolve(rule.targets),
      chain: rule.fallback.targets.flatMap((target): CompiledRule['chain'] => ('policy' in target ? [target] : resolve([target]))),
    }),
  )
  return Object.freeze({ entry, ...splitRef(entry.ref), rules: Object.freeze(rules) })
}

const compileMatch = (entry: Match): CompiledMatch =>
  Object.freeze({ entry, holds: entry.cel === undefined ? undefined : programOf(entry.cel) })

/** By text, as many rules say the same, in this table and in the next; of so many texts that came last. */
const PROGRAMS = new Map<string, CelProgram>()
const MAX_PROGRAMS = 4096

function programOf(text: string): CelProgram {
  const known = PROGRAMS.get(text)
  if (known !== undefined) return known
  const [oldest] = PROGRAMS.size < MAX_PROGRAMS ? [] : PROGRAMS.keys()
  if (oldest !== undefined) PROGRAMS.delete(oldest)
  const made = lazily(text)
  PROGRAMS.set(text, made)
  return made
}

/** Compiled when it is first asked, as a table may have many that never are. One that is none was told of where the table was made. */
function lazily(text: string): CelProgram {
  let compiled: ReturnType<typeof compileCel> | undefined
  return (input, allowance) => {
    compiled ??= compileCel(text)
    if ('program' in compiled) return compiled.program(input, allowance)
    const { line, column, message } = compiled.mistake
    throw new Error(`line ${line}, column ${column}: ${message}`)
  }
}

function targetsAny({ rules }: Policy, models: ReadonlySet<Ref>): boolean {
  const isOne = ({ model }: Target): boolean => models.has(model)
  return models.size > 0 && rules.some(({ targets, fallback }) => targets.some(isOne) || modelTargets(fallback.targets).some(isOne))
}

/**
 * Finds who answers to `name` for a client: its own namespace's objects first, then the explicit form "namespace/name", which nobody else can
 * take by a name with a slash; last those shared with it, the oldest first. Undefined = absent or hidden, which a client must not be able to
 * tell apart.
 */
export function resolveName(table: CompiledTable, name: string, clientNamespace: string): Claim | undefined {
  const shared = table.claims.get(name)?.filter((claim) => mayUse(claim.access, claim.namespace, clientNamespace)) ?? []
  return shared.find((claim) => claim.namespace === clientNamespace) ?? explicitly(table, name, clientNamespace) ?? shared[0]
}

function explicitly(table: CompiledTable, name: string, clientNamespace: string): Claim | undefined {
  const slash = name.indexOf('/')
  if (slash <= 0) return undefined
  const namespace = name.slice(0, slash)
  return table.claims
    .get(name.slice(slash + 1))
    ?.find((claim) => claim.namespace === namespace && mayUse(claim.access, namespace, clientNamespace))
}

/** All names a client may send, each once: models' before policies', the oldest first. */
export function visibleNames(table: CompiledTable, clientNamespace: string): { name: string; claim: Claim }[] {
  return [...table.claims.keys()].flatMap((name) => {
    const claim = resolveName(table, name, clientNamespace)
    return claim === undefined ? [] : [{ name, claim }]
  })
}
