import assert from 'node:assert/strict'
import { test } from 'node:test'
import { countTokens, messages } from './messages.ts'
import { readRequest } from './request.ts'

const needsOf = (body: object): readonly string[] => messages.readRequest({ messages: [], ...body }).needs.toSorted()
const read = (type: string, more: object = {}): ReturnType<typeof messages.readEvent> => messages.readEvent({ type, ...more }, type)

test('what a request needs', () => {
  assert.deepEqual(needsOf({}), ['chat'])
  assert.deepEqual(needsOf({ tools: [{ name: 'f' }] }), ['chat', 'tools'])
  assert.deepEqual(needsOf({ output_config: { format: { type: 'json_schema' } } }), ['chat', 'jsonSchema'])
  assert.deepEqual(needsOf({ messages: [{ role: 'user', content: [{ type: 'image', source: {} }] }] }), ['chat', 'vision'])
  const inResult = { type: 'tool_result', content: [{ type: 'image' }] }
  assert.deepEqual(needsOf({ messages: [{ role: 'user', content: [inResult] }] }), ['chat', 'vision'])
  assert.deepEqual(countTokens.readRequest({ tools: [{}] }).needs, [])
})

test('the prompt is system, messages, tool results and arguments', () => {
  const { prompt } = messages.readRequest({
    system: [{ type: 'text', text: 'abc' }],
    messages: [
      { role: 'user', content: 'de' },
      { role: 'assistant', content: [{ type: 'tool_use', id: 'x', name: 'f', input: {} }] },
      { role: 'user', content: [{ type: 'tool_result', content: [{ type: 'text', text: 'fgh' }] }, 'nonsense', null] },
    ],
  })
  assert.deepEqual([prompt.texts, prompt.messages], [['abc', 'de', '{}', 'fgh'], 4])
})

test('the output limit is max_tokens, and streams are asked for as everywhere', () => {
  const result = readRequest(Buffer.from('{"model":"m","max_tokens":7,"stream":true,"messages":[]}'), messages)
  assert.ok('body' in result)
  assert.deepEqual([result.body.maxOutputTokens, result.body.stream], [7, true])
  const counted = readRequest(Buffer.from('{"model":"m","messages":[]}'), countTokens)
  assert.ok('body' in counted)
})

test('content commits; a start, an empty block and a ping do not', () => {
  assert.equal(read('message_start', { message: {} }).commits, false)
  assert.equal(read('ping').commits, false)
  assert.equal(read('content_block_start', { content_block: { type: 'text', text: '' } }).commits, false)
  assert.equal(read('content_block_start', { content_block: { type: 'thinking' } }).commits, false)
  assert.equal(read('content_block_start', { content_block: { type: 'tool_use', name: 'f' } }).commits, true)
  assert.equal(read('content_block_delta', { delta: { type: 'text_delta', text: 'a' } }).commits, true)
})

test('a stop reason finishes, message_stop is the sentinel, an error is one', () => {
  assert.equal(read('message_delta', { delta: { stop_reason: 'end_turn' } }).finishes, 1)
  assert.equal(read('message_delta', { delta: { stop_reason: null } }).finishes, 0)
  assert.deepEqual([read('message_stop').finishes, read('message_stop').isSentinel], [1, true])
  assert.deepEqual(read('error', { error: { type: 'overloaded_error' } }).error, { type: 'overloaded_error' })
  assert.equal(read('something_new').error, undefined)
})

test('cached tokens, counted apart by Anthropic, are inside ours', () => {
  const usage = { input_tokens: 10, cache_creation_input_tokens: 5, cache_read_input_tokens: 100, output_tokens: 3 }
  const ours = { inputTokens: 115, outputTokens: 3, cachedInputTokens: 100, cacheWriteTokens: 5 }
  assert.deepEqual(messages.readUsage({ usage }), ours)
  assert.deepEqual(read('message_start', { message: { usage } }).usagePart, ours)
  assert.deepEqual(read('message_delta', { delta: {}, usage: { output_tokens: 9 } }).usagePart, { outputTokens: 9 })
  assert.equal(messages.readUsage({}), undefined)
})

test('an error in a stream is a named event in the shape of Anthropic', () => {
  const text = messages.errorEvent({ code: 'upstream_stream_interrupted', message: 'It broke.' }, 'r1')
  assert.match(text, /^event: error\ndata: [^\n]+\n\n$/)
  assert.deepEqual(JSON.parse(text.slice(text.indexOf('{'))), {
    type: 'error',
    error: { type: 'api_error', message: 'It broke.', details: { error_code: 'upstream_stream_interrupted' } },
    request_id: 'r1',
  })
})
