/** What the soak judges by: how a plan may end, and what grows. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { endings, type Kind, planIn, textOf } from './soak/plan.ts'
import { floors, perHour, type Sample, sampleOf } from './soak/samples.ts'

const ends = (kinds: readonly Kind[], stream: boolean, continues = false): string[] => [...endings({ id: 1, kinds }, { stream, continues })]

const FIVE: readonly Kind[] = ['error', 'error', 'error', 'error', 'error']

const ENDINGS: Readonly<Record<string, [string[], string[]]>> = {
  'a healthy answer is whole': [ends(['ok'], true), ['whole']],
  'what fails before its content is hidden': [ends(['rate', 'silence', 'ok'], true), ['whole']],
  'a reset may be one of a kept connection, and then counts for nothing': [
    ends(['reset', 'bad'], true),
    ['upstream_error', 'invalid_value'],
  ],
  'a stream that is cut is interrupted': [ends(['error', 'cut', 'ok'], true), ['upstream_stream_interrupted']],
  'one that may be gone on with is whole': [ends(['cut', 'ok'], true, true), ['whole']],
  'unless it is long': [ends(['cut', 'big'], true, true), ['upstream_stream_interrupted', 'whole']],
  'and interrupted if nobody can go on': [ends(['cut', 'bad'], true, true), ['upstream_stream_interrupted']],
  'a whole answer that is cut is tried again': [ends(['cut', 'ok'], false), ['whole']],
  'a wrong event of a stream is skipped': [ends(['malformed'], true), ['whole']],
  'when all fails, the first cause is told': [ends(['busy', 'error', 'error'], false), ['upstream_overloaded']],
  'tries are bounded: what would come behind the last does not matter': [ends(['rate', ...FIVE, 'cut'], true), ['upstream_rate_limited']],
  "a client's own fault is told when nothing failed before": [ends(['bad'], true), ['invalid_value']],
}

for (const [name, [found, expected]] of Object.entries(ENDINGS)) test(`soak: ${name}`, () => assert.deepEqual(found, expected))

test('soak: a plan is read out of the text it was written into', () => {
  const plan = { id: 12, kinds: ['rate', 'ok'] as const }
  assert.deepEqual(planIn(`{"user":"${textOf(plan)}","stream":true}`), plan)
  assert.equal(planIn('{}'), undefined)
})

const NOTHING = sampleOf('', 0, { all: 0, sockets: 0 })
const heaps = (...values: readonly number[]): Sample[] => values.map((heapMb, at) => ({ ...NOTHING, atMs: at * 3_600_000, heapMb }))

test('soak: growth is a slope, and of a saw-tooth that of its floors', () => {
  assert.equal(perHour(heaps(5, 7, 9), ({ heapMb }) => heapMb)?.toFixed(6), '2.000000')
  assert.equal(
    perHour(heaps(5, 7), ({ heapMb }) => heapMb),
    undefined,
  )
  assert.deepEqual(
    floors(heaps(5, 9, 3, 6, 1, 8, 9), 3).map(({ heapMb }) => heapMb),
    [3, 1],
  )
})

test("soak: a sample is read out of the proxy's metrics", () => {
  const text = [
    '# HELP process_resident_memory_bytes x',
    'process_resident_memory_bytes 1048576',
    'llama_swap_event_loop_lag_seconds{percentile="50"} 1',
    'llama_swap_event_loop_lag_seconds{percentile="100"} 0.02',
    'llama_swap_endpoint_in_flight{model="a",endpoint="1"} 2',
    'llama_swap_endpoint_in_flight{model="b",endpoint="2"} 1',
    'llama_swap_requests_total{route="chat",outcome="ok"} 3',
    'llama_swap_requests_total{route="responses",outcome="ok"} 4',
  ].join('\n')
  const { rssMb, lagMs, inFlight, outcomes, sockets } = sampleOf(text, 0, { all: 20, sockets: 7 })
  assert.deepEqual(
    { rssMb, lagMs, inFlight, outcomes, sockets },
    { rssMb: 1, lagMs: 20, inFlight: 3, outcomes: new Map([['ok', 7]]), sockets: 7 },
  )
})
