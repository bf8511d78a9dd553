import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type Entry, tableEntries, tableOf } from '../../proxy/routing-table/entries.ts'
import { mayUse, parseTable, splitRef } from '../../proxy/routing-table/index.ts'
import type { Access, Model, Policy, RoutingTable } from '../../proxy/routing-table/v1.ts'
import { type ModelLines, makeTable, type TableLines } from '../../test/support/table.ts'
import { EntryCache, entryId, NOTHING, nextPublication, type Publication } from './entries.ts'
import { Projection } from './views.ts'
import { type GatewayAddress, type Viewer, visibleEntry } from './visible.ts'

const ALL: Access = { from: 'All' }
const GATEWAY: GatewayAddress = { url: 'https://gateway.llama-swap.svc:8080', addresses: ['10.96.0.20'] }
const own = { backends: [{ url: 'http://10.0.0.1:8000' }] }
const rented: ModelLines = {
  backends: [{ url: 'https://api.example.com', keys: ['sk-1'], headers: [{ name: 'x-org', value: 'a' }], engine: 'OpenAI' }],
}

function seen(lines: TableLines, viewer: Viewer): RoutingTable {
  const table = makeTable(lines)
  const entries = new Map(tableEntries(table).map((entry) => [entryId(entry.kind, entry.key), { entry }]))
  const visible = [...entries.values()].flatMap(({ entry }) => visibleEntry(entry, entries, viewer) ?? [])
  const made = tableOf(visible, { epoch: 1, seq: 1 })
  assert.ok('table' in parseTable(JSON.parse(JSON.stringify(made))), JSON.stringify(parseTable(JSON.parse(JSON.stringify(made)))))
  return made
}

const refs = ({ models, policies }: RoutingTable): readonly string[] => [...models, ...policies].map(({ ref }) => ref)

test('a sidecar sees what its namespace may use, and the endpoints of that', () => {
  const lines = {
    models: {
      mine: { ...own, namespace: 'team-a' },
      shared: { ...own, namespace: 'team-b', access: ALL },
      theirs: { ...own, namespace: 'team-b' },
    },
    policies: { auto: { namespace: 'team-b', access: ALL, targets: ['shared', 'theirs'], fallback: { targets: ['theirs'] } } },
    keys: [{ key: 'k-of-a-of-24-characters-..', client: 'team-a/app' }],
  }
  const table = seen(lines, { namespace: 'team-a' })
  assert.deepEqual(refs(table), ['team-a/mine', 'team-b/shared', 'team-b/auto'])
  assert.deepEqual(
    table.endpointSets.map(({ model }) => model),
    ['team-a/mine', 'team-b/shared'],
  )
  const [rule] = table.policies[0]?.rules ?? []
  assert.deepEqual([rule?.targets.map(({ model }) => model), rule?.fallback.targets], [['team-b/shared'], []])
  assert.deepEqual([table.credentials, table.clientKeys, table.tokenIssuers], [[], [], undefined])
})

test('of a chain a sidecar sees the policies that its namespace may use, and no name of another', () => {
  const lines = {
    models: { shared: { ...own, namespace: 'team-b', access: ALL } },
    policies: {
      auto: { namespace: 'team-b', access: ALL, targets: ['shared'], fallback: { targets: ['policy open', 'policy closed'] } },
      open: { namespace: 'team-b', access: ALL, targets: ['shared'] },
      closed: { namespace: 'team-b', targets: ['shared'] },
    },
  }
  const table = seen(lines, { namespace: 'team-a' })
  assert.deepEqual(refs(table), ['team-b/shared', 'team-b/auto', 'team-b/open'])
  assert.deepEqual(table.policies[0]?.rules[0]?.fallback.targets, [{ policy: 'team-b/open' }])
  assert.ok(!JSON.stringify(table).includes('closed'))
})

test('limits of a model that only the gateway serves are left to the gateway', () => {
  const limits = { requestsPerMinute: 60 }
  const mixed = { backends: [...own.backends, ...rented.backends], limits }
  const table = seen({ models: { led: { ...rented, limits }, mixed, own: { ...own, limits } } }, { namespace: 'default', gateway: GATEWAY })
  assert.deepEqual(
    table.models.map(({ ref, limits: kept }) => [ref, kept]),
    [
      ['default/led', undefined],
      ['default/mixed', limits],
      ['default/own', limits],
    ],
  )
})

