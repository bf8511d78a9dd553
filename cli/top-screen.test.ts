import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseOperatorState } from './operator-state.ts'
import { type Sample, topScreen } from './top-screen.ts'

function sample(atMs: number, usage: Record<string, unknown>, more: Record<string, unknown> = {}): Sample {
  const proxies = { Gateway: 2, Sidecar: 0 }
  const state = parseOperatorState({
    install: 'llama-swap/op',
    identity: 'op-0',
    leads: true,
    epoch: 3,
    proxies,
    endpoints: ENDPOINTS,
    usage,
    ...more,
  })
  assert.ok(state !== undefined)
  return { atMs, state }
}

const used = (requests: number, errors: number, tokens: number) => ({ requests, errors, inputTokens: tokens / 2, outputTokens: tokens / 2 })
const ENDPOINTS = [
  { model: 'team/small', backend: 'cpu', id: 'c', origin: 'http://10.0.0.3:8000' },
  { model: 'team/llama', backend: 'gpu', id: 'a', origin: 'http://10.0.0.1:8000', up: 2, down: 0, inFlight: 3 },
  { model: 'team/llama', backend: 'gpu', id: 'b', origin: 'http://10.0.0.2:8000', up: 0, down: 2, inFlight: 7 },
]
const LIMITS = { rows: 50, columns: 100 }

test('models by traffic with their rates, and under each its endpoints by load', () => {
  const before = sample(1_000, { 'team/llama': used(100, 10, 1_000) })
  const now = sample(6_000, { 'team/llama': used(150, 15, 6_000), 'team/small': used(1, 0, 0) })
  assert.equal(
    topScreen(before, now, LIMITS).join('\n'),
    `llama-swap/op  leader op-0, epoch 3  gateways 2, sidecars 0

LlamaModel                                       requests/s  errors/s  tokens/s  in flight  state
team/llama                                             10.0       1.0      1000         10  1/2 up
  gpu http://10.0.0.2:8000                                                               7  down
  gpu http://10.0.0.1:8000                                                               3  up
team/small                                              0.2       0.0       0.0          0  1/1 up
  cpu http://10.0.0.3:8000                                                               0  unknown`,
  )
})

const UNKNOWN: Readonly<Record<string, readonly [Sample | undefined, Sample]>> = {
  'one sample has no rates': [undefined, sample(1_000, { 'team/llama': used(5, 0, 0) })],
  'counts of another operator are not compared': [
    sample(0, { 'team/llama': used(1, 0, 0) }, { identity: 'op-1' }),
    sample(1_000, { 'team/llama': used(5, 0, 0) }),
  ],
  'a count that went back has begun anew': [sample(0, { 'team/llama': used(9, 0, 0) }), sample(1_000, { 'team/llama': used(5, 0, 0) })],
}
for (const [sentence, [before, now]] of Object.entries(UNKNOWN))
  test(sentence, () => assert.match(topScreen(before, now, LIMITS).join('\n'), /^team\/llama +– +– +– /m))

test('rows and columns are bounded, and what is left out is counted', () => {
  const lines = topScreen(undefined, sample(0, {}), { rows: 5, columns: 60 })
  assert.equal(lines.length, 5)
  assert.equal(lines.at(-1), 'and 4 more lines')
  assert.ok(lines.every((line) => line.length <= 60))
})

test('nothing to show is said', () => {
  assert.equal(topScreen(undefined, sample(0, {}, { endpoints: [] }), LIMITS).at(-1), 'No models.')
})

test('an endpoint whose circuit is not closed says so', () => {
  const [, , last] = ENDPOINTS
  const now = sample(1_000, {}, { endpoints: [{ ...last, circuits: { ramping: 1, half_open: 2 } }] })
  assert.match(topScreen(undefined, now, LIMITS).join('\n'), / 7 {2}down, half-open$/)
})
