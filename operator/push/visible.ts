/**
 * Which entries a proxy sees. A gateway sees all of them. A sidecar runs in an app's pod, under the app's account: it sees what its
 * namespace may use, and of secrets nothing, neither a credential nor the digest of a key. PURE.
 */
import { createHash } from 'node:crypto'
import type { Entry, EntryKind } from '../../proxy/routing-table/entries.ts'
import { mayUse, splitRef } from '../../proxy/routing-table/index.ts'
import type { Access, Backend, ClientTerms, EndpointSet, FallbackTarget, Model, Policy } from '../../proxy/routing-table/v1.ts'
import { type EntryId, entryId } from './entries.ts'

/** Where sidecars reach backends that need a credential: the gateway adds it, retries and accounts. */
export interface GatewayAddress {
  /** "http://llama-swap.llama-swap.svc". */
  readonly url: string
  /** Addresses that its name may resolve to although they are private: the Service's own. */
  readonly addresses?: readonly string[]
}

export interface Viewer {
  readonly namespace: string
  /** Absent: backends that need a credential are left out. */
  readonly gateway?: GatewayAddress
}

/** A sidecar's proxy resolves this id itself: it is the pod's own projected token for clients. */
const POD_TOKEN = 'pod-token'

export type Entries = ReadonlyMap<EntryId, { readonly entry: Entry }>

/** `direct`: as it is; `gateway`: led through it; `hidden`: not there. */
type Treatment = 'direct' | 'gateway' | 'hidden'

function modelOf(entries: Entries, ref: string): Model | undefined {
  const found = entries.get(entryId('model', ref))?.entry
  return found?.kind === 'model' ? found.value : undefined
}

/** How a model or policy is seen by those that point at it, as a word that changes when that does: "" = it is hidden. */
export function shapeOf(entry: Entry | undefined, viewer: Viewer): string {
  if (entry?.kind === 'model') return shapeOfModel(entry.value, viewer)
  return entry?.kind === 'policy' && sees(entry.value, viewer) ? 'seen' : ''
}

/** With each of its backends. */
function shapeOfModel(model: Model, viewer: Viewer): string {
  if (!sees(model, viewer)) return ''
  return `seen ${model.backends.map((backend) => `${backend.name}=${treatment(model, backend, viewer)}`).join()}`
}

/** What this sidecar gets of one entry. Undefined = it does not see it. An entry that it sees as it is keeps its value's identity. */
export function visibleEntry(entry: Entry, entries: Entries, viewer: Viewer): Entry | undefined {
  if (entry.kind === 'addresses') return entry
  if (entry.kind === 'model') return withValue('model', entry, visibleModel(entry.value, viewer))
  if (entry.kind === 'policy') return withValue('policy', entry, visiblePolicy(entry.value, entries, viewer))
  if (entry.kind === 'endpoints') return withValue('endpoints', entry, visibleEndpoints(entry.value, entries, viewer))
  return undefined
}

function withValue<Kind extends EntryKind, Value>(
  kind: Kind,
  { key }: Entry,
  value: Value | undefined,
): { kind: Kind; key: string; value: Value } | undefined {
  return value === undefined ? undefined : { kind, key, value }
}

const sees = ({ ref, access }: Model | Policy, { namespace }: Viewer): boolean => mayUse(access, splitRef(ref).namespace, namespace)

function treatment(model: Model, backend: Backend, { gateway }: Viewer): Treatment {
  if (backend.auth === undefined) return 'direct'
  return gateway !== undefined && isReachableByName(model) && !namesDiffer(model) ? 'gateway' : 'hidden'
}

/** A gateway answers to names; an internal model has none there. */
const isReachableByName = ({ names, visibility }: Model): boolean => names.length > 0 && visibility === 'Public'

/**
 * An alias with its own name at the engine is sent under that name by every backend. A gateway knows it by the alias instead, so a model
 * with such an alias goes through it with all its backends or with none.
 */
const namesDiffer = ({ aliases, backends }: Model): boolean =>
  aliases.some(({ upstreamModel }) => upstreamModel !== undefined) && backends.some(({ auth }) => auth === undefined)

function visibleModel(model: Model, viewer: Viewer): Model | undefined {
  if (!sees(model, viewer)) return undefined
  const access = ownAccess(model.access, model.ref, viewer)
  if (access === model.access && model.backends.every(({ auth }) => auth === undefined)) return model
  const { limits, ...unlimited } = model
  const led = model.backends.some((backend) => treatment(model, backend, viewer) === 'gateway')
  const direct = model.backends.some((backend) => treatment(model, backend, viewer) === 'direct')
  return {
    ...unlimited,
    // What only the gateway serves is counted there, once.
    ...(limits !== undefined && (direct || !led) && { limits }),
    access,
    aliases: led ? model.aliases.map((alias) => aliasAtGateway(alias, model)) : model.aliases,
    backends: model.backends.flatMap((backend) => {
      const as = treatment(model, backend, viewer)
      return as === 'hidden' ? [] : [as === 'direct' ? backend : throughGateway(backend, model)]
    }),
  }
}

