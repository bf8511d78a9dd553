/** Event streams: wherever they are cut, the same events; and those that the WHATWG's rules find (HTML §9.2.6). */
import assert from 'node:assert/strict'
import { EventCutter, readEvent, type SseEvent } from '../../../proxy/forward/sse.ts'
import type { Dice } from '../../support/dice.ts'
import type { Target } from '../target.ts'
import { JSON_TOKENS } from './json.ts'

/** The bytes between two cuts are everything or nothing of an event. */
function eventsOf(chunks: readonly Buffer[]): { events: SseEvent[]; bytes: Buffer } {
  const cutter = new EventCutter()
  const events: SseEvent[] = []
  const out: Buffer[] = []
  const take = (cut: ReturnType<EventCutter['push']>): void => {
    assert.ok(cut !== undefined, 'no event here is too large')
    let start = 0
    for (const end of cut.ends) {
      assert.ok(end > start && end <= cut.bytes.length)
      events.push(readEvent(cut.bytes, start, end))
      start = end
    }
    assert.equal(start, cut.bytes.length, 'bytes behind the last event came out')
    out.push(Buffer.from(cut.bytes))
  }
  for (const chunk of chunks) take(cutter.push(chunk))
  const last = cutter.flush()
  if (last !== undefined) take(last)
  return { events, bytes: Buffer.concat(out) }
}

function cutAnywhere(input: Buffer, dice: Dice): Buffer[] {
  const chunks: Buffer[] = []
  const longest = dice.pick([1, 2, 3, 20, 2000])
  for (let at = 0; at < input.length; ) {
    const size = 1 + dice.below(longest)
    chunks.push(Buffer.from(input.subarray(at, at + size)))
    at += size
  }
  return chunks
}

/** As the standard reads a stream, but for one thing: here an event that lacks its blank line at the end counts. */
function byTheStandard(input: Buffer): SseEvent[] {
  const text = `${input.toString().replace(/^\uFEFF/, '')}\n\n`
  const events: SseEvent[] = []
  let event = ''
  let data: string[] = []
  for (const line of text.split(/\r\n|\n|\r/)) {
    if (line === '') {
      if (data.length > 0) events.push({ event, data: data.join('\n') })
      event = ''
      data = []
      continue
    }
    const [, name = '', value = ''] = /^([^:]*)(?:: ?(.*))?$/s.exec(line) ?? []
    if (name === 'event') event = value
    if (name === 'data') data.push(value)
  }
  return events
}

/** A mark of byte order belongs before a stream; we forgive it before any event. */
const MARK = Buffer.from('\ufeff')

function sameEvents(input: Buffer, dice: Dice): void {
  const whole = eventsOf([input])
  const cut = eventsOf(cutAnywhere(input, dice))
  const withData = (events: readonly SseEvent[]): SseEvent[] => events.filter(({ data }) => data !== undefined)
  assert.deepEqual(withData(cut.events), withData(whole.events), 'other events when cut elsewhere')
  for (const { bytes } of [cut, whole]) assert.ok(bytes.subarray(0, input.length).equals(input), 'bytes were changed')
  if (input.lastIndexOf(MARK) <= 0) assert.deepEqual(withData(whole.events), byTheStandard(input))
}

const TOKENS = [
  'data: ',
  'data:',
  'data',
  'event: ',
  'event:x',
  'id: 1',
  'retry: 5',
  ': comment',
  '\n',
  '\r',
  '\r\n',
  '\n\n',
  '\r\r',
  '\r\n\r\n',
  '\n\r',
  '[DONE]',
  'data: [DONE]\n\n',
  '\ufeff',
  '\u0000',
  'ü',
  '😀',
  'da',
  ':',
]

export const streams: readonly Target[] = [{ name: 'events', tokens: [...TOKENS, ...JSON_TOKENS], check: sameEvents }]
