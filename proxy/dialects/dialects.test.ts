import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type ApiError, ERRORS } from '../errors.ts'
import { chat } from './chat.ts'
import { completions } from './completions.ts'
import { type RequestFacts, timingsUsage, type Usage } from './dialect.ts'
import { DIALECTS } from './dialects.ts'
import { embeddings } from './embeddings.ts'
import type { Json } from './json.ts'
import { moderations, rerank } from './plain.ts'
import { responses } from './responses.ts'
import { splice } from './splice.ts'

test('each inference route has its dialect', () => {
  const paths = [...DIALECTS.values()].map(({ path }) => path)
  for (const [path, dialect] of DIALECTS) assert.equal(DIALECTS.get(dialect.path), dialect, path)
  assert.deepEqual(
    [...DIALECTS.keys()].filter((path) => !paths.includes(path)),
    ['/rerank', '/v2/rerank', '/reranking', '/v1/reranking'],
  )
})

/** What it needs, and the text of its prompt. */
const NEEDS: Readonly<Record<string, [string[], string, Pick<RequestFacts, 'needs' | 'prompt'>]>> = {
  'chat: text': [['chat'], 'Hello', chat.readRequest({ messages: [{ role: 'user', content: 'Hello' }] })],
  'chat: parts of text': [
    ['chat'],
    'ab cd',
    chat.readRequest({
      messages: [
        {
          content: [
            { type: 'text', text: 'ab' },
            { type: 'text', text: 'cd' },
          ],
        },
      ],
    }),
  ],
  'chat: an image': [
    ['chat', 'vision'],
    '',
    chat.readRequest({ messages: [{ content: [{ type: 'image_url', image_url: { url: 'x' } }] }] }),
  ],
  'chat: audio': [['audio', 'chat'], '', chat.readRequest({ messages: [{ content: [{ type: 'input_audio' }] }] })],
  'chat: an empty list of tools needs none': [['chat'], '', chat.readRequest({ tools: [], messages: [] })],
  'chat: a JSON object needs no schema': [['chat'], '', chat.readRequest({ response_format: { type: 'json_object' } })],
  'chat: messages of the wrong type': [['chat'], '', chat.readRequest({ messages: ['x', null, { content: 7 }] })],
  'responses: text and instructions': [['responses'], 'Hi Hello', responses.readRequest({ input: 'Hello', instructions: 'Hi' })],
  'responses: items': [
    ['responses', 'vision'],
    'ab',
    responses.readRequest({ input: [{ content: [{ type: 'input_image' }, { type: 'input_text', text: 'ab' }] }] }),
  ],
  'responses: the output of a tool': [
    ['responses'],
    'abc',
    responses.readRequest({ input: [{ type: 'function_call_output', output: 'abc' }] }),
  ],
  'responses: a schema': [['jsonSchema', 'responses'], '', responses.readRequest({ text: { format: { type: 'json_schema' } } })],
  'completions: a text': [['completions'], 'Hello', completions.readRequest({ prompt: 'Hello' })],
  'completions: texts': [['completions'], 'ab cd', completions.readRequest({ prompt: ['ab', 'cd'] })],
  'completions: token numbers count as a token each': [['completions'], '', completions.readRequest({ prompt: [1, 2, 3] })],
  'rerank: a query and texts': [['rerank'], 'a bc de', rerank.readRequest({ query: 'a', documents: ['bc', { text: 'de' }] })],
  'moderations: a text': [[], 'ab', moderations.readRequest({ input: ['ab'] })],
  'embeddings: texts': [['embeddings'], 'ab cd', embeddings.readRequest({ input: ['ab', 'cd'] })],
}

for (const [name, [needs, text, found]] of Object.entries(NEEDS)) {
  test(`what a request needs, ${name}`, () => {
    assert.deepEqual([found.needs.toSorted(), found.prompt.texts.join(' ')], [needs, text])
  })
}

const usage = (inputTokens: number, outputTokens: number, cachedInputTokens = 0): Usage => ({
  inputTokens,
  outputTokens,
  cachedInputTokens,
})

const USAGES: Readonly<Record<string, [Usage | undefined, Usage | undefined]>> = {
  chat: [
    chat.readUsage({ usage: { prompt_tokens: 3, completion_tokens: 2, prompt_tokens_details: { cached_tokens: 1 } } }),
    usage(3, 2, 1),
  ],
  'chat, details null': [chat.readUsage({ usage: { prompt_tokens: 3, completion_tokens: 2, prompt_tokens_details: null } }), usage(3, 2)],
  'chat, none: unknown, not zero': [chat.readUsage({}), undefined],
  'chat, null: unknown, not zero': [chat.readUsage({ usage: null }), undefined],
  'chat, numbers below zero are not believed': [chat.readUsage({ usage: { prompt_tokens: -3, completion_tokens: 2 } }), usage(0, 2)],
  'chat, numbers beyond counting are not believed': [chat.readUsage({ usage: JSON.parse('{"prompt_tokens":1e400}') }), usage(0, 0)],
  embeddings: [embeddings.readUsage({ usage: { prompt_tokens: 3, total_tokens: 3 } }), usage(3, 0)],
  responses: [
    responses.readUsage({ usage: { input_tokens: 3, output_tokens: 2, input_tokens_details: { cached_tokens: 1 } } }),
    usage(3, 2, 1),
  ],
  "llama.cpp's timings": [timingsUsage({ prompt_n: 3, cache_n: 4, predicted_n: 2 }), usage(7, 2, 4)],
  "llama.cpp's timings without a count": [timingsUsage({ prompt_n: 3 }), undefined],
}

