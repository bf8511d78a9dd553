import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { RetryBudget } from './retry-budget.ts'

/** How many retries fit at one moment, after so many requests. */
function retriesOf(
  { requests, percent, nowMs = 0 }: { requests: number; percent?: number; nowMs?: number },
  budget = new RetryBudget(),
): number {
  for (let at = 0; at < requests; at++) budget.request(nowMs)
  let retries = 0
  while (retries < 1000 && budget.allows(nowMs, percent)) {
    budget.retry(nowMs)
    retries++
  }
  return retries
}

test('a fifth of the requests may be retried', () => assert.equal(retriesOf({ requests: 200 }), 40))
test('the resource may set another percentage', () => assert.equal(retriesOf({ requests: 200, percent: 50 }), 100))
test('a quiet model may retry ten times all the same', () => assert.equal(retriesOf({ requests: 1 }), 10))
test('zero percent is never, also for a quiet model', () => assert.equal(retriesOf({ requests: 200, percent: 0 }), 0))

test('the requests of the last ten seconds count beside the running ones, older ones do not', () => {
  const budget = new RetryBudget()
  assert.equal(retriesOf({ requests: 200 }, budget), 40)
  assert.equal(retriesOf({ requests: 100, nowMs: 10_000 }, budget), 20)
  assert.equal(retriesOf({ requests: 0, nowMs: 40_000 }, budget), 10)
})

test('at no time are there more retries in ten seconds than the share of the requests of twice that time, or ten', () => {
  const event = fc.record({ retry: fc.boolean(), afterMs: fc.integer({ min: 0, max: 700 }) })
  const steps = fc.array(event, { minLength: 50, maxLength: 500, size: 'max' })
  fc.assert(
    fc.property(steps, fc.integer({ min: 1, max: 100 }), (events, percent) => {
      const budget = new RetryBudget()
      const requests: number[] = []
      const retries: number[] = []
      let nowMs = 0
      const within = (times: readonly number[], ms: number): number => times.filter((at) => at > nowMs - ms).length
      for (const { retry, afterMs } of events) {
        nowMs += afterMs
        if (!retry) {
          budget.request(nowMs)
          requests.push(nowMs)
        } else if (budget.allows(nowMs, percent)) {
          budget.retry(nowMs)
          retries.push(nowMs)
          assert.ok(within(retries, 10_000) <= Math.max(10, Math.ceil((within(requests, 20_000) * percent) / 100)))
        }
      }
    }),
    { numRuns: 60 },
  )
})
