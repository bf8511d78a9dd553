import assert from 'node:assert/strict'
import { test } from 'node:test'
import { makeTable } from '../../test/support/table.ts'
import type { LimitedRequest } from '../decide/limits-view.ts'
import type { MeterReport } from '../routing-table/frames.ts'
import { compileTable } from '../routing-table/index.ts'
import { Leases, type QuotaOnLoss } from './leases.ts'
import { Limits } from './limits.ts'

const NOW_MS = Date.parse('2026-11-25T12:00:00Z')
const KEY = 'model default/m requestsPerMinute'
const DAY_KEY = 'model default/m tokensPerDay'
const REQUEST: LimitedRequest = {
  route: 'chat',
  promptTokens: 10,
  maxOutputTokens: 10,
  client: { name: undefined, namespace: 'default' },
}

interface World {
  readonly limits: Limits
  readonly leases: Leases
  nowMs: number
  urged: number
  /** True: admitted; else it is missed. */
  ask(): boolean
  grant(number: number, cap: number, key?: string): void
  /** What the operator is told of the meter. */
  said(urgent?: boolean): MeterReport | undefined
  cap(key?: string): number | undefined
}

function world(onLoss: QuotaOnLoss = 'Shrink'): World {
  const limits = new Limits()
  const table = compileTable(
    makeTable({ models: { m: { backends: [{ url: 'http://10.0.0.1' }], limits: { requestsPerMinute: 100, tokensPerDay: 10_000 } } } }),
  )
  limits.apply(table)
  const endpoint = table.models.get('default/m')?.endpoints[0]
  assert.ok(endpoint !== undefined)
  const leases = new Leases(limits, onLoss, NOW_MS)
  const made: World = {
    limits,
    leases,
    nowMs: NOW_MS,
    urged: 0,
    ask: () => {
      const shortage = limits.modelShortage('default/m', REQUEST, made.nowMs)
      if (shortage === undefined) limits.book({ endpoint, credential: undefined, facts: REQUEST }, made.nowMs)
      else limits.missed(shortage)
      return shortage === undefined
    },
    grant: (number, cap, key = KEY) => leases.take({ type: 'quota', number, fleet: 3, caps: [[key, cap]] }, made.nowMs),
    said: (urgent = false) => {
      const frames = urgent ? leases.urgentFrames(made.nowMs) : leases.frames(made.nowMs)
      return frames.flatMap((frame) => (frame.type === 'quota' ? frame.meters : [])).find(({ key }) => key === KEY)
    },
    cap: (key = KEY) => limits.reading(key, made.nowMs)?.cap,
  }
  leases.onUrgent(() => {
    made.urged++
  })
  return made
}

/** Has room for all a day. */
function begun(onLoss?: QuotaOnLoss): World {
  const made = world(onLoss)
  made.leases.begin(NOW_MS)
  made.leases.frames(NOW_MS)
  made.grant(1, 10_000, DAY_KEY)
  made.grant(2, 10)
  made.leases.frames(NOW_MS)
  made.urged = 0
  return made
}

test('nothing is admitted before an operator has given a share, and what a request needs is said at once', () => {
  const made = world()
  made.leases.begin(NOW_MS)
  made.grant(1, 10_000, DAY_KEY)
  made.urged = 0
  assert.equal(made.ask(), false)
  assert.equal(made.urged, 1)
  assert.deepEqual(made.said(true), { key: KEY, window: 'minute', max: 100, cap: 0, used: 0, wanted: 1, need: 1 })
  made.grant(2, 1)
  assert.equal(made.ask(), true)
  assert.equal(made.ask(), false)
})

test('a need is told until there is room', () => {
  const made = begun()
  made.grant(3, 0)
  assert.equal(made.ask(), false)
  assert.equal(made.said()?.need, 1)
  made.nowMs += 1000
  made.grant(4, 1)
  assert.equal(made.said()?.need, 0)
})

