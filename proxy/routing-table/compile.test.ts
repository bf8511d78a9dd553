import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type ModelLines, makeTable, type PolicyLines } from '../../test/support/table.ts'
import { type Access, type Claim, type CompiledTable, compileTable, mayUse, resolveName, splitRef, visibleNames } from './index.ts'

const BACKENDS = [{ url: 'http://10.0.0.1' }]
const model = (more: Partial<ModelLines> = {}): ModelLines => ({ backends: BACKENDS, ...more })
const ALL: Access = { from: 'All' }

function compiled(models: Readonly<Record<string, ModelLines>>, policies: Readonly<Record<string, PolicyLines>> = {}): CompiledTable {
  return compileTable(makeTable({ models, policies }))
}

const refOf = (claim: Claim | undefined): string | undefined => (claim?.kind === 'model' ? claim.model.entry.ref : claim?.policy.entry.ref)
const found = (table: CompiledTable, name: string, namespace = 'default'): string | undefined => refOf(resolveName(table, name, namespace))

test('a reference is cut at its slash', () => assert.deepEqual(splitRef('team-a/llama.v2'), { namespace: 'team-a', name: 'llama.v2' }))

const MAY_USE: Readonly<Record<string, [Access, string, boolean]>> = {
  'Same: its own namespace': [{ from: 'Same' }, 'a', true],
  'Same: no other': [{ from: 'Same' }, 'b', false],
  'All: every one': [ALL, 'b', true],
  'Namespaces: those that are named': [{ from: 'Namespaces', namespaces: ['b'] }, 'b', true],
  'Namespaces: no other': [{ from: 'Namespaces', namespaces: ['b'] }, 'c', false],
  'Namespaces: always its own': [{ from: 'Namespaces', namespaces: [] }, 'a', true],
}

for (const [name, [access, client, expected]] of Object.entries(MAY_USE)) {
  test(`access ${name}`, () => assert.equal(mayUse(access, 'a', client), expected))
}

test("a name is the client's own object's first, in whatever order the table has them", () => {
  const lines = { shared: model({ namespace: 'team-b', names: ['llama'], access: ALL }), own: model({ names: ['llama'] }) }
  assert.equal(found(compiled(lines), 'llama'), 'default/own')
  assert.equal(found(compiled({ own: lines.own, shared: lines.shared }), 'llama'), 'default/own')
  assert.equal(found(compiled(lines), 'llama', 'team-c'), 'team-b/shared')
})

test('of several that are shared the oldest answers, then the first by reference, in whatever order the table has them', () => {
  const old = model({ namespace: 'team-z', names: ['llama'], access: ALL, createdAtMs: 1 })
  const young = model({ namespace: 'team-b', names: ['llama'], access: ALL, createdAtMs: 2 })
  const ageless = model({ namespace: 'team-a', names: ['llama'], access: ALL })
  assert.equal(found(compiled({ young, ageless, old }), 'llama'), 'team-z/old')
  assert.equal(found(compiled({ ageless, young }), 'llama'), 'team-b/young')
  assert.equal(found(compiled({ z: { ...ageless, namespace: 'team-c' }, ageless }), 'llama'), 'team-a/ageless')
  const policy = { namespace: 'team-a', names: ['llama'], access: ALL, targets: ['x'] }
  assert.equal(found(compiled({ young, x: model({ namespace: 'team-a' }) }, { policy }), 'llama'), 'team-b/young')
})

test('of several that are shared the first by reference answers', () => {
  const table = compiled({
    b: model({ namespace: 'team-b', names: ['llama'], access: ALL }),
    c: model({ namespace: 'team-c', names: ['llama'], access: ALL }),
  })
  assert.equal(found(table, 'llama'), 'team-b/b')
  assert.equal(found(table, 'team-c/llama'), 'team-c/c')
})

test('a hidden object stands in the way of no other', () => {
  const table = compiled({
    hidden: model({ namespace: 'team-b', names: ['llama'] }),
    open: model({ namespace: 'team-c', names: ['llama'], access: ALL }),
  })
  assert.equal(found(table, 'llama'), 'team-c/open')
  assert.equal(found(table, 'team-b/llama'), undefined)
  assert.equal(found(table, 'llama', 'team-b'), 'team-b/hidden')
})

test('a name with slashes is a name first, then namespace and name', () => {
  const table = compiled({
    hf: model({ names: ['team-b/llama', 'a/b/c'] }),
    b: model({ namespace: 'team-b', names: ['llama', 'x/y'], access: ALL }),
  })
  assert.equal(found(table, 'team-b/llama'), 'default/hf')
  assert.equal(found(table, 'a/b/c'), 'default/hf')
  assert.equal(found(table, 'team-b/x/y'), 'team-b/b')
  assert.equal(found(table, '/llama'), undefined)
  assert.equal(found(table, 'team-b/'), undefined)
})

