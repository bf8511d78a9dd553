import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { parseTable, type RoutingTable } from '../../proxy/routing-table/index.ts'
import { SecretValue } from '../resources/secret-value.ts'
import {
  type ClientKeyResource,
  type Metadata,
  type ModelResource,
  objectKey,
  type PolicyResource,
  type Resources,
  type SecretResource,
  STANDALONE_SETTINGS,
} from '../resources/snapshot.ts'
import { translate } from './translate.ts'

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

const backend = (index: number) =>
  record(
    {
      name: fc.constant(`backend-${index}`),
      weight,
      priority: fc.integer({ min: 0, max: 2 }),
      url: fc.constantFrom('http://a:8000', 'https://b.example.com/openai/', 'http://c:70000', 'http://169.254.169.254', 'http://[::1]:1'),
      engine: fc.constantFrom('Auto' as const, 'vLLM' as const, 'OpenAI' as const),
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

const policy: fc.Arbitrary<PolicyResource> = fc.record({
  kind: fc.constant('RoutingPolicy' as const),
  metadata,
  spec: record(
    {
      virtualModels: fc.uniqueArray(name, { minLength: 1, maxLength: 2 }),
      access,
      targets,
      rules: fc.array(record({ name: fc.constantFrom('one', 'default'), targets }, ['name']), { minLength: 1, maxLength: 2 }),
      fallback: record({ enabled: fc.boolean(), targets }, ['enabled']),
    },
    ['virtualModels', 'access', 'targets'],
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

const keyed = <T extends { metadata: Metadata }>(one: fc.Arbitrary<T>): fc.Arbitrary<Map<string, T>> =>
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
      spec: { virtualModels: ['broken'], access: { from: 'All' }, targets: [{ model: 'nothing' }] },
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
    fc.property(resources, (whole) => {
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
