import assert from 'node:assert/strict'
import { test } from 'node:test'
import { systemClock } from './clock.ts'

test('a wait of months does not end at once', async () => {
  const stop = new AbortController()
  let ended = false
  const waiting = systemClock.wait(1e12, stop.signal).then(() => {
    ended = true
  })
  await systemClock.wait(20, stop.signal)
  assert.equal(ended, false)
  stop.abort()
  await waiting
})
