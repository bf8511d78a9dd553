import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { EndpointReport, ProxyFrame } from '../routing-table/frames.ts'
import { parseProxyFrame } from '../routing-table/frames.ts'
import { Reports } from './reports.ts'

function reportsOf(...first: readonly EndpointReport[]) {
  let now = first
  const reports = new Reports(() => now)
  return {
    reports,
    become: (...next: readonly EndpointReport[]) => {
      now = next
    },
  }
}
const used = (ref: string, failed = false) => ({ ref, failed, inputTokens: 10, outputTokens: 3 })

test('all at first, then what changed, then what is gone, and nothing where nothing changed', () => {
  const { reports, become } = reportsOf({ id: 'a', inFlight: 0 }, { id: 'b', inFlight: 2, up: true, engine: 'vLLM' })
  const report = { type: 'report', gone: [], usage: [] }
  assert.deepEqual(reports.frames(true), [
    {
      ...report,
      endpoints: [
        { id: 'a', inFlight: 0 },
        { id: 'b', inFlight: 2, up: true, engine: 'vLLM' },
      ],
    },
  ])
  assert.deepEqual(reports.frames(false), [])
  become({ id: 'a', inFlight: 0, up: false })
  assert.deepEqual(reports.frames(false), [{ ...report, endpoints: [{ id: 'a', inFlight: 0, up: false }], gone: ['b'] }])
  assert.deepEqual(reports.frames(false), [])
  assert.equal(reports.frames(true).length, 1)
})

test('usage is summed by model and told once', () => {
  const { reports } = reportsOf()
  for (const one of [used('t/a'), used('t/b'), used('t/a', true)]) reports.settled(one)
  assert.deepEqual(reports.frames(false), [
    {
      type: 'report',
      endpoints: [],
      gone: [],
      usage: [
        { ref: 't/a', requests: 2, errors: 1, inputTokens: 20, outputTokens: 6 },
        { ref: 't/b', requests: 1, errors: 0, inputTokens: 10, outputTokens: 3 },
      ],
    },
  ])
  assert.deepEqual(reports.frames(false), [])
})

test('many endpoints travel in several frames, each one that is read', () => {
  const many = Array.from({ length: 4_500 }, (_, at) => ({ id: `endpoint-${at}`, inFlight: at }))
  const { reports, become } = reportsOf(...many)
  const idsOf = (frames: readonly ProxyFrame[]) =>
    frames.flatMap((frame) => (frame.type === 'report' ? frame.endpoints.map(({ id }) => id) : []))
  const frames = reports.frames(true)
  assert.equal(frames.length, 3)
  assert.equal(new Set(idsOf(frames)).size, 4_500)
  for (const frame of frames) assert.equal(parseProxyFrame(JSON.stringify(frame)).kind, 'frame')
  become()
  assert.equal(reports.frames(false).flatMap((frame) => (frame.type === 'report' ? frame.gone : [])).length, 4_500)
})
