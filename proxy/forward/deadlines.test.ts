import assert from 'node:assert/strict'
import { test } from 'node:test'
import { makeTable } from '../../test/support/table.ts'
import { LatencyBook } from '../live/latency.ts'
import { type CompiledEndpoint, compileTable, type Timeouts } from '../routing-table/index.ts'
import type { Deadlines } from './attempt.ts'
import { deadlinesFor } from './deadlines.ts'

interface Seen {
  readonly timeouts?: Timeouts
  /** Durations of twenty requests with a prompt of this size. */
  readonly firstTokenMs?: number
  readonly wholeMs?: number
  readonly remainingMs?: number
}

const PROMPT_TOKENS = 100
/** Of Node: 32 bits with a sign. */
const LONGEST_TIMER_MS = 2_147_483_647

function deadlines({ timeouts = {}, firstTokenMs, wholeMs, remainingMs = Number.POSITIVE_INFINITY }: Seen): Deadlines {
  const latency = new LatencyBook()
  for (let at = 0; at < 20; at++) {
    if (firstTokenMs !== undefined) latency.add('default/a', 'firstToken', PROMPT_TOKENS, firstTokenMs)
    if (wholeMs !== undefined) latency.add('default/a', 'whole', PROMPT_TOKENS, wholeMs)
  }
  const table = compileTable(makeTable({ models: { a: { backends: [{ url: 'http://a', timeouts }] } } }))
  const [endpoint]: readonly CompiledEndpoint[] = [...table.endpoints.values()]
  assert.ok(endpoint !== undefined)
  return deadlinesFor(endpoint, latency, PROMPT_TOKENS, remainingMs)
}

const CASES: Readonly<Record<string, [Deadlines, Partial<Deadlines>]>> = {
  'nothing known: ten seconds for the first token, a minute for a whole answer': [
    deadlines({}),
    { firstTokenMs: 10_000, wholeMs: 60_000, idleMs: 20_000 },
  ],
  'a slow model has four times what it usually takes': [
    deadlines({ firstTokenMs: 3000, wholeMs: 9000 }),
    { firstTokenMs: 12_000, wholeMs: 36_000 },
  ],
  'a fast model has five seconds, and ten for a whole answer': [
    deadlines({ firstTokenMs: 50, wholeMs: 500 }),
    { firstTokenMs: 5000, wholeMs: 10_000 },
  ],
  'what the resource says about the first token holds, longer or shorter': [
    deadlines({ timeouts: { firstTokenMs: 1234 }, firstTokenMs: 3000 }),
    { firstTokenMs: 1234 },
  ],
  'a whole answer has at least as long as its first token may take': [
    deadlines({ timeouts: { firstTokenMs: 300_000 } }),
    { wholeMs: 300_000 },
  ],
  'what the resource says about silence in a stream': [deadlines({ timeouts: { streamIdleMs: 90_000 } }), { idleMs: 90_000 }],
  'without a deadline of the chain there is no end': [deadlines({}), { totalMs: Number.POSITIVE_INFINITY }],
  'a deadline of months is longer than a timer, and does not fire at once': [
    deadlines({ timeouts: { firstTokenMs: 1e12, streamIdleMs: 1e12 }, remainingMs: 1e12 }),
    { firstTokenMs: LONGEST_TIMER_MS, wholeMs: LONGEST_TIMER_MS, idleMs: LONGEST_TIMER_MS, totalMs: LONGEST_TIMER_MS },
  ],
  'what the chain has left is all that an attempt has': [deadlines({ remainingMs: 700 }), { totalMs: 700 }],
}

for (const [name, [found, expected]] of Object.entries(CASES)) {
  test(`deadlines: ${name}`, () => assert.partialDeepStrictEqual(found, expected))
}
