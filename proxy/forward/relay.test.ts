import assert from 'node:assert/strict'
import { IncomingMessage, ServerResponse } from 'node:http'
import { Socket } from 'node:net'
import { test } from 'node:test'
import { chat } from '../dialects/chat.ts'
import { completions } from '../dialects/completions.ts'
import type { Dialect } from '../dialects/dialect.ts'
import { responses } from '../dialects/responses.ts'
import { ClientAnswer } from './client-answer.ts'
import { type Pushed, Relay } from './relay.ts'

/** Keeps what would be written. */
class RecordingAnswer extends ClientAnswer {
  readonly writes: string[] = []
  hasRoom = true

  constructor() {
    super(new ServerResponse(new IncomingMessage(new Socket())))
  }

  override write(bytes: Uint8Array): boolean {
    this.writes.push(Buffer.from(bytes).toString())
    return this.hasRoom
  }
}

interface Stream {
  readonly relay: Relay
  readonly answer: RecordingAnswer
  readonly commits: () => number
  /** Kinds of what each push found. */
  push(...chunks: readonly string[]): string[]
  sent(): string
}

function stream(dialect: Dialect = chat, usageAsked = false): Stream {
  const answer = new RecordingAnswer()
  let commits = 0
  const onCommit = (): void => {
    assert.deepEqual(answer.writes, [], 'the head goes before the first byte')
    commits++
  }
  const relay = new Relay({ dialect, answer, usageAsked, onCommit })
  return {
    relay,
    answer,
    commits: () => commits,
    push: (...chunks) => chunks.map((chunk) => relay.push(Buffer.from(chunk)).kind),
    sent: () => answer.writes.join(''),
  }
}

const event = (value: unknown): string => `data: ${JSON.stringify(value)}\n\n`
const delta = (fields: object, finish: string | null = null, index = 0): string =>
  event({ id: 'x', choices: [{ index, delta: fields, finish_reason: finish }] })

const ROLE = delta({ role: 'assistant', content: '' })
const NULL_ROLE = delta({ role: 'assistant', content: null })
const HELLO = delta({ content: 'Hello' })
const WORLD = delta({ content: ' wörld' })
const FINISH = delta({}, 'stop')
const USAGE = event({
  id: 'x',
  choices: [],
  usage: { prompt_tokens: 3, completion_tokens: 2, prompt_tokens_details: { cached_tokens: 1 } },
})
const DONE = 'data: [DONE]\n\n'

test('a whole stream passes byte for byte, one write for each chunk that has come', () => {
  const { push, answer, relay } = stream()
  assert.deepEqual(push(HELLO, WORLD + FINISH, DONE), ['on', 'on', 'done'])
  assert.deepEqual(answer.writes, [HELLO, WORLD + FINISH, DONE])
  assert.equal(relay.finished, true)
  relay.close()
  assert.deepEqual(answer.writes, [HELLO, WORLD + FINISH, DONE])
})

test('an event cut anywhere leaves whole, with what came before it', () => {
  const { push, answer } = stream()
  push(HELLO, WORLD.slice(0, 30), WORLD.slice(30) + FINISH.slice(0, 5), FINISH.slice(5) + DONE)
  assert.deepEqual(answer.writes, [HELLO, WORLD, FINISH + DONE])
})

test('role and empty deltas, comments and events without choices are held back until the first content', () => {
  const { push, answer, commits, relay } = stream()
  const nothing = [ROLE, NULL_ROLE, ': keep-alive\n\n', event({ id: 'x', choices: [], prompt_filter_results: [] })]
  push(...nothing)
  assert.deepEqual([commits(), answer.writes, relay.committed], [0, [], false])
  push(HELLO)
  assert.deepEqual([commits(), answer.writes, relay.committed], [1, [nothing.join('') + HELLO], true])
})

const COMMITTING: Readonly<Record<string, [Dialect, string]>> = {
  content: [chat, HELLO],
  'a tool call': [chat, delta({ tool_calls: [{ index: 0, function: { name: 'f' } }] })],
  'reasoning, as vLLM and DeepSeek spell it': [chat, delta({ reasoning_content: 'Hm' })],
  'reasoning, as OpenRouter spells it': [chat, delta({ reasoning: 'Hm' })],
  'a refusal': [chat, delta({ refusal: 'No' })],
  audio: [chat, delta({ audio: { data: 'UklGRg==' } })],
  'the finish of an empty answer': [chat, FINISH],
  text: [completions, event({ choices: [{ text: 'Hello', finish_reason: null }] })],
  'a delta of responses': [responses, `event: response.output_text.delta\n${event({ type: 'response.output_text.delta', delta: 'H' })}`],
}

