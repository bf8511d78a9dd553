import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { RoutingTable } from '../../proxy/routing-table/v1.ts'
import { makeTable } from '../../test/support/table.ts'
import { EntryCache, NOTHING, nextPublication, type Published } from './entries.ts'
import { type GatewayStanding, programmingOf } from './programming.ts'
import { type Answer, Standing } from './standing.ts'

const cache = new EntryCache()

function after(before: Published, table: RoutingTable, nowMs: number): Published {
  const next = nextPublication(before, table, { cache, changedAtMs: nowMs, nowMs })
  assert.ok(next !== undefined && 'published' in next)
  return next.published
}

const weighing = (weight: number): RoutingTable =>
  makeTable({
    models: { a: { weight, backends: [{ url: 'http://10.0.0.1' }] }, b: { backends: [{ url: 'http://10.0.0.2' }] } },
    policies: { auto: { targets: ['a'] } },
  })

/** Commit 2 changes model a alone. */
const TABLE = after(after(NOTHING, weighing(1), 1_000), weighing(2), 2_000)

function gateway(proxy: string, ...answers: Answer[]): GatewayStanding {
  const standing = new Standing()
  for (const answer of answers) standing.take(answer)
  return { proxy, standing }
}

const ack = (seq: number, kept: Answer['kept'] = []): Answer => ({ type: 'ack', epoch: 1, seq, kept })
const KEPT = [{ kind: 'model', ref: 'default/a', generation: 1 }] as const
const ERROR = { kind: 'model', ref: 'default/a', pointer: '/weight', reason: 'invalid', message: 'too heavy' } as const
const nack: Answer = { type: 'nack', epoch: 1, seq: 2, kept: KEPT, errors: [ERROR] }

const of = (name: string, ...gateways: GatewayStanding[]) => programmingOf(TABLE, gateways).get(name)

test('without gateways nobody has anything, and nobody is waited for', () => {
  assert.deepEqual(of('LlamaModel default/a'), { gateways: 0, acked: 0, rejected: [] })
})

test('an object that did not change is not pending because another did', () => {
  const behind = [gateway('ns/one', ack(1)), gateway('ns/two', ack(2))]
  assert.deepEqual(of('LlamaModel default/b', ...behind), { gateways: 2, acked: 2, rejected: [] })
  assert.deepEqual(of('RoutingPolicy default/auto', ...behind), { gateways: 2, acked: 2, rejected: [] })
  assert.deepEqual(of('LlamaModel default/a', ...behind), { gateways: 2, acked: 1, pendingSinceMs: 2_000, rejected: [] })
})

test('a refusal names proxy, place and what is served instead, and nobody waits for it', () => {
  assert.deepEqual(of('LlamaModel default/a', gateway('ns/one', ack(1), nack), gateway('ns/two', ack(2))), {
    gateways: 2,
    acked: 1,
    rejected: [{ proxy: 'ns/one', reason: 'invalid', pointer: '/weight', message: 'too heavy', keptGeneration: 1 }],
  })
})

test('the reason of a refusal is remembered while the older version stays, and forgotten with it', () => {
  const [still] = of('LlamaModel default/a', gateway('ns/one', nack, ack(3, KEPT)))?.rejected ?? []
  assert.equal(still?.message, 'too heavy')
  assert.deepEqual(of('LlamaModel default/a', gateway('ns/one', nack, ack(3)))?.rejected, [])
})

test('endpoints that are refused count for their model', () => {
  const errors = [{ ...ERROR, kind: 'endpoints', ref: 'default/a b0' } as const]
  assert.equal(of('LlamaModel default/a', gateway('ns/one', { ...nack, kept: [], errors }))?.rejected.length, 1)
})

test('a table that is refused as a whole is refused for each object that it changes', () => {
  const whole: Answer = { ...nack, kept: [], errors: [{ pointer: '', reason: 'tooLarge', message: 'too large' }] }
  const facts = programmingOf(TABLE, [gateway('ns/one', ack(1), whole)])
  assert.equal(facts.get('LlamaModel default/a')?.rejected[0]?.reason, 'tooLarge')
  assert.equal(facts.get('LlamaModel default/a')?.pendingSinceMs, undefined)
  assert.deepEqual(facts.get('LlamaModel default/b')?.rejected, [])
})
