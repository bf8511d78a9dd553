import assert from 'node:assert/strict'
import { mock, test } from 'node:test'
import { type HoldEnd, type HoldRequest, Holds } from './holds.ts'

interface Waiter {
  readonly name: string
  readonly ended: Promise<HoldEnd>
  readonly left: () => void
}

/** One model with so many free slots; who gets one keeps it. */
class Ground {
  nowMs = 0
  free = 0
  readonly went: string[] = []
  readonly holds = new Holds(() => this.nowMs)

  wait(name: string, more: Partial<HoldRequest> = {}): Waiter {
    let left = (): void => {}
    const ended = this.holds.wait(
      {
        client: name,
        priority: 'Normal',
        bytes: 10,
        lines: [{ key: 'default/m', queue: undefined }],
        untilMs: this.nowMs + 60_000,
        wakeAtMs: undefined,
        tryTurn: () => {
          if (this.free === 0) return { kind: 'waits', wakeAtMs: undefined }
          this.free--
          this.went.push(name)
          return { kind: 'over' }
        },
        ...more,
      },
      (gone) => {
        left = gone
      },
    )
    return { name, ended, left: () => left() }
  }

  give(slots: number): void {
    this.free += slots
    this.holds.roomAt('default/m')
  }

  /** Lets timers and clock go on together. */
  tick(ms: number): void {
    this.nowMs += ms
    mock.timers.tick(ms)
  }
}

test('who waits goes when there is room, in the order of arrival of one client', async () => {
  const ground = new Ground()
  const waiters = ['a', 'b', 'c'].map((name) => ground.wait(name, { client: 'one' }))
  ground.give(2)
  assert.deepEqual(ground.went, ['a', 'b'])
  assert.equal(ground.holds.waitingFor('default/m'), 1)
  assert.deepEqual(await waiters[0]?.ended, { kind: 'turn' })
  ground.give(1)
  assert.deepEqual(ground.went, ['a', 'b', 'c'])
  assert.equal(ground.holds.size, 0)
  assert.deepEqual([...ground.holds.queues()], [])
})

test('a client with one request does not wait behind the hundred of another', () => {
  const ground = new Ground()
  for (let index = 0; index < 100; index++) ground.wait(`many-${index}`, { client: 'many' })
  ground.wait('single', { client: 'single' })
  ground.give(2)
  assert.equal(ground.went.includes('single'), true)
})

test('high priority goes first, and low is not starved', () => {
  const ground = new Ground()
  for (let index = 0; index < 40; index++) ground.wait('low', { client: 'l', priority: 'Low' })
  for (let index = 0; index < 40; index++) ground.wait('high', { client: 'h', priority: 'High' })
  ground.give(34)
  const low = ground.went.filter((name) => name === 'low').length
  assert.ok(low >= 1 && low <= 3, `${low} of 34 turns`)
})

test('a full queue refuses at once, by count and by bytes', async () => {
  const ground = new Ground()
  const lines = [{ key: 'default/m', queue: { maxRequests: 2, maxBytes: 25 } }]
  ground.wait('a', { lines })
  assert.equal((await ground.wait('too large', { lines, bytes: 20 }).ended).kind, 'full')
  ground.wait('b', { lines })
  assert.equal((await ground.wait('c', { lines, bytes: 1 }).ended).kind, 'full')
  assert.equal(ground.holds.size, 2)
})

test('a wait ends at its time, with a time to come back by the rate at which the queue drains', async () => {
  mock.timers.enable({ apis: ['setTimeout'] })
  try {
    const ground = new Ground()
    for (let index = 0; index < 4; index++) ground.wait(`w${index}`)
    const last = ground.wait('last', { untilMs: 30_000 })
    for (let index = 0; index < 3; index++) {
      ground.tick(4000)
      ground.give(1)
    }
    ground.tick(18_000)
    // Two wait, and one left every (30 − 4) / 3 seconds.
    assert.deepEqual(await last.ended, { kind: 'late', retryAfterMs: (26_000 / 3) * 2 })
  } finally {
    mock.timers.reset()
  }
})

test('who may hope for room at a time tries then, without anybody saying so', async () => {
  mock.timers.enable({ apis: ['setTimeout'] })
  try {
    const ground = new Ground()
    const waiter = ground.wait('a', { wakeAtMs: 500 })
    ground.free = 1
    ground.tick(499)
    assert.deepEqual(ground.went, [])
    ground.tick(1)
    assert.deepEqual(await waiter.ended, { kind: 'turn' })
  } finally {
    mock.timers.reset()
  }
})

test('a client that leaves frees its place, and the next one tries at once', async () => {
  const ground = new Ground()
  const first = ground.wait('large', { tryTurn: () => ({ kind: 'waits', wakeAtMs: undefined }) })
  ground.wait('small')
  ground.free = 1
  ground.holds.roomAt('default/m')
  assert.deepEqual(ground.went, [])
  first.left()
  assert.deepEqual(await first.ended, { kind: 'gone' })
  assert.deepEqual(ground.went, ['small'])
  assert.equal(ground.holds.size, 0)
})

test('who waits for two models leaves both queues together', () => {
  const ground = new Ground()
  const lines = ['default/m', 'default/n'].map((key) => ({ key, queue: undefined }))
  ground.wait('either', { lines })
  ground.give(1)
  assert.deepEqual(ground.went, ['either'])
  assert.equal(ground.holds.waitingFor('default/n'), 0)
})
