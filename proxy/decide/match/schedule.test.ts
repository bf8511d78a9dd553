import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Schedule } from '../../routing-table/v1.ts'
import { isTime } from './schedule.ts'

const at = (text: string): number => Date.parse(text)
const HOUR_MS = 3_600_000

const berlin = (from: number, to: number, days?: Schedule['windows'][number]['days']): Schedule => ({
  timeZone: 'Europe/Berlin',
  windows: [{ ...(days !== undefined && { days }), fromMinute: from * 60, toMinute: to * 60 }],
})

test('hours of the day by the clock of the zone, in winter and summer', () => {
  const office = berlin(9, 17)
  assert.deepEqual(
    ['2026-01-15T07:59Z', '2026-01-15T08:00Z', '2026-01-15T15:59Z', '2026-01-15T16:00Z', '2026-07-15T07:00Z', '2026-07-15T15:00Z'].map(
      (text) => isTime(office, at(text)),
    ),
    [false, true, true, false, true, false],
  )
})

test('a night belongs to the day on which it begins', () => {
  const night = berlin(22, 6, ['Fri'])
  // 2026-11-27 is a Friday.
  const hours = [
    '2026-11-26T23:00Z',
    '2026-11-27T03:00Z',
    '2026-11-27T21:00Z',
    '2026-11-28T04:59Z',
    '2026-11-28T05:00Z',
    '2026-11-28T21:00Z',
  ]
  assert.deepEqual(
    hours.map((text) => isTime(night, at(text))),
    [false, false, true, true, false, false],
  )
})

test('a night that begins on Saturday goes on on Sunday', () => {
  assert.equal(isTime(berlin(22, 6, ['Sat']), at('2026-11-29T02:00Z')), true)
  assert.equal(isTime(berlin(22, 6, ['Sun']), at('2026-11-29T02:00Z')), false)
})

test('an hour that the clock leaves out is in no window', () => {
  // On 2026-03-29 the clock goes from 01:59 to 03:00.
  const leftOut = berlin(2, 3)
  const minutes = Array.from({ length: 24 * 60 }, (_, minute) => at('2026-03-28T23:00Z') + minute * 60_000)
  assert.equal(minutes.filter((ms) => isTime(leftOut, ms)).length, 0)
})

test('an hour that comes twice is in its window twice', () => {
  // On 2026-10-25 the clock goes from 02:59 back to 02:00.
  const twice = berlin(2, 3)
  const minutes = Array.from({ length: 25 * 60 }, (_, minute) => at('2026-10-24T22:00Z') + minute * 60_000)
  assert.equal(minutes.filter((ms) => isTime(twice, ms)).length, 120)
})

test('a night over the change of the clock is an hour shorter or longer', () => {
  const night = berlin(22, 6)
  const minutesIn = (fromMs: number): number =>
    Array.from({ length: 14 * 60 }, (_, minute) => fromMs + minute * 60_000).filter((ms) => isTime(night, ms)).length
  assert.equal(minutesIn(at('2026-03-28T18:00Z')), 7 * 60)
  assert.equal(minutesIn(at('2026-10-24T18:00Z')), 9 * 60)
})

test('from 00:00 to 24:00 is the whole day, and no other', () => {
  const monday: Schedule = { timeZone: 'UTC', windows: [{ days: ['Mon'], fromMinute: 0, toMinute: 1440 }] }
  const hours = Array.from({ length: 7 * 24 }, (_, hour) => at('2026-11-22T00:00Z') + hour * HOUR_MS)
  assert.deepEqual(
    hours.filter((ms) => isTime(monday, ms)),
    hours.slice(24, 48),
  )
})

test('in a zone that does not exist it is never time', () =>
  assert.equal(isTime({ timeZone: 'Nowhere/Land', windows: [{ fromMinute: 0, toMinute: 1440 }] }, 0), false))

test('a window and the rest of the day fill it without a gap, at any time and in any zone', () => {
  fc.assert(
    fc.property(
      fc.constantFrom('UTC', 'Europe/Berlin', 'Asia/Kolkata', 'Pacific/Chatham', 'America/St_Johns'),
      fc.integer({ min: 0, max: 1439 }),
      fc.integer({ min: 0, max: 1439 }),
      fc.integer({ min: at('2025-01-01T00:00Z'), max: at('2028-01-01T00:00Z') }),
      (timeZone, from, to, nowMs) => {
        fc.pre(from !== to)
        const open = isTime({ timeZone, windows: [{ fromMinute: from, toMinute: to }] }, nowMs)
        assert.notEqual(open, isTime({ timeZone, windows: [{ fromMinute: to, toMinute: from }] }, nowMs))
      },
    ),
    { numRuns: 300 },
  )
})