test("a sidecar learns of a policy's terms those that may be for it, in their places", () => {
  const table = makeTable({
    models: { shared: { ...own, namespace: 'team-b', access: ALL } },
    policies: { auto: { namespace: 'team-b', access: ALL, targets: ['shared'] } },
  })
  const limits = { requestsPerMinute: 60 }
  const clients = [
    { match: { names: ['team-a/app'] }, limits },
    { match: { namespaces: ['team-c'] }, limits },
    { match: { namespaces: ['team-c', 'team-a'] }, limits },
    { match: {}, limits },
  ]
  const policies = table.policies.map((policy) => ({ ...policy, clients }))
  const entries = new Map(tableEntries({ ...table, policies }).map((entry) => [entryId(entry.kind, entry.key), { entry }]))
  const policy = entries.get(entryId('policy', 'team-b/auto'))?.entry ?? assert.fail('there is one')
  const seenBy = (namespace: string): unknown => {
    const entry = visibleEntry(policy, entries, { namespace })
    return entry?.kind === 'policy' ? entry.value.clients : undefined
  }
  const nobody = { match: { names: [] } }
  assert.deepEqual(seenBy('team-a'), [nobody, nobody, { match: { namespaces: ['team-a'] }, limits }, { match: {}, limits }])
  assert.deepEqual(seenBy('team-d'), [nobody, nobody, nobody, { match: {}, limits }])
})

test('a rule that loses all its targets stays, and matches what it matched', () => {
  const lines = {
    models: { theirs: { ...own, namespace: 'team-b' } },
    policies: { auto: { namespace: 'team-b', access: ALL, targets: ['theirs'] } },
  }
  const [policy] = seen(lines, { namespace: 'team-a' }).policies
  assert.deepEqual(
    policy?.rules.map(({ targets }) => targets),
    [[]],
  )
})

test('who else may use an object is not told', () => {
  const lines = {
    models: { shared: { ...own, namespace: 'team-b', access: { from: 'Namespaces', namespaces: ['team-a', 'team-secret'] } as const } },
  }
  assert.doesNotMatch(JSON.stringify(seen(lines, { namespace: 'team-a' })), /team-secret/)
  assert.deepEqual(seen(lines, { namespace: 'team-b' }).models[0]?.access, { from: 'Same' })
})

test('a backend that needs a credential is left out', () => {
  const table = seen({ models: { m: { namespace: 'team-a', backends: [...own.backends, ...rented.backends] } } }, { namespace: 'team-a' })
  assert.deepEqual(
    table.models[0]?.backends.map(({ name }) => name),
    ['b0'],
  )
  assert.deepEqual(
    table.endpointSets.map(({ backend }) => backend),
    ['b0'],
  )
})

test('or led through the gateway, under a name it answers to, with the own token of the pod', () => {
  const lines = { models: { m: { ...rented, namespace: 'team-b', access: ALL, names: ['gpt', 'gpt-4o'] } } }
  const table = seen(lines, { namespace: 'team-a', gateway: GATEWAY })
  const [backend] = table.models[0]?.backends ?? []
  assert.deepEqual(backend, {
    name: 'b0',
    weight: 1,
    priority: 0,
    engine: 'Generic',
    upstreamModel: 'team-b/gpt',
    health: {},
    signals: {},
    timeouts: {},
    auth: { header: 'authorization', scheme: 'Bearer', credentials: ['pod-token'] },
    headers: [],
    probed: false,
    simulated: false,
  })
  const [endpoint] = table.endpointSets[0]?.endpoints ?? []
  assert.deepEqual({ ...endpoint, id: '' }, { id: '', origin: GATEWAY.url, basePath: '/v1', addresses: GATEWAY.addresses })
})

test('an alias with a name of its own at the engine is the alias at the gateway, or the backend is left out', () => {
  const aliases = [{ name: 'lora', upstreamModel: 'adapters/x' }, { name: 'gpt-4o' }]
  const viewer = { namespace: 'team-a', gateway: GATEWAY }
  const led = seen({ models: { m: { ...rented, namespace: 'team-a', names: ['m', 'lora'], aliases } } }, viewer).models[0]
  assert.deepEqual(led?.aliases, [{ name: 'lora', upstreamModel: 'team-a/lora' }, { name: 'gpt-4o' }])
  const mixed = seen({ models: { m: { namespace: 'team-a', aliases, backends: [...own.backends, ...rented.backends] } } }, viewer).models[0]
  assert.deepEqual([mixed?.aliases, mixed?.backends.map(({ name }) => name)], [aliases, ['b0']])
})

