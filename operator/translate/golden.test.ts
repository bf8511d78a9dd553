/**
 * How a case in `cases/` is read and its answer written. A case holds only what matters: `objects` (apiVersion left out), and where needed `env`,
 * `namespaces` (name → labels) and `settings`. `cluster` says that this is one, with its address settings; then `services`, `slices` and `pods`
 * stand beside the objects, in the short forms below. It goes through the real loader, so schema, rules and defaults apply. The answer leaves out
 * what has its default value.
 */
import assert from 'node:assert/strict'
import { isDeepStrictEqual } from 'node:util'
import { dump, load } from 'js-yaml'
import {
  type EndpointSliceResource,
  type Labels,
  objectKey,
  type PodResource,
  type Resources,
  type ServiceResource,
  type SliceEndpoint,
  STANDALONE_SETTINGS,
} from '../resources/snapshot.ts'
import { holdObjects } from '../watch/held-objects.ts'
import { makeResources } from '../watch/make-resources.ts'
import { loadDocuments } from '../watch/yaml.ts'
import { DEFAULT_WHEN } from './policies.ts'
import type { Translation } from './translate.ts'

interface Case {
  readonly objects: readonly object[]
  readonly env?: Record<string, string>
  readonly namespaces?: Record<string, Labels>
  readonly settings?: Partial<Resources['settings']>
  readonly cluster?: Partial<Resources['settings']['addresses']>
  readonly services?: readonly ServiceLines[]
  readonly slices?: readonly SliceLines[]
  readonly pods?: readonly PodLines[]
  readonly tokenIssuers?: Resources['tokenIssuers']
}

type ServiceLines = { readonly name: string; readonly namespace?: string } & Partial<Omit<ServiceResource, 'metadata'>>
type PodLines = { readonly name: string; readonly namespace?: string; readonly labels?: Labels } & Partial<Omit<PodResource, 'metadata'>>
type SliceLines = Pick<EndpointSliceResource, 'service' | 'ports'> &
  Partial<Pick<EndpointSliceResource, 'addressType'>> & {
    readonly namespace?: string
    readonly endpoints: readonly ({ readonly address: string } & Partial<SliceEndpoint>)[]
  }

function isCase(value: unknown): value is Case {
  return typeof value === 'object' && value !== null && 'objects' in value && Array.isArray(value.objects)
}

/** Fails when the input would not be accepted: what the schema refuses is not a case of translate. */
export function readCase(file: string, text: string): Resources {
  const read = load(text)
  assert.ok(isCase(read), `${file} has no objects`)
  const manifests = read.objects.map((object) => dump({ apiVersion: versionOf(object), ...object })).join('---\n')
  const loaded = loadDocuments(file, manifests)
  const held = holdObjects(new Map(), [{ file, ...loaded }])
  const { resources, problems } = makeResources(held.objects, {
    env: read.env ?? {},
    settings: STANDALONE_SETTINGS,
  })
  assert.deepEqual([...held.problems, ...problems], [])
  const namespaces = new Map(resources.namespaces)
  for (const [name, labels] of Object.entries(read.namespaces ?? {}))
    namespaces.set(name, { ...labels, 'kubernetes.io/metadata.name': name })
  return { ...resources, namespaces, ...clusterOf(read) }
}

function clusterOf({ services = [], slices = [], pods = [], tokenIssuers = [], settings, cluster }: Case): Partial<Resources> {
  const addresses = { ...STANDALONE_SETTINGS.addresses, ...(cluster !== undefined && { base: 'Cluster' as const, ...cluster }) }
  return {
    services: new Map(services.map(serviceOf).map((one) => [objectKey(one.metadata), one])),
    slices: Map.groupBy(slices.map(sliceOf), ({ metadata, service }) => `${metadata.namespace}/${service}`),
    pods: new Map(pods.map(podOf).map((one) => [objectKey(one.metadata), one])),
    tokenIssuers,
    settings: { ...STANDALONE_SETTINGS, builtInAuto: false, ...settings, addresses },
  }
}

