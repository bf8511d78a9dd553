import assert from 'node:assert/strict'
import { test } from 'node:test'
import { chat } from '../dialects/chat.ts'
import { completions } from '../dialects/completions.ts'
import type { Dialect } from '../dialects/dialect.ts'
import { isJson, type Json } from '../dialects/json.ts'
import { Delivered } from './delivered.ts'
import { type Method, Seam } from './seam.ts'

const TEXT = 'Once upon a time, “Größe” 日本 👩‍🚀 and\n\ttabs \\ "quotes". The end.'

interface Speech {
  readonly dialect: Dialect
  event(text: string, finish?: string | null): Json
  textOf(event: Json): string
}

const chatEvent = (delta: Json, finish: string | null = null, id = 'second'): Json => ({
  id,
  object: 'chat.completion.chunk',
  created: 2,
  choices: [{ index: 0, delta, finish_reason: finish }],
})

const SPEECHES: Readonly<Record<'chat' | 'completions', Speech>> = {
  chat: {
    dialect: chat,
    event: (content, finish) => chatEvent({ content }, finish),
    textOf: (event) => textIn(read(event, 'choices', 0, 'delta', 'content')),
  },
  completions: {
    dialect: completions,
    event: (text, finish = null) => ({ id: 'second', created: 2, choices: [{ index: 0, text, finish_reason: finish }] }),
    textOf: (event) => textIn(read(event, 'choices', 0, 'text')),
  },
}

const textIn = (value: unknown): string => (typeof value === 'string' ? value : '')

function read(value: unknown, ...path: readonly (string | number)[]): unknown {
  let at = value
  for (const key of path) at = typeof at === 'object' && at !== null ? Reflect.get(at, key) : undefined
  return at
}

function continuingOf({ continuing }: Dialect) {
  assert.ok(continuing !== undefined)
  return continuing
}

/** The client has `text`, in events named "first". */
function delivered({ dialect }: Speech, text: string): Delivered {
  const client = new Delivered(continuingOf(dialect))
  client.edit({ id: 'first', created: 1, choices: [] }, dialect.readEvent({ choices: [] }, ''))
  if (text !== '') client.add(text)
  return client
}

/** What comes of each event; "diverged" ends it. */
function through(speech: Speech, client: Delivered, method: Method, events: readonly Json[]): (Json | 'diverged')[] {
  const seam = new Seam(method, continuingOf(speech.dialect), client)
  const out: (Json | 'diverged')[] = []
  for (const event of events) {
    const edited = seam.edit(event, speech.dialect.readEvent(event, ''))
    if (edited !== undefined) out.push(edited)
    if (edited === 'diverged') break
  }
  return out
}

const textsOf = (speech: Speech, out: readonly (Json | 'diverged')[]): string =>
  out.map((event) => (event === 'diverged' ? '<diverged>' : speech.textOf(event))).join('')

const pieces = (text: string, size: number): string[] =>
  Array.from({ length: Math.ceil(text.length / size) }, (_, index) => text.slice(index * size, (index + 1) * size))

for (const [route, speech] of Object.entries(SPEECHES)) {
  test(`${route}: a replay gives exactly the rest, wherever the first stream broke and however the second is cut`, () => {
    for (let at = 0; at <= TEXT.length; at++) {
      for (const size of [1, 2, 3, 7, TEXT.length]) {
        const client = delivered(speech, TEXT.slice(0, at))
        const events = [...pieces(TEXT, size).map((text) => speech.event(text)), speech.event('', 'stop')]
        const out = through(speech, client, 'replay', events)
        assert.equal(TEXT.slice(0, at) + textsOf(speech, out), TEXT, `broken at ${at}, pieces of ${size}`)
        assert.equal(client.text, TEXT)
        assert.equal(client.isClosed, true)
      }
    }
  })

  test(`${route}: a replay that differs at any one place diverges there, and nothing of it goes out`, () => {
    for (let at = 0; at < TEXT.length; at++) {
      const other = `${TEXT.slice(0, at)}\u0001${TEXT.slice(at + 1)}`
      for (const size of [1, 5, TEXT.length]) {
        const out = through(
          speech,
          delivered(speech, TEXT),
          'replay',
          pieces(other, size).map((text) => speech.event(text)),
        )
        assert.deepEqual(out, ['diverged'], `differs at ${at}, pieces of ${size}`)
      }
    }
  })

  test(`${route}: a replay that ends before it has repeated the text has diverged`, () => {
    const out = through(speech, delivered(speech, TEXT), 'replay', [speech.event(TEXT.slice(0, 10)), speech.event('', 'stop')])
    assert.deepEqual(out, ['diverged'])
  })

  test(`${route}: text and finish in one event are cut as any other`, () => {
    const [only, ...more] = through(speech, delivered(speech, TEXT.slice(0, 20)), 'replay', [speech.event(TEXT, 'stop')])
    assert.deepEqual(more, [])
    assert.ok(isJson(only))
    assert.equal(speech.textOf(only), TEXT.slice(20))
    assert.equal(read(only, 'choices', 0, 'finish_reason'), 'stop')
  })

  test(`${route}: a continued answer has one id and one time of creation`, () => {
    for (const method of ['prefix', 'replay'] as const) {
      const client = delivered(speech, '')
      const out = through(speech, client, method, [speech.event('a'), speech.event('b', 'length')])
      assert.deepEqual(
        out.map((event) => [read(event, 'id'), read(event, 'created')]),
        [
          ['first', 1],
          ['first', 1],
        ],
      )
    }
  })

  test(`${route}: a continuation by prefix passes all text as it is, white space too`, () => {
    const out = through(speech, delivered(speech, 'one '), 'prefix', [speech.event(' two'), speech.event('\n'), speech.event('', 'stop')])
    assert.equal(textsOf(speech, out), ' two\n')
  })
}

