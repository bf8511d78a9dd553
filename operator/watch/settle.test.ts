import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Settle } from './settle.ts'

test('a burst of changes becomes one act, after the quiet', (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  let acts = 0
  const settle = new Settle({ quietMs: 50, maxMs: 500, act: () => acts++ })
  for (let change = 0; change < 5; change++) {
    settle.poke()
    t.mock.timers.tick(40)
  }
  assert.equal(acts, 0)
  t.mock.timers.tick(10)
  assert.equal(acts, 1)
  t.mock.timers.tick(1000)
  assert.equal(acts, 1)
})

test('changes that never pause are acted upon after the maximum', (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  let acts = 0
  const settle = new Settle({ quietMs: 50, maxMs: 500, act: () => acts++ })
  for (let elapsedMs = 0; elapsedMs < 500; elapsedMs += 20) {
    settle.poke()
    t.mock.timers.tick(20)
  }
  assert.equal(acts, 1)
  settle.close()
})

test('nothing happens after close', (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  let acts = 0
  const settle = new Settle({ quietMs: 50, maxMs: 500, act: () => acts++ })
  settle.poke()
  settle.close()
  t.mock.timers.tick(1000)
  assert.equal(acts, 0)
})
