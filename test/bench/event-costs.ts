/** What one event of a stream costs in our own code: passed on, and remembered so that another engine could go on. */
import type { ServerResponse } from 'node:http'
import { chat } from '../../proxy/dialects/chat.ts'
import { ClientAnswer } from '../../proxy/forward/client-answer.ts'
import { Delivered } from '../../proxy/forward/delivered.ts'
import { Relay } from '../../proxy/forward/relay.ts'

const EVENTS = 2000
const ROUNDS = 40
const TEXT = 'x'.repeat(80)
const EVENT = Buffer.from(
  `data: ${JSON.stringify({ id: 'chatcmpl-1', object: 'chat.completion.chunk', created: 1, model: 'm', choices: [{ index: 0, delta: { content: TEXT }, finish_reason: null }] })}\n\n`,
)

export interface EventCost {
  readonly name: string
  readonly micros: number
}

export function eventCosts(): readonly EventCost[] {
  const ways: readonly { readonly name: string; readonly remembers: boolean }[] = [
    { name: '`interrupt: Error`', remembers: false },
    { name: '`interrupt: Continue`', remembers: true },
  ]
  const lowest = ways.map(() => Number.POSITIVE_INFINITY)
  for (let round = 0; round < ROUNDS; round++) {
    for (const [index, { remembers }] of ways.entries()) lowest[index] = Math.min(lowest[index] ?? 0, stream(remembers))
  }
  return ways.map(({ name }, index) => ({ name, micros: lowest[index] ?? 0 }))
}

/** Microseconds an event. */
function stream(remembers: boolean): number {
  const { continuing } = chat
  const answer = new ClientAnswer(nowhere())
  const editor = remembers && continuing !== undefined ? new Delivered(continuing) : undefined
  const relay = new Relay({
    dialect: chat,
    answer,
    usageAsked: false,
    onCommit: () => answer.begin(200, ['content-type', 'text/event-stream']),
    editor,
  })
  const startMs = performance.now()
  for (let event = 0; event < EVENTS; event++) relay.push(EVENT)
  return ((performance.now() - startMs) * 1000) / EVENTS
}

/** A response whose bytes go nowhere. */
function nowhere(): ServerResponse {
  return Object.assign(Object.create({}), {
    req: { httpVersion: '1.1' },
    on: () => undefined,
    writeHead: () => undefined,
    write: () => true,
    writableEnded: false,
  })
}
