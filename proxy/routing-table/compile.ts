import type { Access, Backend, ClientKey, Endpoint, EndpointSet, Model, Policy, PolicyRule, Ref, RoutingTable, Target } from './v1.ts'

/** An endpoint with all that an attempt needs: looked up once a table, not once a request. */
export interface CompiledEndpoint {
  readonly id: string
  readonly origin: string
  readonly basePath: string
  readonly model: Ref
  readonly backend: Backend
  /** This endpoint's part of its backend's weight. */
  readonly weight: number
  /** A Service's own address: for when no other endpoint can take a request. */
  readonly lastResort: boolean
}

export interface CompiledModel {
  readonly entry: Model
  readonly namespace: string
  readonly name: string
  /** Of all backends, lowest priority first, without the last resorts. */
  readonly endpoints: readonly CompiledEndpoint[]
  /** The same with the last resorts, each behind its backend's own. */
  readonly withLastResorts: readonly CompiledEndpoint[]
  /** Alias → what the engine calls it. */
  readonly aliasUpstream: ReadonlyMap<string, string>
}

export interface CompiledTarget {
  readonly model: CompiledModel
  readonly weight: number
}

export interface CompiledRule {
  readonly entry: PolicyRule
  readonly targets: readonly CompiledTarget[]
  readonly fallbackTargets: readonly CompiledTarget[]
}

export interface CompiledPolicy {
  readonly entry: Policy
  readonly namespace: string
  readonly name: string
  readonly rules: readonly CompiledRule[]
}

/** Who answers to a name. Within one name the oldest first, then by ref: the order of the table means nothing. */
export type Claim =
  | { readonly kind: 'model'; readonly namespace: string; readonly access: Access; readonly model: CompiledModel }
  | { readonly kind: 'policy'; readonly namespace: string; readonly access: Access; readonly policy: CompiledPolicy }

export interface CompiledTable {
  readonly table: RoutingTable
  readonly claims: ReadonlyMap<string, readonly Claim[]>
  readonly models: ReadonlyMap<Ref, CompiledModel>
  readonly policies: ReadonlyMap<Ref, CompiledPolicy>
  /** By id, last resorts included. */
  readonly endpoints: ReadonlyMap<string, CompiledEndpoint>
  readonly credentials: ReadonlyMap<string, string>
  /** By lower-case hex SHA-256. */
  readonly clientKeys: ReadonlyMap<string, ClientKey>
}

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

/** Builds every look-up of a table. Targets that name no model of the table are dropped (translate has said so already). */
export function compileTable(table: RoutingTable): CompiledTable {
  const sets = new Map(table.endpointSets.map((set) => [`${set.model} ${set.backend}`, set]))
  const models = new Map(table.models.map((entry) => [entry.ref, compileModel(entry, sets)]))
  const policies = new Map(table.policies.map((entry) => [entry.ref, compilePolicy(entry, models)]))
  const endpoints = new Map(
    [...models.values()].flatMap((model) => model.withLastResorts.map((endpoint) => [endpoint.id, endpoint] as const)),
  )
  return Object.freeze({
    table,
    claims: compileClaims(models, policies),
    models,
    policies,
    endpoints,
    credentials: new Map(table.credentials.map(({ id, value }) => [id, value])),
    clientKeys: new Map(table.clientKeys.map((key) => [key.sha256, Object.freeze(key)])),
  })
}

function compileModel(entry: Model, sets: ReadonlyMap<string, EndpointSet>): CompiledModel {
  const backends = [...entry.backends].sort((a, b) => a.priority - b.priority)
  const withLastResorts = backends.flatMap((backend) => {
    const { endpoints: found = [], lastResort } = sets.get(`${entry.ref} ${backend.name}`) ?? {}
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
    Object.freeze({ entry: rule, targets: resolve(rule.targets), fallbackTargets: resolve(rule.fallback.targets) }),
  )
  return Object.freeze({ entry, ...splitRef(entry.ref), rules: Object.freeze(rules) })
}

function compileClaims(
  models: ReadonlyMap<Ref, CompiledModel>,
  policies: ReadonlyMap<Ref, CompiledPolicy>,
): ReadonlyMap<string, readonly Claim[]> {
  const claims = new Map<string, Claim[]>()
  const add = (name: string, claim: Claim): void => {
    const list = claims.get(name)
    if (list === undefined) claims.set(name, [claim])
    else list.push(claim)
  }
  for (const model of [...models.values()].sort(byAge)) {
    if (model.entry.visibility === 'Internal') continue
    const claim: Claim = Object.freeze({ kind: 'model', namespace: model.namespace, access: model.entry.access, model })
    for (const name of model.entry.names) add(name, claim)
  }
  for (const policy of [...policies.values()].sort(byAge)) {
    const claim: Claim = Object.freeze({ kind: 'policy', namespace: policy.namespace, access: policy.entry.access, policy })
    for (const name of policy.entry.names) add(name, claim)
  }
  for (const list of claims.values()) if (list.length > 1) list.sort((a, b) => byAge(holderOf(a), holderOf(b)))
  return claims
}

const holderOf = (claim: Claim): CompiledModel | CompiledPolicy => (claim.kind === 'model' ? claim.model : claim.policy)

type Aged = { readonly entry: { readonly ref: Ref; readonly createdAtMs?: number } }

/** The older first, those without an age last; then by ref. */
function byAge({ entry: a }: Aged, { entry: b }: Aged): number {
  const [ageA = Number.MAX_VALUE, ageB = Number.MAX_VALUE] = [a.createdAtMs, b.createdAtMs]
  if (ageA !== ageB) return ageA - ageB
  return a.ref === b.ref ? 0 : a.ref < b.ref ? -1 : 1
}

/**
 * Finds who answers to `name` for a client: its own namespace's objects first, then those shared with it, the oldest first; last, the
 * explicit form "namespace/name". Undefined = absent or hidden, which a client must not be able to tell apart.
 */
export function resolveName(table: CompiledTable, name: string, clientNamespace: string): Claim | undefined {
  const shared = table.claims.get(name)?.filter((claim) => mayUse(claim.access, claim.namespace, clientNamespace)) ?? []
  const found = shared.find((claim) => claim.namespace === clientNamespace) ?? shared[0]
  if (found !== undefined) return found
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