test('no second role goes out: neither alone nor beside text', () => {
  const out = through(SPEECHES.chat, delivered(SPEECHES.chat, 'a'), 'prefix', [
    chatEvent({ role: 'assistant', content: '' }),
    chatEvent({ role: 'assistant', content: null }),
    chatEvent({ role: 'assistant', content: 'b' }),
  ])
  assert.deepEqual(
    out.map((event) => read(event, 'choices', 0, 'delta')),
    [{ content: 'b' }],
  )
})

test('a tool call may follow the text, but not stand in for it', () => {
  const call = chatEvent({ tool_calls: [{ index: 0, id: 'c', function: { name: 'f', arguments: '{}' } }] })
  const { chat: speech } = SPEECHES
  assert.deepEqual(through(speech, delivered(speech, 'text'), 'replay', [call]), ['diverged'])
  const out = through(speech, delivered(speech, 'text'), 'replay', [speech.event('text'), call])
  assert.deepEqual(
    out.map((event) => read(event, 'choices', 0, 'delta', 'tool_calls', 0, 'id')),
    ['c'],
  )
})

test('usage: what was given as prompt is output again by prefix, and the sum stays; a replay tells its own', () => {
  const { chat: speech } = SPEECHES
  const told = { prompt_tokens: 12, completion_tokens: 5, total_tokens: 17 }
  const event = { id: 'second', created: 2, choices: [], usage: told }
  const client = (): Delivered => {
    const made = delivered(speech, '')
    for (const text of ['a', 'b', 'c']) made.add(text)
    return made
  }
  const [byPrefix] = through(speech, client(), 'prefix', [event])
  assert.deepEqual(read(byPrefix, 'usage'), { prompt_tokens: 9, completion_tokens: 8, total_tokens: 17 })
  const [byReplay] = through(speech, client(), 'replay', [event])
  assert.deepEqual(read(byReplay, 'usage'), told)
  const booked = new Seam('prefix', continuingOf(chat), client()).usage({ inputTokens: 12, outputTokens: 5, cachedInputTokens: 11 })
  assert.deepEqual(booked, { inputTokens: 9, outputTokens: 8, cachedInputTokens: 9 })
})

const closing: Readonly<Record<string, readonly Json[]>> = {
  'a tool call': [chatEvent({ tool_calls: [{ index: 0, function: { arguments: '{"a' } }] })],
  reasoning: [chatEvent({ reasoning_content: 'hm' }), chatEvent({ content: 'Answer' })],
  'reasoning by its other name': [chatEvent({ reasoning: 'hm' })],
  'a refusal': [chatEvent({ refusal: 'no' })],
  'a think block': [chatEvent({ content: '\n<th' }), chatEvent({ content: 'ink>hm' })],
  'another choice': [{ choices: [{ index: 1, delta: { content: 'b' }, finish_reason: null }] }],
  'two choices at once': [
    {
      choices: [
        { index: 0, delta: { content: 'a' } },
        { index: 1, delta: { content: 'b' } },
      ],
    },
  ],
  'its finish': [chatEvent({}, 'stop')],
  'too much text': [chatEvent({ content: 'x'.repeat(40_000) }), chatEvent({ content: 'é'.repeat(13_000) })],
}

for (const [what, events] of Object.entries(closing)) {
  test(`nobody goes on after ${what}`, () => {
    const client = new Delivered(continuingOf(chat))
    assert.equal(client.isClosed, false)
    for (const event of events) assert.equal(client.edit(event, chat.readEvent(event, '')), event)
    assert.equal(client.isClosed, true)
  })
}

test('long text in many pieces is remembered exactly, surrogates cut in two included', () => {
  const client = new Delivered(continuingOf(chat))
  const text = TEXT.repeat(300)
  for (const piece of pieces(text, 1)) client.add(piece)
  assert.equal(client.text, text)
})
