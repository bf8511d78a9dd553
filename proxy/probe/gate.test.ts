import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Gate } from './gate.ts'

test('the gate lets so many through at once, the rest in order, and skips what was stopped', async () => {
  const gate = new Gate(2)
  const stop = new AbortController()
  const running = new AbortController()
  const started: number[] = []
  const finish = [0, 1, 2, 3].map(() => Promise.withResolvers<void>())
  const done = finish.map(({ promise }, index) =>
    gate.run(
      () => {
        started.push(index)
        return promise
      },
      index === 2 ? stop.signal : running.signal,
    ),
  )
  assert.deepEqual(started, [0, 1])
  stop.abort()
  finish[1]?.resolve()
  await Promise.all([done[1], done[2]])
  finish[3]?.resolve()
  await done[3]
  assert.deepEqual(started, [0, 1, 3])
  finish[0]?.resolve()
  await Promise.all(done)
})
