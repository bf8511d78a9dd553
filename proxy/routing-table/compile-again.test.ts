import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type ModelLines, makeTable, type PolicyLines, type TableLines } from '../../test/support/table.ts'
import { type ClientKey, type CompiledTable, compileTable, type EndpointSet, type Model, type Policy, type RoutingTable } from './index.ts'

const REFS = ['a', 'b', 'c', 'd'] as const
const some = fc.constantFrom(...REFS)
const names = fc.uniqueArray(fc.constantFrom('x', 'y', 'a'), { maxLength: 2 })
const url = fc.constantFrom('http://10.0.0.1', 'http://10.0.0.2')
const createdAtMs = fc.constantFrom(1, 2)
const access = fc.constantFrom({ from: 'Same' as const }, { from: 'All' as const })

const model: fc.Arbitrary<ModelLines> = fc.record({
  names,
  createdAtMs,
  access,
  visibility: fc.constantFrom('Public' as const, 'Internal' as const),
  backends: fc.uniqueArray(fc.record({ name: fc.constantFrom('p', 'q'), url }), {
    selector: ({ name }) => name,
    maxLength: 2,
  }),
})
const policy: fc.Arbitrary<PolicyLines> = fc.record({ names, createdAtMs, access, targets: fc.uniqueArray(some, { maxLength: 2 }) })
const keys = fc.uniqueArray(fc.constantFrom('one', 'two'), { maxLength: 2 })

type Step = (lines: TableLines) => TableLines
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.tuple(some, model).map(
    ([name, made]): Step =>
      (lines) => ({ ...lines, models: { ...lines.models, [name]: made } }),
  ),
  fc.tuple(some, policy).map(
    ([name, made]): Step =>
      (lines) => ({ ...lines, policies: { ...lines.policies, [`policy-${name}`]: made } }),
  ),
  fc.tuple(some, createdAtMs).map(([name, age]) => editing(name, (one) => ({ ...one, createdAtMs: age }))),
  fc.tuple(some, url).map(([name, to]) => editing(name, (one) => ({ ...one, backends: one.backends.map((own) => ({ ...own, url: to })) }))),
  some.map(
    (name): Step =>
      ({ models = {}, ...rest }) => ({ ...rest, models: without(models, name) }),
  ),
  some.map(
    (name): Step =>
      ({ policies = {}, ...rest }) => ({ ...rest, policies: without(policies, `policy-${name}`) }),
  ),
  keys.map(
    (all): Step =>
      (lines) => ({ ...lines, keys: all.map((key) => ({ key, client: 'default/app' })) }),
  ),
)

function editing(name: string, edit: (one: ModelLines) => ModelLines): Step {
  return (lines) => {
    const one = lines.models?.[name]
    return one === undefined ? lines : { ...lines, models: { ...lines.models, [name]: edit(one) } }
  }
}

const without = <T>(all: Readonly<Record<string, T>>, name: string): Record<string, T> =>
  Object.fromEntries(Object.entries(all).filter(([key]) => key !== name))

/** As entries arrive: what says the same is the same object. */
function makeInterner(): (table: RoutingTable) => RoutingTable {
  const parts = { models: interner<Model>(), policies: interner<Policy>(), sets: interner<EndpointSet>(), keys: interner<ClientKey>() }
  return (table) => ({
    ...table,
    models: table.models.map(parts.models),
    policies: table.policies.map(parts.policies),
    endpointSets: table.endpointSets.map(parts.sets),
    clientKeys: table.clientKeys.map(parts.keys),
  })
}

function interner<T>(): (value: T) => T {
  const known = new Map<string, T>()
  return (value) => {
    const text = JSON.stringify(value)
    const found = known.get(text) ?? value
    known.set(text, found)
    return found
  }
}

/** Orders that mean something, as lists; those that mean nothing, as maps. */
const shown = (table: CompiledTable): unknown => ({
  ...table,
  names: [...table.claims.keys()],
  endpoints: new Map([...table.endpoints.values()].map((endpoint) => [endpoint.id, endpoint])),
  count: table.endpoints.size,
})

test('a table compiled after another is the same as one compiled afresh', () => {
  fc.assert(
    fc.property(fc.array(step, { minLength: 1, maxLength: 40, size: 'max' }), (steps) => {
      const intern = makeInterner()
      let lines: TableLines = {}
      let before: CompiledTable | undefined
      for (const next of steps) {
        lines = next(lines)
        const table = intern(makeTable(lines))
        before = compileTable(table, before)
        assert.deepEqual(shown(before), shown(compileTable(table)))
      }
    }),
    { numRuns: 300 },
  )
})

const plain = (weight = 1): ModelLines => ({ backends: [{ url: ['http://10.0.0.1', 'http://10.0.0.2'] }], weight })
const LINES: TableLines = {
  models: { a: plain(), b: plain() },
  policies: { 'to-a': { targets: ['a'] }, 'to-b': { targets: ['b'] } },
  keys: [{ key: 'one', client: 'default/app' }],
}

test('what a change does not touch stays the object that it was, endpoints, policies and whole look-ups among it', () => {
  const intern = makeInterner()
  const before = compileTable(intern(makeTable(LINES)))
  const after = compileTable(intern(makeTable({ ...LINES, models: { ...LINES.models, a: plain(2) } })), before)
  assert.notEqual(after.models.get('default/a'), before.models.get('default/a'))
  assert.equal(after.models.get('default/b'), before.models.get('default/b'))
  assert.notEqual(after.policies.get('default/to-a'), before.policies.get('default/to-a'))
  assert.equal(after.policies.get('default/to-b'), before.policies.get('default/to-b'))
  assert.equal(after.clientKeys, before.clientKeys)
  const same = compileTable(intern(makeTable(LINES)), after)
  const again = compileTable(intern(makeTable({ ...LINES, seq: 9 })), same)
  assert.equal(again.table.seq, 9)
  for (const part of ['models', 'policies', 'endpoints', 'claims', 'credentials', 'clientKeys'] as const)
    assert.equal(again[part], same[part])
})

test('an endpoint is found by its id in tables after which many have come and gone', () => {
  const intern = makeInterner()
  const named = (from: number): TableLines => ({
    models: Object.fromEntries(Array.from({ length: 300 }, (_, index) => [`m-${from + index}`, plain()])),
  })
  const first = compileTable(intern(makeTable(named(0))))
  const second = compileTable(intern(makeTable(named(150))), first)
  assert.deepEqual([first.endpoints.size, second.endpoints.size], [600, 600])
  for (const [table, other] of [[first, second] as const, [second, first] as const]) {
    for (const { withLastResorts } of table.models.values())
      for (const endpoint of withLastResorts) assert.equal(table.endpoints.get(endpoint.id), endpoint)
    for (const [ref, { endpoints }] of table.models)
      if (!other.models.has(ref)) for (const { id } of endpoints) assert.equal(other.endpoints.has(id), false)
  }
})
