import assert from 'node:assert/strict'
import { test } from 'node:test'
import { makeTable } from '../../test/support/table.ts'
import { chat } from '../dialects/chat.ts'
import { Live } from '../live/live.ts'
import { compileTable } from '../routing-table/index.ts'
import { type Explanation, explain } from './explain.ts'

const pricing = { inputPerMillionTokens: 10, outputPerMillionTokens: 10 }
const TABLE = compileTable(
  makeTable({
    models: {
      a: { backends: [{ url: ['http://10.0.0.1', 'http://10.0.0.2'], pricing }] },
      small: { backends: [{ url: 'http://10.0.0.3', contextWindowTokens: 1 }] },
      secret: { namespace: 'team-b', backends: [{ url: 'http://10.0.0.4' }] },
    },
    policies: { auto: { strategy: 'Adaptive', targets: [['a', 2], 'small', 'team-b/secret'] } },
  }),
)

function explained(body: object, live = new Live()): Explanation {
  live.apply(TABLE)
  const result = explain({
    bytes: Buffer.from(JSON.stringify(body)),
    headers: {},
    client: { name: undefined, namespace: 'default' },
    dialect: chat,
    table: TABLE,
    live,
    nowMs: 1000,
    dice: 0,
    waitingFor: () => 0,
  })
  assert.ok('explanation' in result)
  return result.explanation
}

const request = { model: 'auto', messages: [{ role: 'user', content: 'a question of some words' }] }

test('every candidate has its factors, or why it lost; every endpoint what is ahead, what it costs, or why it was left out', () => {
  const [a, small] = explained(request).candidates
  assert.equal(a?.model, 'a')
  assert.deepEqual(Object.keys(a?.factors ?? {}), ['weight', 'availability', 'speed', 'cheapness', 'fitness', 'share'])
  assert.deepEqual(
    a?.endpoints.map(({ ahead, costUsd }) => [ahead, (costUsd ?? 0) > 0]),
    [
      [0, true],
      [0, true],
    ],
  )
  assert.match(small?.lost ?? '', /context window/)
  assert.deepEqual(
    small?.endpoints.map(({ ruledOut }) => ruledOut),
    [small?.lost],
  )
})

test('an endpoint that cools down says so, and since when it is out', () => {
  const live = new Live()
  live.apply(TABLE)
  const [id = ''] = [...TABLE.endpoints.values()].map((one) => one.id)
  live.take(id, 0).failed({ class: 'REFUSED', because: 'connection refused' }, 900, 0.5)
  const [first, second] = explained(request, live).candidates[0]?.endpoints ?? []
  assert.match(first?.state ?? '', /^open: connection refused/)
  assert.deepEqual([first?.ruledOut, first?.ruledOutAt], ['circuit open: connection refused', 'healthyEndpoint'])
  assert.equal(second?.ruledOut, undefined)
})

test('of a model that the client may not know of neither name nor endpoints nor factors are told', () => {
  const text = JSON.stringify(explained(request))
  assert.doesNotMatch(text, /secret|10\.0\.0/)
  const hidden = explained(request).candidates.find(({ model }) => model === '(hidden)')
  assert.deepEqual([hidden?.endpoints, hidden?.factors], [[], undefined])
})

test('which rules held, and what of the others did not', () => {
  const rules = [
    { name: 'gold', matches: [{ headers: [{ type: 'Exact' as const, name: 'x-tier', value: 'gold' }] }, { cel: 'request.seed == 1' }] },
    { name: 'rest', matches: [] },
  ]
  const [policy] = makeTable({ policies: { auto: { targets: ['a'] } } }).policies
  const [only] = policy?.rules ?? []
  assert.ok(policy !== undefined && only !== undefined)
  const table = compileTable({ ...TABLE.table, policies: [{ ...policy, rules: rules.map((rule) => ({ ...only, ...rule })) }] })
  const live = new Live()
  live.apply(table)
  const result = explain({
    bytes: Buffer.from(JSON.stringify(request)),
    headers: {},
    client: { name: undefined, namespace: 'default' },
    dialect: chat,
    table,
    live,
    nowMs: 0,
    dice: 0,
    waitingFor: () => 0,
  })
  assert.ok('explanation' in result)
  assert.deepEqual(
    result.explanation.rules.map(({ rule, holds, mismatches }) => [rule, holds, mismatches]),
    [
      ['gold', false, ['headers', 'cel']],
      ['rest', true, []],
    ],
  )
  assert.match(result.explanation.rules[0]?.failure ?? '', /seed/)
})
