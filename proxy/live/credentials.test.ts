import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { CredentialBook, type ParkedCredential } from './credentials.ts'

const IDS = ['a', 'b', 'c']
const limited = (untilMs: number, sinceMs = 0): ParkedCredential => ({ kind: 'rate_limit', sinceMs, untilMs, because: 'HTTP 429' })
const refused = (sinceMs = 0): ParkedCredential => ({ kind: 'disabled', sinceMs, untilMs: sinceMs + 60_000, because: 'HTTP 401' })
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
  assert.equal(book.park('b', IDS, limited(1000)), undefined)
  assert.doesNotMatch(picks(book, IDS, 10, 999), /b/)
  assert.match(picks(book, IDS, 10, 1000), /b/)
})

test('when all are parked: no other may be tried now, and the one that recovers soonest is used', () => {
  const book = new CredentialBook()
  assert.equal(book.park('a', IDS, limited(3000)), undefined)
  assert.equal(book.park('c', IDS, limited(2000)), undefined)
  assert.equal(book.park('b', IDS, limited(1000))?.untilMs, 1000)
  assert.equal(picks(book, IDS, 3, 500), 'bbb')
})

test('a second parking never shortens the first', () => {
  const book = new CredentialBook()
  book.park('a', IDS, limited(5000))
  book.park('a', IDS, limited(1000))
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
        book.park(id, IDS, limited(untilMs, nowMs))
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
  book.park('a', IDS, limited(5000))
  book.keep((id) => id !== 'a')
  assert.match(picks(book, IDS, 3), /a/)
})

test('the last one out is told when the first of the others recovers, and why that one is out', () => {
  const book = new CredentialBook()
  book.park('a', IDS, refused())
  book.park('b', IDS, limited(10_000))
  assert.deepEqual(book.park('c', IDS, limited(50_000)), limited(10_000))
})

test('one that was refused is sent once a minute, until it is answered', () => {
  const book = new CredentialBook()
  book.park('b', IDS, refused())
  assert.equal(picks(book, IDS, 9, 60_000).replaceAll(/[ac]/g, ''), 'b')
  assert.equal(picks(book, IDS, 9, 119_999).replaceAll(/[ac]/g, ''), '')
  assert.equal(picks(book, IDS, 9, 120_000).replaceAll(/[ac]/g, ''), 'b')
  assert.equal(book.parked('b', 130_000)?.kind, 'disabled')
  book.succeeded('b', 120_000)
  assert.equal(book.parked('b', 130_000), undefined)
  assert.equal(picks(book, IDS, 9, 130_000).replaceAll(/[ac]/g, ''), 'bbb')
})

test('an answer to a request from before it was refused says nothing of now', () => {
  const book = new CredentialBook()
  book.park('b', IDS, refused(1000))
  book.succeeded('b', 999)
  assert.equal(book.parked('b', 1000)?.kind, 'disabled')
})

test('one whose limit has reset is in use again, without an answer', () => {
  const book = new CredentialBook()
  book.park('b', IDS, limited(1000))
  assert.equal(book.parked('b', 999)?.because, 'HTTP 429')
  assert.equal(book.parked('b', 1000), undefined)
})

test('a limit met by one that was refused leaves it refused', () => {
  const book = new CredentialBook()
  book.park('b', IDS, refused())
  book.park('b', IDS, limited(90_000, 1000))
  const { kind, untilMs } = book.parked('b', 1000) ?? {}
  assert.deepEqual([kind, untilMs], ['disabled', 90_000])
})
