import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Pause } from './pause.ts'

const LONG_MS = 600_000

test('a wait ends when it is woken', async () => {
  const pause = new Pause()
  const waits = pause.wait(LONG_MS, new AbortController().signal)
  pause.wake()
  await waits
})

test('to wake between two waits ends the second, and no third', async () => {
  const pause = new Pause()
  const { signal } = new AbortController()
  await pause.wait(0, signal)
  pause.wake()
  await pause.wait(LONG_MS, signal)
  const ends = new AbortController()
  let ended = false
  const third = pause.wait(LONG_MS, ends.signal).then(() => {
    ended = true
  })
  await new Promise((resolve) => setImmediate(resolve))
  assert.equal(ended, false)
  ends.abort()
  await third
})

test('an aborted signal ends a wait, and one that has not begun', async () => {
  const pause = new Pause()
  await pause.wait(LONG_MS, AbortSignal.abort())
})