test('the first frame of a stream tells all, those after it what changed, and an order is answered', () => {
  const made = begun()
  assert.deepEqual(made.leases.frames(NOW_MS), [])
  made.ask()
  assert.equal(made.said()?.used, 1)
  assert.equal(made.said(), undefined)
  made.grant(3, 10)
  assert.equal(made.urged, 1)
  const [frame] = made.leases.urgentFrames(NOW_MS)
  assert.ok(frame?.type === 'quota')
  assert.deepEqual([frame.answered, frame.fleet, frame.meters.length], [3, 3, 1])
  made.leases.end(NOW_MS)
  made.leases.begin(NOW_MS)
  const [again] = made.leases.frames(NOW_MS)
  assert.ok(again?.type === 'quota')
  assert.deepEqual([again.answered, again.meters.length], [0, 2])
})

test('a cap below what is used stops admission, and is told as what is used', () => {
  const made = begun()
  for (let asked = 0; asked < 5; asked++) assert.equal(made.ask(), true)
  made.grant(3, 2)
  assert.equal(made.ask(), false)
  assert.equal(made.said()?.cap, 5)
  made.nowMs += 61_000
  assert.equal(made.said()?.cap, 2)
})

test('Shrink: without an operator a share is kept for a minute, then halved each minute to 1/64; a share of a day is kept while it lasts', () => {
  const made = begun('Shrink')
  made.leases.end(NOW_MS)
  const caps = [0, 59, 60, 120, 600].map((seconds) => {
    made.nowMs = NOW_MS + seconds * 1000
    made.leases.tick(made.nowMs)
    return made.cap()
  })
  assert.deepEqual(caps, [10, 10, 5, 2.5, 10 / 64])
  assert.equal(made.cap(DAY_KEY), 10_000)
  made.leases.tick(NOW_MS + 12 * 3_600_000)
  assert.equal(made.cap(DAY_KEY), 0)
})

test('what was kept until an operator is back is what there is then', () => {
  const made = begun('Shrink')
  made.leases.end(NOW_MS)
  made.nowMs = NOW_MS + 125_000
  made.leases.begin(made.nowMs)
  assert.equal(made.cap(), 2.5)
  made.leases.end(made.nowMs)
  made.nowMs += 61_000
  made.leases.tick(made.nowMs)
  assert.equal(made.cap(), 1.25)
})

for (const [onLoss, cap] of [
  ['Open', 100],
  ['Closed', 0],
] as const) {
  test(`${onLoss}: after ten seconds without an operator ${cap} of 100 are this proxy's, and its share again with one`, () => {
    const made = begun(onLoss)
    made.leases.end(NOW_MS)
    made.leases.tick(NOW_MS + 9_000)
    assert.equal(made.cap(), 10)
    made.nowMs = NOW_MS + 11_000
    made.leases.tick(made.nowMs)
    assert.equal(made.cap(), cap)
    assert.deepEqual(made.leases.readings(made.nowMs), { fleet: 3, lostMs: 11_000 })
    made.leases.begin(made.nowMs)
    assert.equal(made.cap(), 10)
  })
}

test('a proxy that stops gives back what it has not used', () => {
  const made = begun()
  made.ask()
  const frames = made.leases.lastFrames(NOW_MS)
  const caps = frames.flatMap((frame) => (frame.type === 'quota' ? frame.meters.map(({ key, cap }) => [key, cap]) : []))
  assert.deepEqual(Object.fromEntries(caps), { [KEY]: 1, [DAY_KEY]: 21 })
  const last = frames.at(-1)
  assert.ok(last?.type === 'quota' && last.stops === true)
})

test('a limit that the table no longer has is given up', () => {
  const made = begun()
  made.limits.apply(compileTable(makeTable({})))
  const [frame] = made.leases.frames(NOW_MS)
  assert.ok(frame?.type === 'quota')
  assert.deepEqual(frame.gone.toSorted(), [KEY, DAY_KEY])
})