test('a gateway cannot be asked for a model that has no name there', () => {
  const viewer = { namespace: 'team-a', gateway: GATEWAY }
  for (const hidden of [{ names: [] }, { visibility: 'Internal' as const }])
    assert.deepEqual(seen({ models: { m: { ...rented, namespace: 'team-a', ...hidden } } }, viewer).models[0]?.backends, [])
})

const NAMESPACES = ['team-a', 'team-b', 'team-c']
const NAMES = ['m0', 'm1', 'm2', 'm3']

const access: fc.Arbitrary<Access> = fc.oneof(
  fc.constant<Access>({ from: 'Same' }),
  fc.constant<Access>(ALL),
  fc.subarray(NAMESPACES).map((namespaces): Access => ({ from: 'Namespaces', namespaces })),
)

/** Credentials are "sk-secret-…" everywhere, and keys' digests those of "key-of-NAMESPACE". */
const model: fc.Arbitrary<ModelLines> = fc.record({
  namespace: fc.constantFrom(...NAMESPACES),
  access,
  weight: fc.integer({ min: 1, max: 3 }),
  visibility: fc.constantFrom('Public', 'Internal'),
  backends: fc.array(
    fc.record(
      {
        url: fc.constantFrom('http://10.0.0.1:80', ['http://10.0.0.2:80', 'http://10.0.0.3:80']),
        keys: fc.constantFrom([], ['sk-secret-1']),
      },
      { requiredKeys: ['url'] },
    ),
    { minLength: 1, maxLength: 3 },
  ),
})

const table: fc.Arbitrary<RoutingTable> = fc
  .record({
    models: fc.dictionary(fc.constantFrom(...NAMES), model),
    policies: fc.dictionary(
      fc.constantFrom('p0', 'p1'),
      fc.record({
        namespace: fc.constantFrom(...NAMESPACES),
        access,
        targets: fc.array(
          fc.tuple(fc.constantFrom(...NAMESPACES), fc.constantFrom(...NAMES)).map(([ns, name]) => `${ns}/${name}`),
          { maxLength: 3 },
        ),
      }),
    ),
  })
  .map((lines) =>
    makeTable({ ...lines, keys: NAMESPACES.map((namespace) => ({ key: `key-of-${namespace}`, client: `${namespace}/app` })) }),
  )

function published(before: Publication['published'], next: RoutingTable, cache: EntryCache): Publication | undefined {
  const made = nextPublication(before, next, { cache, changedAtMs: 1, nowMs: 1 })
  assert.ok(made === undefined || 'published' in made)
  return made
}

const isForeign = ({ ref, access: given }: Model | Policy, namespace: string): boolean => !mayUse(given, splitRef(ref).namespace, namespace)

test('after any changes a sidecar has what it would have from the start: no secret, and nothing of others', () => {
  const cases = fc.tuple(fc.array(table, { minLength: 1, maxLength: 5 }), fc.constantFrom(...NAMESPACES), fc.boolean())
  fc.assert(
    fc.property(cases, ([tables, namespace, led]) => {
      const viewer: Viewer = { namespace, ...(led && { gateway: GATEWAY }) }
      const cache = new EntryCache()
      const projection = new Projection(viewer, cache, NOTHING)
      let before = NOTHING
      for (const next of tables) {
        const publication = published(before, next, cache)
        if (publication === undefined) continue
        before = publication.published
        projection.follow(publication)
        const whole = new Projection(viewer, cache, before).view
        assert.equal(projection.view.hash, whole.hash)
        assert.deepEqual([...projection.view.entries.keys()].toSorted(), [...whole.entries.keys()].toSorted())
        holdsNothingForeign([...projection.view.entries.values()], next, namespace)
      }
    }),
    { numRuns: 300 },
  )
})

function holdsNothingForeign(
  entries: readonly { readonly wire: string; readonly entry: Entry }[],
  whole: RoutingTable,
  namespace: string,
): void {
  const sent = entries.map(({ wire }) => wire).join('\n')
  assert.doesNotMatch(sent, /sk-secret/)
  for (const { sha256 } of whole.clientKeys) assert.ok(!sent.includes(sha256))
  for (const { id } of whole.credentials) assert.ok(!sent.includes(id))
  for (const object of [...whole.models, ...whole.policies])
    if (isForeign(object, namespace))
      assert.ok(!sent.includes(`"${object.ref}"`) && !sent.includes(`"${object.ref} `), `${object.ref} in ${sent}`)
}
