import assert from 'node:assert/strict'
import { test } from 'node:test'
import { durationsMs, parseDurationMs } from './duration.ts'

const DURATIONS: Record<string, number> = {
  '500ms': 500,
  '10s': 10_000,
  '1m30s': 90_000,
  '1h1m1s1ms': 3_661_001,
  '5m5ms': 300_005,
  '99999h99999h99999h99999h': 1_000_000_000_000,
}

for (const [text, expectedMs] of Object.entries(DURATIONS)) {
  test(`${text} is ${expectedMs} ms`, () => assert.equal(parseDurationMs(text), expectedMs))
}

test('a duration that is not set stays absent', () => {
  assert.deepEqual(durationsMs({ intervalMs: '5s', timeoutMs: undefined }), { intervalMs: 5000 })
})
