import { type Credential, type Model, type RoutingTable, TABLE_VERSION, type TokenIssuer } from '../../proxy/routing-table/index.ts'
import { type ModelResource, type PolicyResource, type Resources, STANDALONE_SETTINGS } from '../resources/snapshot.ts'
import { addressPolicy, addressRules } from './address-policy.ts'
import { type BuiltAuto, builtInAuto } from './built-in-auto.ts'
import { type Changes, changesBetween } from './changes.ts'
import { type BuiltClientKeys, translateClientKeys } from './client-keys.ts'
import { type ClusterIndex, makeClusterIndex } from './cluster-index.ts'
import { type BuiltModel, translateModel } from './models.ts'
import { claimNames, type Names, objectName } from './names.ts'
import { type BuiltPolicy, translatePolicy } from './policies.ts'
import { byText, inPrecedence } from './precedence.ts'
import { listProblems, NO_PROBLEMS, type ProblemLists } from './problem-lists.ts'
import type { Problem } from './problems.ts'
import { reuse, reuseItems } from './reuse.ts'
import { type MadeStatus, makeStatus, type ObjectStatus } from './statuses.ts'
import { translateTokenIssuers } from './token-issuers.ts'

export interface Translation {
  readonly table: RoutingTable
  readonly problems: readonly Problem[]
  readonly statuses: readonly ObjectStatus[]
}

/** Who makes the table and its number; the caller counts `seq` up when the content differs from the last. */
export interface TableNumber {
  readonly epoch: number
  readonly seq: number
}

export type Translator = (resources: Resources, number: TableNumber) => Translation

/** What the last translation gave, to take over what still holds. */
interface State {
  readonly resources: Resources
  readonly names: Names
  readonly models: ReadonlyMap<string, BuiltModel>
  readonly policies: ReadonlyMap<string, BuiltPolicy>
  readonly auto: BuiltAuto
  readonly keys: BuiltClientKeys
  readonly credentials: readonly Credential[]
  readonly tokenIssuers: readonly TokenIssuer[]
  readonly addresses: RoutingTable['addresses']
  readonly problems: ProblemLists
  readonly statuses: ReadonlyMap<string, MadeStatus>
}

const NOTHING: State = {
  resources: {
    models: new Map(),
    policies: new Map(),
    secrets: new Map(),
    clientKeys: new Map(),
    namespaces: new Map(),
    services: new Map(),
    slices: new Map(),
    pods: new Map(),
    tokenIssuers: [],
    settings: STANDALONE_SETTINGS,
  },
  names: { won: new Map(), claimed: new Set(), problems: [] },
  models: new Map(),
  policies: new Map(),
  auto: { policies: [], problems: [] },
  keys: { clientKeys: [], problems: [] },
  credentials: [],
  tokenIssuers: [],
  addresses: undefined,
  problems: { all: [], byObject: new Map() },
  statuses: new Map(),
}

/**
 * The same answer as `translate`, at the cost of what changed since its last call: objects of `Resources` are compared by identity, and what
 * did not change in the answer keeps its own, entry by entry.
 */
export function makeTranslator(): Translator {
  const index = makeClusterIndex()
  let state = NOTHING
  return (resources, number) => {
    state = advance(state, resources, index)
    return answer(state, number)
  }
}

function advance(before: State, resources: Resources, index: ClusterIndex): State {
  const changes = changesBetween(before.resources, resources)
  const movedAddresses = index.apply(changes.pods, changes.services)
  // Names first: every later pass asks which of them an object won.
  const names = isSame(changes.models, changes.policies) ? before.names : claimNames(resources)
  // Models next, with their backends, addresses and credentials: policies point at them.
  const policy = addressPolicy(resources.settings.addresses)
  const context = { resources, names, index, policy, changes, movedAddresses }
  const models = rebuilt(resources.models, before.models, changes.models, (key, one) =>
    translateModel(one, context, before.models.get(key)),
  )
  // Policies need the finished models: their access decides who may target them, and their weight is a target's default.
  const policies = buildPolicies(before, { resources, names, models, changes })
  // The built-in `auto` last of what has names: it takes only what nobody claimed, and stands behind every policy.
  const auto = reuse(before.auto, builtInAuto(resources, names, entriesOf(models)))
  // Client keys depend on nothing and nothing on them.
  const keys = isSame(changes.clientKeys) ? before.keys : keysOf(resources, before.keys)
  const made = { resources, names, models, policies, auto, keys }
  const problems = listProblems(foundIn(made), before.problems)
  return {
    ...made,
    credentials: models === before.models ? before.credentials : credentialsOnce(models, before.credentials),
    tokenIssuers: reuseItems(before.tokenIssuers, translateTokenIssuers(resources.tokenIssuers), ({ issuer }) => issuer),
    addresses: reuse(before.addresses, addressRules(resources.settings.addresses)),
    problems,
    // Statuses see all problems, so nothing may be found after them.
    statuses: statusesOf({ ...made, problems }, before.statuses),
  }
}

