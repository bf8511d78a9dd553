/** Routing tables for tests: what a test does not speak of has the defaults of a plain LlamaModel in namespace "default". */
import { createHash } from 'node:crypto'
import {
  type Access,
  type Backend,
  type ClientKey,
  type ClientTerms,
  type Credential,
  FALLBACK_CLASSES,
  type Fallback,
  type Interrupt,
  type Model,
  type Policy,
  type PolicyRule,
  type RoutingTable,
} from '../../proxy/routing-table/v1.ts'
import { plainBackend, plainModel } from './table-defaults.ts'

export interface BackendLines extends Partial<Omit<Backend, 'auth'>> {
  /** "http://127.0.0.1:PORT", or several. */
  readonly url: string | readonly string[]
  readonly basePath?: string
  /** Values of its credentials. */
  readonly keys?: readonly string[]
  readonly auth?: { readonly header: string; readonly scheme: string }
}

export interface ModelLines extends Partial<Omit<Model, 'ref' | 'backends'>> {
  readonly namespace?: string
  readonly backends: readonly BackendLines[]
}

export interface PolicyLines extends Partial<Omit<PolicyRule, 'targets' | 'fallback'>>, Pick<Policy, 'costCeiling' | 'unknownPrice'> {
  readonly namespace?: string
  readonly access?: Access
  /** Name, or name and weight. */
  readonly targets: readonly (string | readonly [string, number])[]
  /** Absent: off. "policy NAME" leads to another policy. */
  readonly fallback?: { readonly when?: Fallback['when']; readonly targets?: readonly string[]; readonly interrupt?: Interrupt }
  readonly clients?: readonly ClientTerms[]
}

export interface KeyLines {
  readonly key: string
  /** "namespace/secretName". */
  readonly client: string
  readonly expiresAtMs?: number
}

export interface TableLines {
  readonly models?: Readonly<Record<string, ModelLines>>
  readonly policies?: Readonly<Record<string, PolicyLines>>
  readonly keys?: readonly KeyLines[]
  readonly seq?: number
}

const SAME: Access = { from: 'Same' }
const ALL_BUT_CONTENT = FALLBACK_CLASSES.filter((name) => name !== 'ContentFilter')

export function makeTable({ models = {}, policies = {}, keys = [], seq = 1 }: TableLines): RoutingTable {
  const parts = Object.entries(models).map(([name, lines]) => modelParts(name, lines))
  return {
    version: 1,
    epoch: 0,
    seq,
    models: parts.map(({ model }) => model),
    policies: Object.entries(policies).map(([name, lines]) => policyOf(name, lines)),
    endpointSets: parts.flatMap(({ endpointSets }) => endpointSets),
    credentials: parts.flatMap(({ credentials }) => credentials),
    clientKeys: keys.map(keyOf),
  }
}

/** One model at one address, under its own name. */
export const oneModel = (name: string, url: string, backend: Partial<BackendLines> = {}): RoutingTable =>
  makeTable({ models: { [name]: { backends: [{ url, ...backend }] } } })

function modelParts(
  name: string,
  { namespace = 'default', backends, ...given }: ModelLines,
): Pick<RoutingTable, 'endpointSets' | 'credentials'> & { model: Model } {
  const ref = `${namespace}/${name}`
  const made = backends.map((lines, index) => backendParts(ref, name, index, lines))
  const model = plainModel(ref, { ...given, backends: made.map(({ backend }) => backend) })
  return { model, endpointSets: made.map(({ endpointSet }) => endpointSet), credentials: made.flatMap(({ credentials }) => credentials) }
}

function backendParts(
  ref: string,
  model: string,
  index: number,
  lines: BackendLines,
): { backend: Backend; endpointSet: RoutingTable['endpointSets'][number]; credentials: Credential[] } {
  const { url, basePath = '/v1', keys = [], auth = { header: 'authorization', scheme: 'Bearer' }, name = `b${index}`, ...given } = lines
  const credentials = keys.map((value, at) => ({ id: `${ref}/${name}/${at}`, value }))
  const backend = plainBackend(name, model, {
    ...given,
    ...(credentials.length > 0 && { auth: { ...auth, credentials: credentials.map(({ id }) => id) } }),
  })
  const urls = typeof url === 'string' ? [url] : url
  const endpoints = urls.map((origin) => ({ id: idOf(`${ref} ${name} ${origin}`), origin, basePath }))
  return { backend, endpointSet: { model: ref, backend: name, endpoints }, credentials }
}

/** Opaque and stable, as translate makes them. */
export const idOf = (text: string): string => createHash('sha256').update(text).digest('hex').slice(0, 10)

const POLICY = 'policy '

function policyOf(
  name: string,
  { namespace = 'default', access = SAME, targets, fallback, clients, costCeiling, unknownPrice, ...rule }: PolicyLines,
): Policy {
  const ref = (model: string): string => (model.includes('/') ? model : `${namespace}/${model}`)
  const weighted = targets.map((target) =>
    typeof target === 'string' ? { model: ref(target), weight: 1 } : { model: ref(target[0]), weight: target[1] },
  )
  const chain = (fallback?.targets ?? []).map((target) =>
    target.startsWith(POLICY) ? { policy: ref(target.slice(POLICY.length)) } : { model: ref(target), weight: 1 },
  )
  const only: PolicyRule = {
    name: 'default',
    matches: [],
    strategy: 'WeightedRandom',
    ...rule,
    targets: weighted,
    fallback: {
      enabled: fallback !== undefined,
      when: fallback?.when ?? ALL_BUT_CONTENT,
      targets: chain,
      ...(fallback?.interrupt !== undefined && { interrupt: fallback.interrupt }),
    },
  }
  return {
    ref: `${namespace}/${name}`,
    generation: 1,
    names: [name],
    access,
    rules: [only],
    ...(clients !== undefined && { clients }),
    ...(costCeiling !== undefined && { costCeiling }),
    ...(unknownPrice !== undefined && { unknownPrice }),
  }
}

function keyOf({ key, client, expiresAtMs }: KeyLines): ClientKey {
  const sha256 = createHash('sha256').update(key).digest('hex')
  return { client, namespace: client.split('/')[0] ?? '', sha256, ...(expiresAtMs !== undefined && { expiresAtMs }) }
}