/** Who else may use an object is nothing that a sidecar has to know. */
function ownAccess(access: Access, ref: string, { namespace }: Viewer): Access {
  if (access.from !== 'Namespaces') return access
  return splitRef(ref).namespace === namespace ? { from: 'Same' } : { from: 'Namespaces', namespaces: [namespace] }
}

const nameAtGateway = (ref: string, name: string): string => `${splitRef(ref).namespace}/${name}`

function aliasAtGateway(alias: Model['aliases'][number], { ref }: Model): Model['aliases'][number] {
  return alias.upstreamModel === undefined ? alias : { ...alias, upstreamModel: nameAtGateway(ref, alias.name) }
}

/** The gateway knows engine, headers and probes of the real backend; the sidecar sends it one request as to any OpenAI-like API. */
function throughGateway(backend: Backend, model: Model): Backend {
  const { capabilities, contextWindowTokens, maxOutput, name, weight, priority, timeouts, simulated } = backend
  return {
    name,
    weight,
    priority,
    engine: 'Generic',
    upstreamModel: nameAtGateway(model.ref, model.names[0] ?? splitRef(model.ref).name),
    ...(capabilities !== undefined && { capabilities }),
    ...(contextWindowTokens !== undefined && { contextWindowTokens }),
    ...(maxOutput !== undefined && { maxOutput }),
    health: {},
    signals: {},
    timeouts,
    auth: { header: 'authorization', scheme: 'Bearer', credentials: [POD_TOKEN] },
    headers: [],
    probed: false,
    simulated,
  }
}

function visibleEndpoints(set: EndpointSet, entries: Entries, viewer: Viewer): EndpointSet | undefined {
  const model = modelOf(entries, set.model)
  const backend = model?.backends.find(({ name }) => name === set.backend)
  if (model === undefined || backend === undefined || !sees(model, viewer)) return undefined
  const as = treatment(model, backend, viewer)
  if (as === 'direct') return set
  return as === 'gateway' && viewer.gateway !== undefined ? atGateway(set, viewer.gateway) : undefined
}

function atGateway(set: EndpointSet, { url, addresses }: GatewayAddress): EndpointSet {
  const [first] = set.endpoints
  if (first === undefined) return { model: set.model, backend: set.backend, endpoints: [] }
  const id = createHash('sha256').update(`gateway ${set.model} ${set.backend}`).digest('hex').slice(0, ID_DIGITS)
  const endpoint = { id, origin: url, basePath: '/v1', ...(addresses !== undefined && { addresses }) }
  return { model: set.model, backend: set.backend, endpoints: [endpoint] }
}

const ID_DIGITS = 16

/** A rule without targets stays: it matches what it matched, and the requests it takes find nothing, as they would at the gateway. */
function visiblePolicy(policy: Policy, entries: Entries, viewer: Viewer): Policy | undefined {
  if (!sees(policy, viewer)) return undefined
  const isSeen = (target: FallbackTarget): boolean => {
    const id = 'policy' in target ? entryId('policy', target.policy) : entryId('model', target.model)
    return shapeOf(entries.get(id)?.entry, viewer) !== ''
  }
  const access = ownAccess(policy.access, policy.ref, viewer)
  const clients = policy.clients?.map((terms) => visibleTerms(terms, viewer))
  const all = policy.rules.every(({ targets, fallback }) => targets.every(isSeen) && fallback.targets.every(isSeen))
  if (all && access === policy.access && (clients ?? []).every((terms, index) => terms === policy.clients?.[index])) return policy
  const rules = policy.rules.map((rule) => ({
    ...rule,
    targets: rule.targets.filter(isSeen),
    fallback: { ...rule.fallback, targets: rule.fallback.targets.filter(isSeen) },
  }))
  return { ...policy, access, rules, ...(clients !== undefined && { clients }) }
}

/** A sidecar's client has a namespace and no name. What cannot be for it keeps its place, and says nothing of those it is for. */
function visibleTerms(terms: ClientTerms, { namespace }: Viewer): ClientTerms {
  const { names, namespaces, serviceAccounts } = terms.match
  if (names !== undefined || serviceAccounts !== undefined || namespaces?.includes(namespace) === false) return FOR_NOBODY
  return namespaces === undefined || namespaces.length === 1 ? terms : { ...terms, match: { namespaces: [namespace] } }
}

const FOR_NOBODY: ClientTerms = { match: { names: [] } }
