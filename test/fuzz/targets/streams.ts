/** Event streams: wherever they are cut, the same events; and those that the WHATWG's rules find (HTML §9.2.6). */
import assert from 'node:assert/strict'
import { IncomingMessage, ServerResponse } from 'node:http'
import { Socket } from 'node:net'
import { DIALECTS } from '../../../proxy/dialects/dialects.ts'
import { ClientAnswer } from '../../../proxy/forward/client-answer.ts'
import { Relay } from '../../../proxy/forward/relay.ts'
import { EventCutter, readEvent, type SseEvent } from '../../../proxy/forward/sse.ts'
import type { Dice } from '../../support/dice.ts'
import type { Target } from '../target.ts'
import { cutAnywhere } from './cut.ts'
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

class KeptAnswer extends ClientAnswer {
  readonly writes: Buffer[] = []

  constructor() {
    super(new ServerResponse(new IncomingMessage(new Socket())))
  }

  override write(bytes: Uint8Array): boolean {
    this.writes.push(Buffer.from(bytes))
    return true
  }
}

interface Relayed {
  readonly how: string
  readonly finished: boolean
  readonly malformed: number
  readonly text: string
}

function relayed(chunks: readonly Buffer[], dialect: (typeof dialects)[number]): Relayed {
  const answer = new KeptAnswer()
  let heads = 0
  const relay = new Relay({ dialect, answer, usageAsked: false, onCommit: () => void heads++ })
  let how = 'on'
  for (const chunk of chunks) {
    how = relay.push(chunk).kind
    if (how !== 'on' && how !== 'full') break
  }
  if (how === 'on') how = relay.close().kind
  assert.equal(heads, answer.writes.length === 0 ? 0 : 1, 'a head, once, before the first byte')
  return { how, finished: relay.finished, malformed: relay.malformed, text: lined(Buffer.concat(answer.writes).toString('latin1')) }
}

/** Whether blank lines between events go out depends on when they came, and means nothing. */
const lined = (text: string): string =>
  text
    .split(/[\r\n]+/)
    .filter((line) => line !== '')
    .join('\n')

const dialects = [...DIALECTS.values()].filter(({ streams }) => streams)

/** What a client gets of a stream does not depend on how it was cut, but for what stands behind its end. */
function relaysAlike(input: Buffer, dice: Dice): void {
  const dialect = dice.pick(dialects)
  const whole = relayed([input], dialect)
  const cut = relayed(cutAnywhere(input, dice), dialect)
  if (input.includes('[DONE]') || input.toString('latin1').split(/\n\n|\r/).length > MOST_EVENTS) return
  assert.deepEqual(cut, whole, 'another stream when cut elsewhere')
}

/** What is held back is bounded by chunks. */
const MOST_EVENTS = 60

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

const MEANINGS = [
  '"finish_reason":"stop"',
  '"choices":[]',
  '"index":1',
  '"delta":{}',
  '"error":{"code":500}',
  'event: error\n',
  'event: message_stop\n',
  '"type":"response.failed"',
  '"usage":{"prompt_tokens":-1}',
]

export const streams: readonly Target[] = [
  { name: 'events', tokens: [...TOKENS, ...JSON_TOKENS], check: sameEvents },
  { name: 'relay', seeds: ['test/fuzz/corpus/events/*'], tokens: [...TOKENS, ...JSON_TOKENS, ...MEANINGS], check: relaysAlike },
]