test('nobody takes the explicit form of another by a name with a slash', () => {
  const table = compiled({
    b: model({ namespace: 'team-b', names: ['llama'], access: { from: 'Namespaces', namespaces: ['team-d'] }, createdAtMs: 2 }),
    c: model({ namespace: 'team-c', names: ['team-b/llama'], access: ALL, createdAtMs: 1 }),
  })
  assert.equal(found(table, 'team-b/llama', 'team-b'), 'team-b/b')
  assert.equal(found(table, 'team-b/llama', 'team-d'), 'team-b/b')
  assert.equal(found(table, 'team-b/llama', 'team-c'), 'team-c/c')
  assert.equal(found(table, 'team-b/llama', 'team-e'), 'team-c/c')
})

test('an internal model answers to no name, in no spelling', () => {
  const table = compiled({ inner: model({ visibility: 'Internal' }) })
  assert.deepEqual([found(table, 'inner'), found(table, 'default/inner'), visibleNames(table, 'default')], [undefined, undefined, []])
})

test('what a client may send is listed once each, and answers', () => {
  const table = compiled(
    {
      a: model({ names: ['a', 'gpt-4o'] }),
      b: model({ namespace: 'team-b', names: ['b', 'a'], access: ALL }),
      c: model({ namespace: 'team-b' }),
    },
    { auto: { targets: ['a'] } },
  )
  const names = visibleNames(table, 'default')
  assert.deepEqual(
    names.map(({ name, claim }) => `${name} ${refOf(claim)}`),
    ['a default/a', 'gpt-4o default/a', 'b team-b/b', 'auto default/auto'],
  )
  for (const { name, claim } of names) assert.equal(resolveName(table, name, 'default'), claim)
})

test("endpoints stand in the order of their backends' priority and share their backend's weight", () => {
  const table = compiled({
    a: model({
      backends: [
        { url: ['http://1', 'http://2'], priority: 1, weight: 4 },
        { url: 'http://3', weight: 1 },
      ],
    }),
  })
  const endpoints = table.models.get('default/a')?.endpoints.map(({ origin, weight }) => `${origin} ${weight}`)
  assert.deepEqual(endpoints, ['http://3 1', 'http://1 2', 'http://2 2'])
  assert.equal(table.endpoints.size, 3)
})

test('a last resort is an endpoint of its table, but not among those of its model', () => {
  const table = makeTable({ models: { a: model() } })
  const [set] = table.endpointSets
  assert.ok(set !== undefined)
  const lastResort = { id: 'last', origin: 'http://10.96.0.1', basePath: '/v1' }
  const { models, endpoints } = compileTable({ ...table, endpointSets: [{ ...set, lastResort }] })
  const compiledModel = models.get('default/a')
  assert.deepEqual(
    compiledModel?.endpoints.map(({ id }) => id),
    set.endpoints.map(({ id }) => id),
  )
  assert.deepEqual(
    compiledModel?.withLastResorts.map(({ id, lastResort: isLast }) => [id, isLast]),
    [...set.endpoints.map(({ id }) => [id, false]), ['last', true]],
  )
  assert.equal(endpoints.get('last')?.weight, 1)
})

test('a target that is no model of the table is dropped', () => {
  const table = compiled({ a: model() }, { auto: { targets: ['gone', 'a'], fallback: { targets: ['gone'] } } })
  const [rule] = table.policies.get('default/auto')?.rules ?? []
  assert.deepEqual(
    rule?.targets.map(({ model: target }) => target.entry.ref),
    ['default/a'],
  )
  assert.deepEqual(rule?.chain, [])
})

test('credentials, keys and aliases are found by what they are asked for', () => {
  const table = compileTable(
    makeTable({
      models: {
        a: { aliases: [{ name: 'sql', upstreamModel: 'lora' }, { name: 'plain' }], backends: [{ url: 'http://1', keys: ['secret'] }] },
      },
      keys: [{ key: 'k'.repeat(24), client: 'team-a/key' }],
    }),
  )
  assert.deepEqual([...table.credentials.values()], ['secret'])
  assert.deepEqual(
    [...table.clientKeys.values()].map(({ client }) => client),
    ['team-a/key'],
  )
  assert.deepEqual([...(table.models.get('default/a')?.aliasUpstream ?? [])], [['sql', 'lora']])
})

test('nothing of it can be changed', () => {
  const table = compiled({ a: model() }, { auto: { targets: ['a'] } })
  const frozen = [
    table,
    ...table.models.values(),
    ...table.policies.values(),
    ...table.endpoints.values(),
    ...[...table.claims.values()].flat(),
  ]
  assert.ok(frozen.every((one) => Object.isFrozen(one)))
})

test('expressions of one text are one program, in the next table too', () => {
  const programs = (): readonly unknown[] => {
    const policy: PolicyLines = { targets: ['m'], matches: [{ cel: 'facts.stream' }, { cel: '!facts.stream' }, { cel: 'facts.stream' }] }
    const table = compiled({ m: model() }, { one: policy, other: policy })
    return [...table.policies.values()].flatMap(({ rules }) => rules.flatMap(({ matches }) => matches.map(({ holds }) => holds)))
  }
  assert.deepEqual([programs().length, new Set([...programs(), ...programs()]).size], [6, 2])
})
