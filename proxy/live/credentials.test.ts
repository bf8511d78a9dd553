import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { CredentialBook } from './credentials.ts'

const IDS = ['a', 'b', 'c']
const picks = (book: CredentialBook, ids: readonly string[], count: number, nowMs = 0): string =>
  Array.from({ length: count }, () => book.pick(ids, nowMs) ?? '-').join('')

test('none of none, and the only one of one', () => {
  assert.equal(picks(new CredentialBook(), [], 2), '--')
  assert.equal(picks(new CredentialBook(), ['a'], 2), 'aa')
})

test('several take turns', () => assert.equal(picks(new CredentialBook(), IDS, 6), 'abcabc'))

test("one backend's turns use up none of another's", () => {
  const book = new CredentialBook()
  assert.equal(picks(book, IDS, 1) + picks(book, ['x', 'y'], 1) + picks(book, IDS, 1) + picks(book, ['x', 'y'], 1), 'axby')
})

test('a parked one is left out until its time', () => {
  const book = new CredentialBook()
  assert.equal(book.park('b', IDS, 1000, 0), true)
  assert.doesNotMatch(picks(book, IDS, 10, 999), /b/)
  assert.match(picks(book, IDS, 10, 1000), /b/)
})

test('when all are parked: no other may be tried now, and the one that recovers soonest is used', () => {
  const book = new CredentialBook()
  assert.equal(book.park('a', IDS, 3000, 0), true)
  assert.equal(book.park('c', IDS, 2000, 0), true)
  assert.equal(book.park('b', IDS, 1000, 0), false)
  assert.equal(picks(book, IDS, 3, 500), 'bbb')
})

test('a second parking never shortens the first', () => {
  const book = new CredentialBook()
  book.park('a', IDS, 5000, 0)
  book.park('a', IDS, 1000, 0)
  assert.doesNotMatch(picks(book, IDS, 10, 4999), /a/)
})

test('always one of the backend, and a warm one while there is one', () => {
  const parking = fc.record({
    id: fc.constantFrom(...IDS),
    untilMs: fc.integer({ min: 0, max: 100 }),
    nowMs: fc.integer({ min: 0, max: 100 }),
  })
  fc.assert(
    fc.property(fc.array(parking), (parkings) => {
      const book = new CredentialBook()
      const until = new Map(IDS.map((id) => [id, 0]))
      for (const { id, untilMs, nowMs } of parkings) {
        book.park(id, IDS, untilMs, nowMs)
        until.set(id, Math.max(until.get(id) ?? 0, untilMs))
        const picked = book.pick(IDS, nowMs)
        const isWarm = (one: string): boolean => (until.get(one) ?? 0) <= nowMs
        assert.ok(picked !== undefined && (isWarm(picked) || !IDS.some(isWarm)))
      }
    }),
  )
})

test('what a new table no longer has is forgotten', () => {
  const book = new CredentialBook()
  book.park('a', IDS, 5000, 0)
  book.keep((id) => id !== 'a')
  assert.match(picks(book, IDS, 3), /a/)
})
