import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isDeepStrictEqual } from 'node:util'
import fc from 'fast-check'
import { parseTable, type RoutingTable } from '../../proxy/routing-table/index.ts'
import type { Backend } from '../resources/crds.generated.ts'
import { SecretValue } from '../resources/secret-value.ts'
import {
  type ClientKeyResource,
  type EndpointSliceResource,
  type Metadata,
  type ModelResource,
  objectKey,
  type PodResource,
  type PolicyResource,
  type Resources,
  type SecretResource,
  type ServiceResource,
  type Settings,
  STANDALONE_SETTINGS,
} from '../resources/snapshot.ts'
import { translate } from './translate.ts'
import { makeTranslator, type Translation } from './translator.ts'

const NAMES = ['a', 'b', 'c', 'auto'] as const
const NAMESPACES = ['default', 'team-a', 'team-b'] as const

const name = fc.constantFrom(...NAMES)
const namespace = fc.constantFrom(...NAMESPACES)
const weight = fc.integer({ min: 0, max: 10 })
const optional = <T>(value: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> => fc.option(value, { nil: undefined })
/** Absent fields are absent, not undefined. */
const record = <T>(shape: { [K in keyof T]: fc.Arbitrary<T[K]> }, required: (keyof T)[]) => fc.record(shape, { requiredKeys: required })

const metadata: fc.Arbitrary<Metadata> = record(
  {
    namespace,
    name,
    generation: fc.integer({ min: 1, max: 5 }),
    createdAtMs: fc.integer({ min: 0, max: 2 }),
    labels: fc.constant({}),
    annotations: fc.constant({}),
  },
  ['namespace', 'name', 'generation', 'labels', 'annotations'],
)

const access = fc.oneof(
  fc.constant({ from: 'Same' as const }),
  fc.constant({ from: 'All' as const }),
  namespace.map((one) => ({ from: 'Selector' as const, selector: { matchLabels: { 'kubernetes.io/metadata.name': one } } })),
)

const rate = fc.constantFrom(1, 60, 1_000_000_000_000)
const price = fc.constantFrom('0', '0.60', '999999999.999999999')
const pricing = record({ inputPerMillionTokens: price, cachedInputPerMillionTokens: price, outputPerMillionTokens: price }, [])
const outlier = record({ consecutiveFailures: fc.integer({ min: 1, max: 100 }), maxEjectedPercent: fc.integer({ min: 0, max: 100 }) }, [])
const queue = record(
  {
    maxRequests: fc.constantFrom(0, 1_000_000),
    maxBytes: fc.constantFrom<(number | string)[]>(1, 1_099_511_627_776, '256Mi', '999999999999Gi'),
    maxWait: fc.constantFrom('1ms', '99999h99999h99999h99999h'),
  },
  [],
)
const limits = record(
  { requestsPerMinute: rate, tokensPerMinute: rate, tokensPerDay: rate, maxConcurrentPerEndpoint: fc.constantFrom(1, 1_000_000), queue },
  [],
)
const extraRoutes = fc.subarray([
  { method: 'POST' as const, path: '/v1/score' },
  { method: 'GET' as const, path: `/${'x'.repeat(255)}` },
  { method: 'POST' as const, path: '/v1/embeddings' },
])

const backend = (index: number) =>
  record(
    {
      name: fc.constant(`backend-${index}`),
      weight,
      priority: fc.integer({ min: 0, max: 2 }),
      url: fc.constantFrom('http://a:8000', 'https://b.example.com/openai/', 'http://c:70000', 'http://169.254.169.254', 'http://[::1]:1'),
      engine: fc.constantFrom('Auto' as const, 'vLLM' as const, 'OpenAI' as const, 'Anthropic' as const),
      dialect: fc.constantFrom('OpenAI' as const, 'Anthropic' as const),
      quota: record({ requestsPerMinute: rate, tokensPerMinute: rate, shiftAtPercent: fc.integer({ min: 1, max: 100 }) }, [
        'shiftAtPercent',
      ]),
      pricing,
      health: fc.record({ outlier }),
      auth: fc.constantFrom('key', 'gone').map((key) => ({ type: 'Header' as const, secretRefs: [{ name: 'a', key }] })),
      timeouts: fc.constant({ connect: '99999h99999h99999h99999h' }),
    },
    ['name', 'weight', 'priority', 'url', 'engine'],
  )

const model: fc.Arbitrary<ModelResource> = fc.record({
  kind: fc.constant('LlamaModel' as const),
  metadata,
  spec: record(
    {
      modelName: name,
      aliases: fc.uniqueArray(name, { maxLength: 2 }).map((names) => names.map((one) => ({ name: `${one}-alias` }))),
      visibility: fc.constantFrom('Public' as const, 'Internal' as const),
      weight,
      priority: fc.constant(0),
      access,
      pricing,
      limits,
      health: fc.record({ outlier }),
      extraRoutes,
      backends: fc.tuple(backend(0), optional(backend(1))).map((two) => two.filter((one) => one !== undefined)),
    },
    ['visibility', 'weight', 'priority', 'access', 'backends'],
  ),
})

const targets = fc.uniqueArray(record({ model: fc.constantFrom(...NAMES, 'team-a/a', 'gone'), weight }, ['model']), {
  minLength: 1,
  maxLength: 3,
  selector: (one) => one.model,
})

const clientLimits = record(
  { requestsPerMinute: rate, tokensPerMinute: rate, tokensPerDay: rate, costPerDay: price, maxConcurrent: rate },
  [],
)
const clientTerms = record(
  {
    match: record(
      { names: fc.subarray(['a', 'team-a/b', 'c'], { minLength: 1 }), namespaces: fc.subarray([...NAMESPACES], { minLength: 1 }) },
      [],
    ),
    limits: clientLimits,
    requestPriority: fc.constantFrom('High' as const, 'Normal' as const, 'Low' as const),
  },
  [],
)

const sticky = fc.constant({ key: 'Session' as const })
const timeOfDay = fc.constantFrom('00:00', '06:30', '23:59')
const match = record(
  {
    maxOutputTokens: record({ min: fc.nat(), max: fc.nat() }, []),
    schedule: fc.record({
      timeZone: fc.constantFrom('UTC', 'Europe/Berlin', 'Nowhere/Land'),
      windows: fc.array(record({ days: fc.constant<('Mon' | 'Sun')[]>(['Mon', 'Sun']), from: timeOfDay, to: timeOfDay }, ['from', 'to']), {
        minLength: 1,
        maxLength: 2,
      }),
    }),
    cel: fc.constantFrom('request.stream', '1 +', 'nothing.here'),
  },
  [],
)

const policy: fc.Arbitrary<PolicyResource> = fc.record({
  kind: fc.constant('RoutingPolicy' as const),
  metadata,
  spec: record(
    {
      virtualModels: fc.uniqueArray(name, { minLength: 1, maxLength: 2 }),
      access,
      targets,
      rules: fc.array(
        record(
          { name: fc.constantFrom('one', 'default'), matches: fc.array(match, { maxLength: 2 }), targets, sticky, limits: clientLimits },
          ['name'],
        ),
        {
          minLength: 1,
          maxLength: 2,
        },
      ),
      sticky,
      costCeiling: record({ perRequest: price, perMillionOutputTokens: price }, []),
      unknownPrice: fc.constantFrom('Allow' as const, 'Exclude' as const),
      fallback: record({ enabled: fc.boolean(), targets, interrupt: fc.constantFrom('Error' as const, 'Continue' as const) }, ['enabled']),
      clients: fc.array(clientTerms, { maxLength: 3 }),
    },
    ['virtualModels', 'access', 'targets', 'unknownPrice'],
  ),
})

const secret: fc.Arbitrary<SecretResource> = fc.record({
  metadata,
  entries: fc.constantFrom('sk-1', '', 'two\nlines').map((value) => ({ key: new SecretValue(value) })),
})

const clientKey: fc.Arbitrary<ClientKeyResource> = fc.record({
  metadata,
  entries: fc.uniqueArray(
    fc.record({
      name,
      sha256: fc.constantFrom('0'.repeat(64), '1'.repeat(64)),
      characters: fc.constantFrom(3, 24),
      sendable: fc.boolean(),
    }),
    { selector: (one) => one.name, maxLength: 3 },
  ),
})

const keyed = <T extends { metadata: Pick<Metadata, 'namespace' | 'name'> }>(one: fc.Arbitrary<T>): fc.Arbitrary<Map<string, T>> =>
  fc.array(one, { maxLength: 5 }).map((list) => new Map(list.map((resource) => [objectKey(resource.metadata), resource])))

const resources: fc.Arbitrary<Resources> = fc.record({
  models: keyed(model),
  policies: keyed(policy),
  secrets: keyed(secret),
  clientKeys: keyed(clientKey),
  namespaces: fc.constant(new Map(NAMESPACES.map((one) => [one, { 'kubernetes.io/metadata.name': one }]))),
  services: fc.constant(new Map()),
  slices: fc.constant(new Map()),
  pods: fc.constant(new Map()),
  tokenIssuers: fc.constant([]),
  settings: fc.record({ addresses: fc.constant(STANDALONE_SETTINGS.addresses), builtInAuto: fc.boolean() }),
})

const ADDRESSES = ['10.0.0.1', '10.0.0.2', '10.0.0.3', '127.0.0.1', '93.184.216.34', 'fd00::1'] as const
const address = fc.constantFrom(...ADDRESSES)
const small = { namespace: fc.constantFrom('default', 'default', 'team-a'), name: fc.constantFrom('a', 'b') }

const service: fc.Arbitrary<ServiceResource> = fc.record({
  metadata: fc.record(small),
  type: fc.constantFrom('ClusterIP' as const, 'ExternalName' as const),
  clusterIPs: fc.uniqueArray(fc.constantFrom('10.96.0.1', '10.96.0.2', 'fd00::96'), { maxLength: 2 }),
  externalName: fc.constantFrom('example.com', 'a.team-a.svc'),
  ports: fc.constantFrom([{ name: 'http', port: 80 }], [{ name: '', port: 8000 }]),
})

const slice: fc.Arbitrary<EndpointSliceResource> = fc.record({
  metadata: fc.record(small),
  service: fc.constantFrom('a', 'b'),
  addressType: fc.constantFrom('IPv4' as const, 'IPv6' as const),
  ports: fc.constantFrom([{ name: 'http', port: 8080 }], [{ name: '', port: 8000 }]),
  endpoints: fc.array(
    fc.record({ addresses: address.map((one) => [one]), ready: fc.boolean(), serving: fc.boolean(), terminating: fc.boolean() }),
    { maxLength: 3 },
  ),
})

const pod: fc.Arbitrary<PodResource> = fc.record({
  metadata: fc.record({
    ...small,
    name: fc.constantFrom('a', 'b', 'c', 'd'),
    labels: fc.constantFrom({ app: 'x' }, { app: 'y' }, { app: 'x', more: 'z' }, {}),
  }),
  uid: fc.constant('u'),
  serviceAccount: fc.constant('default'),
  phase: fc.constantFrom('Running' as const, 'Succeeded' as const),
  ready: fc.boolean(),
  terminating: fc.boolean(),
  ips: address.map((one) => [one]),
  ports: fc.constantFrom([], [{ name: 'http', port: 8080 }]),
})

const place: fc.Arbitrary<Partial<Backend>> = fc.oneof(
  fc.record({
    service: fc.record({
      name: fc.constantFrom('a', 'b'),
      port: fc.constantFrom({ number: 80 }, { name: 'http' }, { number: 8000 }),
      scheme: fc.constant('HTTP' as const),
      basePath: fc.constant('/v1'),
      resolution: fc.constantFrom('Endpoints' as const, 'ClusterIP' as const),
    }),
  }),
  fc.record({
    pods: fc.record({
      selector: fc.constantFrom({ matchLabels: { app: 'x' } }, { matchLabels: { app: 'x', more: 'z' } }),
      port: fc.constantFrom({ number: 80 }, { name: 'http' }),
      scheme: fc.constant('HTTPS' as const),
      basePath: fc.constant('/'),
    }),
  }),
  fc.constantFrom('http://10.0.0.1', 'http://10.96.0.1', 'http://a.default.svc', 'http://b.team-a.svc', 'http://a').map((url) => ({ url })),
)

const withPlace = ({ name: own, weight: share, priority, engine, auth }: Backend, where: Partial<Backend>): Backend => ({
  name: own,
  weight: share,
  priority,
  engine,
  ...(auth !== undefined && { auth }),
  ...where,
})

const clusterModel: fc.Arbitrary<ModelResource> = fc.tuple(model, place).map(([one, where]) => ({
  ...one,
  metadata: { ...one.metadata, namespace: 'default' },
  spec: { ...one.spec, backends: one.spec.backends.map((own) => withPlace(own, where)) },
}))

const CLUSTER: Settings = { addresses: { base: 'Cluster', allow: [], deny: [], apiServer: ['10.0.0.3'] }, builtInAuto: false }
const cluster: fc.Arbitrary<Resources> = fc.record({
  models: keyed(clusterModel),
  policies: keyed(policy),
  secrets: keyed(secret),
  clientKeys: keyed(clientKey),
  namespaces: fc.subarray([...NAMESPACES]).map((some) => new Map(some.map((one) => [one, { 'kubernetes.io/metadata.name': one }]))),
  services: keyed(service),
  slices: fc.array(slice, { maxLength: 4 }).map((list) => Map.groupBy(list, (one) => `${one.metadata.namespace}/${one.service}`)),
  pods: keyed(pod),
  tokenIssuers: fc.constant([]),
  settings: fc.constantFrom(CLUSTER, { ...CLUSTER, addresses: { ...CLUSTER.addresses, allow: ['10.0.0.0/8'] } }, STANDALONE_SETTINGS),
})

const BROKEN = { namespace: 'default', name: 'broken', generation: 1, createdAtMs: 0, labels: {}, annotations: {} }
const badBackend = { name: 'bad', weight: 1, priority: 0, url: 'http://x:99999', engine: 'Auto' as const }

/** Each takes nothing from the others: names of its own, and nobody points at it. */
const breakages: Record<string, (whole: Resources) => Resources> = {
  'a model without a usable address': (whole) => ({
    ...whole,
    models: new Map<string, ModelResource>(whole.models).set('default/broken', {
      kind: 'LlamaModel',
      metadata: BROKEN,
      spec: { visibility: 'Public', weight: 1, priority: 0, access: { from: 'All' }, backends: [badBackend] },
    }),
  }),
  'a model without its secret': (whole) => ({
    ...whole,
    models: new Map<string, ModelResource>(whole.models).set('default/broken', {
      kind: 'LlamaModel',
      metadata: BROKEN,
      spec: {
        visibility: 'Public',
        weight: 1,
        priority: 0,
        access: { from: 'All' },
        backends: [{ ...badBackend, url: 'http://x', auth: { type: 'Header', secretRefs: [{ name: 'nowhere', key: 'key' }] } }],
      },
    }),
  }),
  'a policy without a target': (whole) => ({
    ...whole,
    policies: new Map<string, PolicyResource>(whole.policies).set('default/broken', {
      kind: 'RoutingPolicy',
      metadata: BROKEN,
      spec: { virtualModels: ['broken'], access: { from: 'All' }, targets: [{ model: 'nothing' }], unknownPrice: 'Allow' },
    }),
  }),
  'a client-key Secret with a bad expiry': (whole) => ({
    ...whole,
    clientKeys: new Map<string, ClientKeyResource>(whole.clientKeys).set('default/broken', {
      metadata: { ...BROKEN, annotations: { 'llamaswap.dev/expires': 'soon' } },
      entries: [{ name: 'key', sha256: '0'.repeat(64), characters: 30, sendable: true }],
    }),
  }),
}

function without(table: RoutingTable, ref: string): RoutingTable {
  return {
    ...table,
    models: table.models.filter((one) => one.ref !== ref),
    policies: table.policies.filter((one) => one.ref !== ref),
    endpointSets: table.endpointSets.filter((one) => one.model !== ref),
  }
}

for (const [what, breakIt] of Object.entries(breakages)) {
  test(`${what} changes nothing of the others`, () => {
    fc.assert(
      fc.property(resources, (whole) => {
        const after = translate(breakIt(whole))
        assert.deepEqual(without(after.table, 'default/broken'), translate(whole).table)
        assert.ok(after.problems.some(({ object }) => object.endsWith(' default/broken')))
      }),
    )
  })
}

test('the order in which objects come does not matter', () => {
  const reversed = <T>(map: ReadonlyMap<string, T>): ReadonlyMap<string, T> => new Map([...map].reverse())
  fc.assert(
    fc.property(resources, (whole) => {
      const { models, policies, secrets, clientKeys, namespaces } = whole
      const other = {
        ...whole,
        models: reversed(models),
        policies: reversed(policies),
        secrets: reversed(secrets),
        clientKeys: reversed(clientKeys),
        namespaces: reversed(namespaces),
      }
      assert.deepEqual(translate(other), translate(whole))
    }),
  )
})

test('a proxy accepts every table', () => {
  fc.assert(
    fc.property(fc.oneof(resources, cluster), (whole) => {
      const parsed = parseTable(JSON.parse(JSON.stringify(translate(whole).table)))
      assert.deepEqual('errors' in parsed ? parsed.errors : [], [])
    }),
  )
})

test('within a namespace each name has one owner', () => {
  fc.assert(
    fc.property(resources, (whole) => {
      const { models, policies } = translate({ ...whole, settings: { ...STANDALONE_SETTINGS, builtInAuto: false } }).table
      const owned = [...models, ...policies].flatMap(({ ref, names }) => names.map((one) => `${ref.split('/')[0]} ${one}`))
      assert.equal(new Set(owned).size, owned.length)
    }),
  )
})

test('no message and no status shows a secret', () => {
  fc.assert(
    fc.property(resources, (whole) => {
      const { problems, statuses } = translate(whole)
      assert.doesNotMatch(JSON.stringify({ problems, statuses, whole: [...whole.secrets.values()] }), /sk-1|two\\nlines/)
    }),
  )
})

const KINDS = ['models', 'policies', 'secrets', 'clientKeys', 'namespaces', 'services', 'slices', 'pods', 'settings'] as const
type ChangedKind = (typeof KINDS)[number]
const step = fc.record({ kind: fc.constantFrom(...KINDS), to: cluster, takes: fc.func(fc.boolean()) })

/** Some objects of one kind change; all others are the very same, as a watch leaves them. */
function change(before: Resources, { kind, to, takes }: { kind: ChangedKind; to: Resources; takes: (key: string) => boolean }): Resources {
  const one = <T>(old: ReadonlyMap<string, T>, fresh: ReadonlyMap<string, T>, of: ChangedKind): ReadonlyMap<string, T> => {
    if (of !== kind) return old
    const keys = [...new Set([...old.keys(), ...fresh.keys()])]
    const kept = keys.map((key) => [key, (takes(key) ? fresh : old).get(key)] as const)
    return new Map(kept.flatMap(([key, value]) => (value === undefined ? [] : [[key, value] as const])))
  }
  return {
    models: one(before.models, to.models, 'models'),
    policies: one(before.policies, to.policies, 'policies'),
    secrets: one(before.secrets, to.secrets, 'secrets'),
    clientKeys: one(before.clientKeys, to.clientKeys, 'clientKeys'),
    namespaces: one(before.namespaces, to.namespaces, 'namespaces'),
    services: one(before.services, to.services, 'services'),
    slices: one(before.slices, to.slices, 'slices'),
    pods: one(before.pods, to.pods, 'pods'),
    tokenIssuers: before.tokenIssuers,
    settings: kind === 'settings' ? to.settings : before.settings,
  }
}

test('a translator says after any changes what a fresh one says, and keeps the identity of what is equal', () => {
  fc.assert(
    fc.property(cluster, fc.array(step, { minLength: 1, maxLength: 8 }), (first, steps) => {
      const next = makeTranslator()
      let resources = first
      let answer = next(first, { epoch: 0, seq: 0 })
      for (const one of steps) {
        resources = change(resources, one)
        const before = answer
        answer = next(resources, { epoch: 0, seq: 0 })
        assert.deepEqual(answer, translate(resources))
        assert.deepEqual(keptButCopied(before, answer), [])
      }
    }),
    { numRuns: 300 },
  )
})

/** Entries that are equal to those before and yet are not the same. */
function keptButCopied(before: Translation, after: Translation): readonly string[] {
  const entries = ({ table }: Translation): Map<string, object> =>
    new Map<string, object>([
      ...table.models.map((one) => [`model ${one.ref}`, one] as const),
      ...table.policies.map((one) => [`policy ${one.ref}`, one] as const),
      ...table.endpointSets.map((one) => [`set ${one.model} ${one.backend}`, one] as const),
      ...table.credentials.map((one) => [`credential ${one.id}`, one] as const),
      ...table.clientKeys.map((one) => [`key ${one.sha256}`, one] as const),
    ])
  const old = entries(before)
  return [...entries(after)].flatMap(([key, one]) => (old.get(key) !== one && isDeepStrictEqual(old.get(key), one) ? [key] : []))
}