for (const [name, [dialect, first]] of Object.entries(COMMITTING)) {
  test(`the content commit is made by ${name}`, () => {
    const { push, commits, sent } = stream(dialect)
    push(first)
    assert.deepEqual([commits(), sent()], [1, first])
  })
}

test('nothing else commits: role, empty text, responses that only begin', () => {
  for (const [dialect, first] of [
    [chat, ROLE],
    [chat, delta({ content: '', tool_calls: [] })],
    [completions, event({ choices: [{ text: '', finish_reason: null }] })],
    [responses, `event: response.created\n${event({ type: 'response.created' })}`],
  ] as const) {
    const { push, commits } = stream(dialect)
    push(first)
    assert.equal(commits(), 0)
  }
})

test('at most 64 events are held back', () => {
  const { push, commits, sent } = stream()
  push(...Array<string>(64).fill(ROLE))
  assert.equal(commits(), 0)
  push(ROLE)
  assert.deepEqual([commits(), sent()], [1, ROLE.repeat(65)])
})

test('at most 64 KiB are held back', () => {
  const large = `: ${'x'.repeat(32 * 1024 - 4)}\n\n`
  const { push, commits, sent } = stream()
  push(large, large)
  assert.equal(commits(), 0)
  push(': x\n\n')
  assert.deepEqual([commits(), sent()], [1, `${large}${large}: x\n\n`])
})

test('malformed events are taken out and counted, wherever they stand', () => {
  const { push, answer, relay } = stream()
  push('data: {"broken\n\n', `${HELLO}data: nonsense\n\n${WORLD}`, 'data: 42\n\n', FINISH, DONE)
  assert.deepEqual(answer.writes, [HELLO + WORLD, FINISH, DONE])
  assert.equal(relay.malformed, 3)
  assert.equal(relay.finished, true)
})

test('the usage chunk that the client did not ask for is taken out and read', () => {
  const { push, sent, relay } = stream()
  push(HELLO, FINISH + USAGE + DONE)
  assert.equal(sent(), HELLO + FINISH + DONE)
  assert.deepEqual(relay.usage, { inputTokens: 3, outputTokens: 2, cachedInputTokens: 1 })
})

test('the usage chunk that the client asked for is left in', () => {
  const { push, sent } = stream(chat, true)
  push(HELLO, FINISH, USAGE, DONE)
  assert.equal(sent(), HELLO + FINISH + USAGE + DONE)
})

test('usage beside content is never taken out', () => {
  const both = event({
    choices: [{ index: 0, delta: { content: 'x' }, finish_reason: null }],
    usage: { prompt_tokens: 1, completion_tokens: 1 },
  })
  const { push, sent, relay } = stream()
  push(both)
  assert.equal(sent(), both)
  assert.equal(relay.usage?.outputTokens, 1)
})

test('usage null on every chunk is no usage', () => {
  const { push, relay } = stream()
  push(event({ choices: [{ index: 0, delta: { content: 'x' }, finish_reason: null }], usage: null }))
  assert.equal(relay.usage, undefined)
})

test('a finished stream that ends without a sentinel gets one', () => {
  const { push, relay, answer } = stream()
  push(HELLO, FINISH)
  assert.equal(relay.close().kind, 'done')
  assert.deepEqual(answer.writes, [HELLO, FINISH, DONE])
})

test('a finished stream of a route without sentinel gets none', () => {
  const last = `event: response.completed\n${event({ type: 'response.completed', response: { usage: { input_tokens: 1, output_tokens: 2 } } })}`
  const { push, relay, sent } = stream(responses)
  push(last)
  assert.equal(relay.close().kind, 'done')
  assert.equal(sent(), last)
  assert.deepEqual(relay.usage, { inputTokens: 1, outputTokens: 2, cachedInputTokens: 0 })
})

test('a stream that ends unfinished gets no sentinel', () => {
  const { push, relay, sent } = stream()
  push(HELLO, WORLD)
  assert.equal(relay.close().kind, 'on')
  assert.equal(relay.finished, false)
  assert.equal(sent(), HELLO + WORLD)
})

test('a sentinel without a finish is not passed on: the answer is not complete', () => {
  const { push, relay, sent } = stream()
  assert.deepEqual(push(HELLO, DONE), ['on', 'done'])
  relay.close()
  assert.equal(relay.finished, false)
  assert.equal(sent(), HELLO)
})

