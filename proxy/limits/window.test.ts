import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { DayWindow, MinuteWindow } from './window.ts'

const START_MS = Date.parse('2026-11-25T12:00:00Z')

interface Event {
  readonly atMs: number
  readonly amount: number
}

/** All that an exact window of this length holds. */
const exact = (events: readonly Event[], nowMs: number, lengthMs: number): number =>
  events.reduce((sum, { atMs, amount }) => (atMs > nowMs - lengthMs && atMs <= nowMs ? sum + amount : sum), 0)

const gaps = fc.oneof(fc.integer({ min: 0, max: 5 }), fc.integer({ min: 0, max: 2000 }), fc.integer({ min: 0, max: 90_000 }))
const traffic = fc.array(fc.record({ gapMs: gaps, amount: fc.integer({ min: 0, max: 5000 }) }), { maxLength: 200 })

function eventsOf(script: readonly { readonly gapMs: number; readonly amount: number }[]): Event[] {
  let atMs = START_MS
  return script.map(({ gapMs, amount }) => {
    atMs += gapMs
    return { atMs, amount }
  })
}

test('a minute never holds less than an exact minute, nor more than an exact 60.25 s', () => {
  fc.assert(
    fc.property(traffic, fc.integer({ min: 0, max: 70_000 }), (script, afterMs) => {
      const events = eventsOf(script)
      const window = new MinuteWindow()
      const past: Event[] = []
      for (const event of events) {
        window.add(event.amount, event.atMs)
        past.push(event)
        const used = window.used(event.atMs)
        assert.ok(used >= exact(past, event.atMs, 60_000) && used <= exact(past, event.atMs, 60_250))
      }
      const nowMs = (events.at(-1)?.atMs ?? START_MS) + afterMs
      const used = window.used(nowMs)
      assert.ok(used >= exact(past, nowMs, 60_000) && used <= exact(past, nowMs, 60_250))
    }),
    { numRuns: 300 },
  )
})

test('what is taken back is as if it had never been counted, whenever that happens', () => {
  const steps = fc.array(fc.record({ gapMs: gaps, amount: fc.integer({ min: 0, max: 500 }), back: fc.integer({ min: 0, max: 9 }) }), {
    maxLength: 100,
  })
  fc.assert(
    fc.property(steps, (script) => {
      const window = new MinuteWindow()
      const without = new MinuteWindow()
      const taken: { amount: number; mark: number }[] = []
      let nowMs = START_MS
      for (const { gapMs, amount, back } of script) {
        nowMs += gapMs
        taken.push({ amount, mark: window.add(amount + back, nowMs) })
        without.add(amount, nowMs)
        window.takeBack(back, taken.at(-1)?.mark ?? 0, nowMs)
        assert.equal(window.used(nowMs), without.used(nowMs))
      }
      for (const { amount, mark } of taken.reverse()) {
        nowMs += 700
        window.takeBack(amount, mark, nowMs)
        assert.ok(window.used(nowMs) >= 0)
      }
      assert.equal(window.used(nowMs), 0)
    }),
    { numRuns: 200 },
  )
})

test('after the time it says that much has slid out, and a slot before it has not', () => {
  fc.assert(
    fc.property(traffic, fc.integer({ min: 1, max: 20_000 }), (script, amount) => {
      const window = new MinuteWindow()
      const events = eventsOf(script)
      for (const event of events) window.add(event.amount, event.atMs)
      const nowMs = events.at(-1)?.atMs ?? START_MS
      const used = window.used(nowMs)
      const waitMs = window.freesInMs(amount, nowMs)
      const early = new MinuteWindow()
      for (const event of events) early.add(event.amount, event.atMs)
      if (amount <= used && waitMs > 250) assert.ok(used - early.used(nowMs + waitMs - 250) < amount)
      if (amount <= used) assert.ok(used - window.used(nowMs + waitMs) >= amount)
      assert.ok(waitMs > 0 && waitMs <= 60_250)
    }),
    { numRuns: 200 },
  )
})

test('admission by the window differs from admission by an exact one by less than one percent, over random traffic of a quarter hour', () => {
  for (const seed of [1, 2, 3, 4, 5]) {
    const admitted = { ours: 0, exactly: 0 }
    const [window, past] = [new MinuteWindow(), new ExactMinute()]
    const max = 10_000
    let nowMs = START_MS
    for (const random = lcg(seed); nowMs < START_MS + 900_000; ) {
      nowMs += -Math.log(1 - random()) * 150
      const amount = Math.ceil(random() * 100)
      if (window.used(nowMs) + amount <= max) {
        window.add(amount, nowMs)
        admitted.ours += amount
      }
      if (past.used(nowMs) + amount <= max) {
        past.add(amount, nowMs)
        admitted.exactly += amount
      }
    }
    assert.ok(admitted.exactly > 14 * max, 'the traffic is more than the limit')
    const ratio = admitted.ours / admitted.exactly
    assert.ok(ratio > 0.99 && ratio <= 1.01, `seed ${seed}: ${ratio}`)
  }
})

class ExactMinute {
  readonly #events: Event[] = []
  #sum = 0

  used(nowMs: number): number {
    for (let first = this.#events[0]; first !== undefined && first.atMs <= nowMs - 60_000; first = this.#events[0]) {
      this.#sum -= first.amount
      this.#events.shift()
    }
    return this.#sum
  }

  add(amount: number, atMs: number): void {
    this.#events.push({ atMs, amount })
    this.#sum += amount
  }
}

function lcg(seed: number): () => number {
  let state = seed
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 0x1_0000_0000
  }
}

test('a day is exact, ends at midnight UTC, and takes nothing back of the day before', () => {
  const window = new DayWindow()
  const mark = window.add(70, START_MS)
  assert.equal(window.freesInMs(1, START_MS), 12 * 3_600_000)
  window.takeBack(20, mark, START_MS + 1)
  assert.equal(window.used(START_MS + 12 * 3_600_000 - 1), 50)
  assert.equal(window.used(START_MS + 12 * 3_600_000), 0)
  window.add(5, START_MS + 13 * 3_600_000)
  window.takeBack(50, mark, START_MS + 13 * 3_600_000)
  assert.equal(window.used(START_MS + 13 * 3_600_000), 5)
})

test('a clock that goes back a little takes nothing away', () => {
  const window = new MinuteWindow()
  window.add(5, START_MS)
  window.add(5, START_MS - 2000)
  assert.equal(window.used(START_MS - 2000), 10)
})