const isSame = (...changed: readonly { readonly size: number }[]): boolean => changed.every(({ size }) => size === 0)

/** In precedence order; the map itself where nothing in it is new. */
function rebuilt<R extends ModelResource | PolicyResource, B>(
  resources: ReadonlyMap<string, R>,
  before: ReadonlyMap<string, B>,
  changed: Changes['models'] | Changes['policies'],
  build: (key: string, resource: R) => B,
): ReadonlyMap<string, B> {
  const order = isSame(changed)
    ? [...before.keys()]
    : inPrecedence(resources).map(({ metadata }) => `${metadata.namespace}/${metadata.name}`)
  const built = new Map<string, B>()
  let isNew = !isSame(changed)
  for (const key of order) {
    const resource = resources.get(key)
    if (resource === undefined) continue
    const one = build(key, resource)
    isNew ||= one !== before.get(key)
    built.set(key, one)
  }
  return isNew ? built : before
}

function buildPolicies(
  before: State,
  { resources, names, models, changes }: Pick<State, 'resources' | 'names' | 'models'> & { changes: Changes },
) {
  const byRef = new Map<string, Model>()
  for (const [ref, { model }] of models) byRef.set(ref, model)
  const chains = { policies: resources.policies, namespaces: resources.namespaces }
  const context = { chains, names, models: byRef, changes }
  return rebuilt(resources.policies, before.policies, changes.policies, (key, one) =>
    translatePolicy(one, context, before.policies.get(key)),
  )
}

const entriesOf = (models: State['models']): readonly Model[] => [...models.values()].map(({ model }) => model)

function keysOf(resources: Resources, before: BuiltClientKeys): BuiltClientKeys {
  const { clientKeys, problems } = translateClientKeys(resources)
  return { clientKeys: reuseItems(before.clientKeys, clientKeys, ({ sha256 }) => sha256), problems: reuse(before.problems, problems) }
}

function credentialsOnce(models: State['models'], before: readonly Credential[]): readonly Credential[] {
  const byId = new Map<string, Credential>()
  for (const { credentials } of models.values()) for (const credential of credentials) byId.set(credential.id, credential)
  const credentials = [...byId.values()].sort((a, b) => byText(a.id, b.id))
  return reuseItems(before, credentials, ({ id }) => id)
}

type Made = Pick<State, 'names' | 'models' | 'policies' | 'auto' | 'keys'>

const foundIn = ({ names, models, policies, auto, keys }: Made): readonly (readonly Problem[])[] => [
  names.problems,
  ...[...models.values()].map(({ problems }) => problems),
  ...[...policies.values()].map(({ problems }) => problems),
  auto.problems,
  keys.problems,
]

const NO_NAMES: readonly string[] = []

function statusesOf({ models, policies, problems }: Made & { problems: ProblemLists }, before: State['statuses']): State['statuses'] {
  const made = new Map<string, MadeStatus>()
  const add = (resource: ModelResource | PolicyResource, served: readonly string[]): void => {
    const object = objectName(resource)
    made.set(object, makeStatus(resource, served, problems.byObject.get(object) ?? NO_PROBLEMS, before.get(object)))
  }
  for (const { resource, model } of models.values()) add(resource, model.names)
  for (const { resource, policy } of policies.values()) add(resource, policy?.names ?? NO_NAMES)
  return made
}

function answer(state: State, { epoch, seq }: TableNumber): Translation {
  const { tokenIssuers } = state
  const models = [...state.models.values()]
  return {
    table: {
      version: TABLE_VERSION,
      epoch,
      seq,
      models: entriesOf(state.models),
      policies: [...[...state.policies.values()].flatMap(({ policy }) => policy ?? []), ...state.auto.policies],
      endpointSets: models.flatMap(({ endpointSets }) => endpointSets),
      credentials: state.credentials,
      clientKeys: state.keys.clientKeys,
      ...(tokenIssuers.length > 0 && { tokenIssuers }),
      ...(state.addresses !== undefined && { addresses: state.addresses }),
    },
    problems: state.problems.all,
    statuses: [...state.statuses.values()].map(({ status }) => status),
  }
}