test('a last event that lacks its blank line is passed on with one', () => {
  const { push, relay, sent } = stream()
  push(HELLO, FINISH, 'data: [DONE]')
  assert.equal(relay.close().kind, 'done')
  assert.equal(sent(), HELLO + FINISH + DONE)
})

test('a last event cut in the middle is taken out and counted', () => {
  const { push, relay, sent } = stream()
  push(HELLO, WORLD.slice(0, -10))
  relay.close()
  assert.equal(sent(), HELLO)
  assert.deepEqual([relay.malformed, relay.finished], [1, false])
})

const errorOf = (pushed: Pushed): unknown => (pushed.kind === 'error' ? pushed.error : undefined)
const ERROR = { message: 'CUDA out of memory', code: 500 }

test('an error before any content: found, and nothing has gone out', () => {
  const { relay, push, commits, answer } = stream()
  push(ROLE)
  assert.deepEqual(errorOf(relay.push(Buffer.from(event({ error: ERROR }) + DONE))), ERROR)
  assert.deepEqual([commits(), answer.writes], [0, []])
})

test('an error behind content: what came before it goes out, it and what follows do not', () => {
  const { relay, sent } = stream()
  const pushed = relay.push(Buffer.from(HELLO + event({ error: ERROR }) + WORLD + DONE))
  assert.deepEqual(errorOf(pushed), ERROR)
  assert.equal(sent(), HELLO)
})

test('an error as the last event, without its blank line', () => {
  const { push, relay, sent } = stream()
  push(HELLO, event({ error: ERROR }).trimEnd())
  assert.deepEqual(errorOf(relay.close()), ERROR)
  assert.equal(sent(), HELLO)
})

test('errors of responses come as events of their own', () => {
  const failed = stream(responses)
  const text = `event: response.failed\n${event({ type: 'response.failed', response: { error: { code: 'server_error', message: 'no' } } })}`
  assert.deepEqual(errorOf(failed.relay.push(Buffer.from(text))), { code: 'server_error', message: 'no' })
  const named = stream(responses)
  assert.deepEqual(errorOf(named.relay.push(Buffer.from(`event: error\n${event({ code: 'x', message: 'no' })}`))), {
    code: 'x',
    message: 'no',
  })
})

test('a null error field is none', () => {
  const { push, sent } = stream()
  const text = event({ error: null, choices: [{ index: 0, delta: { content: 'x' }, finish_reason: null }] })
  assert.deepEqual(push(text), ['on'])
  assert.equal(sent(), text)
})

test('an event over one mebibyte is an overflow', () => {
  const { push } = stream()
  assert.deepEqual(push(HELLO, `data: ${'x'.repeat(1024 * 1024)}`), ['on', 'overflow'])
})

test('a client that does not read makes the upstream wait', () => {
  const { push, answer } = stream()
  answer.hasRoom = false
  assert.deepEqual(push(ROLE, HELLO, WORLD), ['on', 'full', 'full'])
  answer.hasRoom = true
  assert.deepEqual(push(FINISH), ['on'])
})

test('of several choices all must finish: one that goes on makes no whole answer', () => {
  const { push, relay } = stream()
  push(delta({ content: 'a' }, null, 0), delta({ content: 'b' }, null, 1), delta({}, 'stop', 0))
  assert.equal(relay.finished, false)
  push(delta({ content: 'bb' }, null, 1))
  assert.equal(relay.finished, false)
  push(delta({}, 'length', 1))
  assert.equal(relay.finished, true)
})

test('choices one after the other: a new one opens the answer again', () => {
  const { push, relay } = stream()
  push(delta({ content: 'a' }), FINISH)
  assert.equal(relay.finished, true)
  push(delta({ content: 'b' }, null, 1))
  assert.equal(relay.finished, false)
  push(delta({}, 'stop', 1))
  assert.equal(relay.finished, true)
})

test('an empty finish reason is none: some engines send it with every delta', () => {
  const { push, relay } = stream()
  push(delta({ content: 'a' }, ''))
  assert.equal(relay.finished, false)
  push(delta({}, 'stop'))
  assert.equal(relay.finished, true)
})

test('what follows a finish opens nothing again', () => {
  const { push, relay } = stream()
  assert.deepEqual(push(delta({ content: 'a' }), FINISH, delta({}), DONE), ['on', 'on', 'on', 'done'])
  assert.equal(relay.finished, true)
})