for (const [name, [found, expected]] of Object.entries(USAGES)) test(`usage, ${name}`, () => assert.deepEqual(found, expected))

const ERROR: ApiError = {
  code: 'upstream_stream_interrupted',
  message: 'It broke.\nHere.',
  upstream: { status: 500, code: 'x', type: null },
}

/** The one event of `text`: its name and its JSON. */
function eventOf(text: string): { event: string | undefined; data: Json } {
  assert.match(text, /^(event: [a-z]+\n)?data: [^\n]+\n\n$/)
  const data: unknown = JSON.parse(/data: (.*)/.exec(text)?.[1] ?? '')
  assert.ok(typeof data === 'object' && data !== null)
  return { event: /^event: (.*)/.exec(text)?.[1], data: { ...data } }
}

test('an error in a stream of chat or completions is one unnamed event in the shape of an error answer', () => {
  for (const dialect of [chat, completions]) {
    const { event, data } = eventOf(dialect.errorEvent(ERROR))
    const { type } = ERRORS.upstream_stream_interrupted
    assert.equal(event, undefined)
    assert.deepEqual(data, { error: { message: ERROR.message, type, param: null, code: ERROR.code, upstream: ERROR.upstream } })
  }
})

test('an error in a stream of responses is an event named error that both kinds of reader find', () => {
  const { event, data } = eventOf(responses.errorEvent(ERROR))
  assert.equal(event, 'error')
  assert.deepEqual([data['type'], data['code'], data['message'], data['param']], ['error', ERROR.code, ERROR.message, null])
  assert.partialDeepStrictEqual(data['error'], { code: ERROR.code, message: ERROR.message })
})

test('our own error events are read as errors', () => {
  for (const dialect of [chat, completions, responses]) {
    const { event = '', data } = eventOf(dialect.errorEvent(ERROR))
    assert.notEqual(dialect.readEvent(data, event).error, undefined, dialect.route)
  }
})

test('the end of a responses stream: completed and incomplete finish, failed is an error, cancelled deltas are neither', () => {
  const read = (type: string, more: object = {}): ReturnType<typeof responses.readEvent> => responses.readEvent({ type, ...more }, type)
  assert.deepEqual(
    [read('response.completed').finishes, read('response.incomplete').finishes, read('response.created').finishes],
    [1, 1, 0],
  )
  assert.deepEqual(read('response.failed').error, {})
  assert.deepEqual(read('response.completed', { response: { usage: { input_tokens: 1, output_tokens: 2 } } }).usage, usage(1, 2))
  assert.equal(read('response.output_item.added').commits, false)
})

test('messages, tools and token numbers are counted, and what no text tells makes a prompt opaque', () => {
  const call = { role: 'assistant', content: null, tool_calls: [{ function: { name: 'f', arguments: '{"a":1}' } }] }
  const asked = chat.readRequest({ tools: [{ type: 'function' }], messages: [call, { role: 'tool', content: 'ok' }] }).prompt
  assert.deepEqual(asked, { texts: ['f', '{"a":1}', 'ok'], messages: 2, tools: '[{"type":"function"}]', given: 0, opaque: false, times: 1 })
  assert.equal(completions.readRequest({ prompt: [[1, 2], [3]] }).prompt.given, 3)
  assert.equal(chat.readRequest({ messages: [{ content: [{ type: 'image_url' }] }] }).prompt.opaque, true)
  assert.equal(responses.readRequest({ input: 'x', previous_response_id: 'r' }).prompt.opaque, true)
  assert.equal(responses.readRequest({ input: 'x', previous_response_id: null }).prompt.opaque, false)
})

test('edits change their own bytes and no other', () => {
  const piece = fc.record({
    kept: fc.string({ unit: 'grapheme' }),
    old: fc.string({ unit: 'grapheme' }),
    text: fc.string({ unit: 'grapheme' }),
  })
  fc.assert(
    fc.property(fc.array(piece), fc.string(), fc.boolean(), (pieces, rest, reversed) => {
      let at = 0
      const edits = pieces.map(({ kept, old, text }) => {
        const start = at + Buffer.byteLength(kept)
        at = start + Buffer.byteLength(old)
        return { start, end: at, text }
      })
      const before = Buffer.from(pieces.map(({ kept, old }) => kept + old).join('') + rest)
      const after = pieces.map(({ kept, text }) => kept + text).join('') + rest
      // Insertions at one place keep their order only if they come in order.
      const given = reversed && new Set(edits.map(({ start }) => start)).size === edits.length ? edits.toReversed() : edits
      assert.equal(Buffer.from(splice(before, given)).toString(), after)
    }),
  )
})
