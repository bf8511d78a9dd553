import assert from 'node:assert/strict'
import { test } from 'node:test'
import { backoffMs } from './backoff.ts'

const LIMITS = { baseMs: 200, maxMs: 30_000 }

test('the limit doubles with each failure, up to the most', () => {
  const limits = [0, 1, 2, 3, 8, 1000].map((failures) => backoffMs(failures, 1, LIMITS))
  assert.deepEqual(limits, [0, 400, 800, 1600, 30_000, 30_000])
})

test('any time up to the limit may come', () => {
  assert.deepEqual(
    [0, 0.5, 0.999].map((dice) => backoffMs(3, dice, LIMITS)),
    [0, 800, 1598.4],
  )
})