const serviceOf = ({ name, namespace = 'default', ...given }: ServiceLines): ServiceResource => ({
  metadata: { namespace, name },
  type: 'ClusterIP',
  clusterIPs: [],
  ports: [],
  ...given,
})

const sliceOf = ({ namespace = 'default', ...given }: SliceLines, index: number): EndpointSliceResource => ({
  metadata: { namespace, name: `${given.service}-${index}` },
  addressType: 'IPv4',
  ...given,
  endpoints: given.endpoints.map(({ address, ready = true, serving = true, terminating = false }) => ({
    addresses: [address],
    ready,
    serving,
    terminating,
  })),
})

const podOf = ({ name, namespace = 'default', labels = {}, ...given }: PodLines): PodResource => ({
  metadata: { namespace, name, labels },
  uid: name,
  serviceAccount: 'default',
  phase: 'Running',
  ready: true,
  terminating: false,
  ips: [],
  ports: [],
  ...given,
})

const versionOf = (object: object): string => ('kind' in object && object.kind === 'Secret' ? 'v1' : 'llamaswap.dev/v1alpha1')

type Fields = Record<string, unknown>

const FALLBACK_DEFAULTS = { when: DEFAULT_WHEN, targets: [] }
const RULE_DEFAULTS = { matches: [], strategy: 'WeightedRandom', fallback: { enabled: false } }
const POLICY_DEFAULTS = { generation: 1, access: { from: 'Same' } }
const BACKEND_DEFAULTS = {
  weight: 1,
  priority: 0,
  engine: 'Auto',
  health: {},
  signals: {},
  timeouts: {},
  headers: [],
  probed: true,
  simulated: false,
}
const MODEL_DEFAULTS = {
  ...POLICY_DEFAULTS,
  aliases: [],
  visibility: 'Public',
  weight: 1,
  priority: 0,
  loadBalancing: 'PowerOfTwo',
  retry: {},
  passthrough: { enabled: false, forwardAuth: false },
}
const TABLE_DEFAULTS = {
  version: 1,
  epoch: 0,
  seq: 0,
  models: [],
  policies: [],
  endpointSets: [],
  credentials: [],
  clientKeys: [],
  addresses: { private: 'Deny', allow: [], deny: [] },
}
const STATUS_DEFAULTS = { observedGeneration: 1, servedNames: [], conditions: [] }
const ANSWER_DEFAULTS = { table: {}, problems: [], statuses: [] }
const QUIET_REASONS = ['Accepted', 'ResolvedRefs', 'Pending']

export function writeAnswer({ table, problems, statuses }: Translation): string {
  const models = table.models.map((model) =>
    omit({ ...model, backends: model.backends.map((backend) => omit(backend, BACKEND_DEFAULTS)) }, MODEL_DEFAULTS),
  )
  const policies = table.policies.map((policy) => omit({ ...policy, rules: policy.rules.map(shortRule) }, POLICY_DEFAULTS))
  const short = {
    table: omit({ ...table, models, policies }, TABLE_DEFAULTS),
    problems,
    statuses: statuses.map((status) =>
      omit({ ...status, conditions: status.conditions.filter(({ reason }) => !QUIET_REASONS.includes(reason)) }, STATUS_DEFAULTS),
    ),
  }
  return dump(omit(short, ANSWER_DEFAULTS), { lineWidth: -1, noRefs: true, flowLevel: 6 })
}

function shortRule(rule: Translation['table']['policies'][number]['rules'][number]): Fields {
  return omit({ ...rule, fallback: omit(rule.fallback, FALLBACK_DEFAULTS) }, RULE_DEFAULTS)
}

function omit(value: object, defaults: Fields): Fields {
  return Object.fromEntries(Object.entries(value).filter(([key, field]) => !(key in defaults && isDeepStrictEqual(field, defaults[key]))))
}
