import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LatencyBook } from './latency.ts'

function book(durations: readonly number[], promptTokens = 100): LatencyBook {
  const made = new LatencyBook()
  for (const ms of durations) made.add('default/a', 'firstToken', promptTokens, ms)
  return made
}

const upTo = (last: number): number[] => Array.from({ length: last }, (_, index) => index + 1)

test('nothing is said before twenty durations are known', () => {
  assert.equal(book(upTo(19)).p95Ms('default/a', 'firstToken', 100), undefined)
  assert.equal(book(upTo(20)).p95Ms('default/a', 'firstToken', 100), 20)
})

test('nineteen of twenty are no longer than the answer', () => {
  assert.equal(book(upTo(60).reverse()).p95Ms('default/a', 'firstToken', 100), 58)
})

test('only the last sixty-four count', () => {
  assert.equal(book([...Array<number>(100).fill(9999), ...Array<number>(64).fill(5)]).p95Ms('default/a', 'firstToken', 100), 5)
})

test('a change shows after at most eight further durations', () => {
  const made = book(Array<number>(64).fill(5))
  assert.equal(made.p95Ms('default/a', 'firstToken', 100), 5)
  for (let at = 0; at < 8; at++) made.add('default/a', 'firstToken', 100, 1000)
  assert.equal(made.p95Ms('default/a', 'firstToken', 100), 1000)
})

test('short and long prompts, kinds and models are kept apart', () => {
  const made = book(upTo(20), 512)
  assert.equal(made.p95Ms('default/a', 'firstToken', 1), 20)
  assert.equal(made.p95Ms('default/a', 'firstToken', 513), undefined)
  assert.equal(made.p95Ms('default/a', 'whole', 512), undefined)
  assert.equal(made.p95Ms('default/b', 'firstToken', 512), undefined)
})

test('every prompt above the last bound is in one bucket', () => {
  assert.equal(book(upTo(20), 40_000).p95Ms('default/a', 'firstToken', 10_000_000), 20)
})

test('models that a new table no longer has are forgotten', () => {
  const made = book(upTo(20))
  made.keep((model) => model !== 'default/a')
  assert.equal(made.p95Ms('default/a', 'firstToken', 100), undefined)
})
