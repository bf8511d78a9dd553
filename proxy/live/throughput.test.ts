import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Throughput } from './throughput.ts'

const near = (got: number | undefined, expected: number): void =>
  assert.ok(got !== undefined && Math.abs(got - expected) < 1e-9 * expected, `${got} is not ${expected}`)

test('nothing is said before a second of work', () => {
  const seen = new Throughput()
  assert.equal(seen.perSecond, undefined)
  seen.begins(0)
  seen.answered(100, 999)
  assert.equal(seen.perSecond, undefined)
  seen.answered(0, 1001)
  assert.ok(seen.perSecond !== undefined)
})

test('tokens of requests side by side are added up, and idle time is not counted', () => {
  const seen = new Throughput()
  seen.begins(0)
  seen.answered(400, 2000)
  seen.answered(200, 3000)
  near(seen.perSecond, (400 * 2 ** (-1000 / 300_000) + 200) / (2 * 2 ** (-1000 / 300_000) + 1))
  const before = seen.perSecond ?? 0
  seen.begins(3_600_000)
  seen.answered(1000, 3_604_000)
  // An hour later what was seen before counts by 1 / 4096: 250 a second of now.
  assert.ok(before > 195 && Math.abs((seen.perSecond ?? 0) - 250) < 0.1)
})

test('after five minutes of work the past counts half', () => {
  const seen = new Throughput()
  seen.begins(0)
  seen.answered(30_000, 300_000)
  seen.answered(60_000, 600_000)
  // 30,000 in 300 s count half: (15,000 + 60,000) ÷ (150 + 300).
  near(seen.perSecond, 75_000 / 450)
})

test('answers without a token make no throughput', () => {
  const seen = new Throughput()
  seen.begins(0)
  seen.answered(0, 60_000)
  assert.equal(seen.perSecond, undefined)
})
