import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type ModelLines, makeTable } from '../../test/support/table.ts'
import { decide } from '../decide/decide.ts'
import type { Decision } from '../decide/decision.ts'
import type { Facts } from '../decide/input.ts'
import { Live } from '../live/live.ts'
import { compileTable } from '../routing-table/index.ts'
import { debugHeader, refusedHeaders, sentHeaders, sentRemark } from './decision-headers.ts'
import { findModel, listModels } from './model-list.ts'

const model = (more: Partial<ModelLines> = {}): ModelLines => ({
  backends: [{ url: 'http://10.0.0.7:8000' }],
  access: { from: 'All' },
  ...more,
})

const TABLE = compileTable(
  makeTable({
    models: {
      llama: model({ names: ['llama', 'gpt-4o'] }),
      shared: model({ namespace: 'team-b' }),
      secret: model({ namespace: 'team-b', access: { from: 'Same' } }),
      inner: model({ visibility: 'Internal' }),
      toy: model({ backends: [{ url: 'http://10.0.0.8', simulated: true }] }),
      down: model({ backends: [] }),
    },
    policies: {
      auto: { targets: ['llama', 'team-b/shared', 'team-b/secret', 'inner'], access: { from: 'All' } },
      wide: { targets: Array<string>(16).fill('llama') },
    },
  }),
)

function decided(asked: string, client: Facts['client'] = { name: undefined, namespace: 'default' }): Decision {
  const live = new Live()
  live.apply(TABLE)
  const facts: Facts = {
    route: 'chat',
    path: '/v1/chat/completions',
    asked,
    stream: false,
    needs: ['chat'],
    promptTokens: 1,
    maxOutputTokens: undefined,
    headers: {},
    client,
  }
  return decide({ facts, table: TABLE, live, nowMs: 0, dice: 0, past: [], turn: false, waitingFor: () => 0 })
}

const fields = (head: readonly string[]): Record<string, string> =>
  Object.fromEntries(head.flatMap((name, at): [string, string][] => (at % 2 === 0 ? [[name, head[at + 1] ?? '']] : [])))

function sent(asked: string, clientNamespace = 'default'): Record<string, string> {
  const decision = decided(asked, { name: undefined, namespace: clientNamespace })
  assert.ok(decision.kind === 'send')
  return fields(sentHeaders(decision, 2, clientNamespace))
}

test('an answer says which model, endpoint and rule gave it, at which attempt, and why', () => {
  const { 'x-llama-swap-endpoint': endpoint, ...rest } = sent('gpt-4o')
  assert.match(endpoint ?? '', /^b0\/[a-z0-9]+$/)
  assert.deepEqual(rest, {
    'x-llama-swap-model': 'llama',
    'x-llama-swap-attempts': '2',
    'x-llama-swap-rule': 'direct',
    'x-llama-swap-why': 'only target left',
  })
})

test('a model of another namespace stands with its namespace', () => {
  assert.equal(sent('shared')['x-llama-swap-model'], 'team-b/shared')
  assert.equal(sent('shared', 'team-b')['x-llama-swap-model'], 'shared')
})

test('a simulated engine says so', () => {
  assert.equal(sent('toy')['x-llama-swap-simulated'], '1')
  assert.equal(sent('llama')['x-llama-swap-simulated'], undefined)
})

test('no header has the address of an endpoint', () => {
  const decision = decided('auto')
  assert.ok(decision.kind === 'send')
  const all = [...sentHeaders(decision, 1, 'default'), ...debugHeader(decision.candidates, 'default'), sentRemark(decision, 1, 'default')]
  assert.doesNotMatch(all.join(), /10\.0\.0/)
})

test('a refusal says by which rule, and that nothing was tried', () => {
  const decision = decided('down')
  assert.ok(decision.kind === 'refuse')
  assert.deepEqual(fields(refusedHeaders(decision)), {
    'x-llama-swap-attempts': '0',
    'x-llama-swap-rule': 'direct',
    'x-llama-swap-why': 'no_available_target',
  })
})

const debugged = (asked: string, namespace: string): unknown => {
  const text = fields(debugHeader(decided(asked, { name: undefined, namespace }).candidates, namespace))['x-llama-swap-debug'] ?? ''
  const candidates: unknown = JSON.parse(text)
  assert.ok(Array.isArray(candidates))
  return candidates.map(({ model: name }) => name)
}

test('the debug header names only models that the client may know of', () => {
  assert.deepEqual(debugged('auto', 'default'), ['llama', 'team-b/shared', '(hidden)', '(hidden)'])
  assert.deepEqual(debugged('auto', 'team-b'), ['default/llama', 'shared', 'secret', '(hidden)'])
})

test('the debug header is JSON in plain ASCII of at most 2 KiB, however many candidates there are', () => {
  const [candidate] = decided('llama').candidates
  assert.ok(candidate !== undefined)
  const many = Array.from({ length: 100 }, () => ({ ...candidate, lost: 'zu groß für alles, was noch übrig ist' }))
  const [, text = ''] = debugHeader(many, 'default')
  assert.ok(text.length <= 2048)
  assert.match(text, /^[\x20-\x7e]+$/)
  const shown: unknown = JSON.parse(text)
  assert.ok(Array.isArray(shown) && shown.length > 10)
})

test('the model list has every name that the client may send, once, with what stands behind it', () => {
  const rows = listModels(TABLE, 'default').map(({ id, llama_swap: { kind, name } }) => `${id}: ${kind} ${name}`)
  assert.deepEqual(rows, [
    'down: model default/down',
    'llama: model default/llama',
    'gpt-4o: model default/llama',
    'toy: model default/toy',
    'shared: model team-b/shared',
    'auto: virtual default/auto',
    'wide: virtual default/wide',
  ])
})

test('one row of the model list, by name or by namespace and name; what is hidden is as if it were absent', () => {
  assert.deepEqual(findModel(TABLE, 'team-b/shared', 'default'), {
    id: 'team-b/shared',
    object: 'model',
    created: 0,
    owned_by: 'llama-swap',
    llama_swap: { kind: 'model', name: 'team-b/shared' },
  })
  assert.equal(findModel(TABLE, 'secret', 'default'), undefined)
  assert.equal(findModel(TABLE, 'team-b/secret', 'default'), undefined)
  assert.equal(findModel(TABLE, 'inner', 'default'), undefined)
  assert.equal(findModel(TABLE, 'wide', 'team-b'), undefined)
  assert.equal(findModel(TABLE, 'secret', 'team-b')?.id, 'secret')
})
