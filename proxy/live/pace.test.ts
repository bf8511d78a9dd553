import assert from 'node:assert/strict'
import { test } from 'node:test'
import { bucketOf } from '../decide/pace-view.ts'
import { type Answered, DecayedMean, PaceBook } from './pace.ts'

const HALF_LIFE_MS = 10_000

/** A stream. */
const answer = (given: Partial<Answered> = {}): Answered => ({
  promptTokens: 100,
  outputTokens: 101,
  firstTokenMs: 200,
  wholeMs: 1200,
  ...given,
})

function paceAt(book: PaceBook, promptTokens: number): { firstTokenMs: number; tokenMs: number; weight: number } {
  const { firstTokenMs = -1, tokenMs = -1, weight = -1 } = book.paces[bucketOf(promptTokens)] ?? {}
  return { firstTokenMs, tokenMs, weight }
}

test('of two values a half-life apart the newer one counts twice', () => {
  const mean = new DecayedMean()
  mean.add(100, 0)
  mean.add(400, HALF_LIFE_MS)
  assert.equal(mean.mean, (100 + 2 * 400) / 3)
  assert.equal(mean.weight(HALF_LIFE_MS), 1.5)
})

test('a hundred values outweigh a thousand of a minute before', () => {
  const mean = new DecayedMean()
  for (let at = 0; at < 1000; at++) mean.add(100, at)
  for (let at = 0; at < 100; at++) mean.add(200, 60_000 + at * 10)
  assert.ok(mean.mean > 180, String(mean.mean))
})

test('an answer of 101 tokens in 1.2 s, the first after 200 ms, has 10 ms a token', () => {
  const book = new PaceBook()
  book.add(answer(), 0)
  assert.deepEqual(paceAt(book, 100), { firstTokenMs: 200, tokenMs: 10, weight: 1 })
})

test('a size of which nothing has been seen borrows from its neighbours, the next one first, and says how little it knows', () => {
  const book = new PaceBook()
  book.add(answer({ promptTokens: 100, firstTokenMs: 100 }), 0)
  book.add(answer({ promptTokens: 20_000, firstTokenMs: 2000 }), 0)
  const borrowed = paceAt(book, 1000)
  assert.ok(borrowed.firstTokenMs > 100 && borrowed.firstTokenMs < 400, String(borrowed.firstTokenMs))
  assert.ok(borrowed.weight < 0.2)
})

test('its own answers soon count for more than what a size has borrowed', () => {
  const book = new PaceBook()
  for (let at = 0; at < 8; at++) book.add(answer({ promptTokens: 100, firstTokenMs: 100 }), 0)
  for (let at = 0; at < 2; at++) book.add(answer({ promptTokens: 1000, firstTokenMs: 1000 }), 0)
  assert.ok(paceAt(book, 1000).firstTokenMs >= 700)
})

test('an answer that came whole is parted as the others were', () => {
  const book = new PaceBook()
  book.add(answer(), 0)
  book.add(answer({ firstTokenMs: undefined, wholeMs: 2400 }), 0)
  assert.deepEqual(paceAt(book, 100), { firstTokenMs: 300, tokenMs: 15, weight: 2 })
})

test('whole answers alone are parted by what is usual: a prompt is read faster than an answer is written', () => {
  const book = new PaceBook()
  book.add(answer({ promptTokens: 400, firstTokenMs: undefined, wholeMs: 1200 }), 0)
  assert.deepEqual(paceAt(book, 400), { firstTokenMs: 200, tokenMs: 10, weight: 1 })
})

test('what has no tokens after the first, such as an embedding, is all first token', () => {
  const book = new PaceBook()
  book.add(answer({ outputTokens: 0, firstTokenMs: undefined, wholeMs: 50 }), 0)
  assert.deepEqual(paceAt(book, 100), { firstTokenMs: 50, tokenMs: 0, weight: 1 })
})

test('a wait that ended without anything counts where it was longer than usual, and only there', () => {
  const book = new PaceBook()
  book.add(answer(), 0)
  book.silent(100, 150, 0)
  assert.equal(paceAt(book, 100).firstTokenMs, 200)
  book.silent(100, 1000, 0)
  assert.equal(paceAt(book, 100).firstTokenMs, 600)
})

test('however many answers there were, they are worth eight', () => {
  const book = new PaceBook()
  for (let at = 0; at < 1000; at++) book.add(answer(), at)
  assert.equal(paceAt(book, 100).weight, 8)
})
