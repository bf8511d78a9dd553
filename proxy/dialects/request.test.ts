import assert from 'node:assert/strict'
import test from 'node:test'
import fc from 'fast-check'
import { chat } from './chat.ts'
import { bytewise, scanObject } from './json-scan.ts'
import { bodyFor, type RequestBody, readRequest } from './request.ts'

const read = (text: string): ReturnType<typeof readRequest> => readRequest(Buffer.from(text), chat)

function bodyOf(text: string): RequestBody {
  const result = read(text)
  assert.ok('body' in result, `not read: ${JSON.stringify(result)}`)
  return result.body
}

const codeOf = (text: string): string => {
  const result = read(text)
  return 'error' in result ? `${result.error.code} ${result.error.param ?? ''}`.trim() : 'read'
}

const sent = (text: string, to: Partial<Parameters<typeof bodyFor>[1]> = {}): string =>
  Buffer.from(
    bodyFor(bodyOf(text), { upstreamModel: 'up', clampOutputTokens: undefined, askUsage: true, engine: 'Generic', ...to }, chat),
  ).toString()

test('writes the upstream model and leaves every other byte as it was', () => {
  assert.equal(
    sent('{ "temperature" : 1.0e0,\n "model" :"auto" , "seed":12345678901234567890,"messages":[{"content":"h\\u00e9 \\"x\\""}] }'),
    '{ "temperature" : 1.0e0,\n "model" :"up" , "seed":12345678901234567890,"messages":[{"content":"h\\u00e9 \\"x\\""}] }',
  )
})

test('asks for usage on a stream that did not, and only there', () => {
  assert.equal(sent('{"model":"a","stream":true}'), '{"model":"up","stream":true,"stream_options":{"include_usage":true}}')
  assert.equal(
    sent('{"model":"a","stream":true,"stream_options":{"x":1}}'),
    '{"model":"up","stream":true,"stream_options":{"x":1,"include_usage":true}}',
  )
  assert.equal(
    sent('{"model":"a","stream":true,"stream_options":{"include_usage": true}}'),
    '{"model":"up","stream":true,"stream_options":{"include_usage": true}}',
  )
  assert.equal(sent('{"model":"a"}'), '{"model":"up"}')
  assert.equal(sent('{"model":"a","stream":true}', { askUsage: false }), '{"model":"up","stream":true}')
})

test('lowers the output limit, or adds one in the spelling of the engine', () => {
  assert.equal(sent('{"model":"a","max_tokens":9000}', { clampOutputTokens: 100 }), '{"model":"up","max_tokens":100}')
  assert.equal(sent('{"model":"a","max_tokens":-1}', { clampOutputTokens: 100 }), '{"model":"up","max_tokens":100}')
  assert.equal(sent('{"model":"a"}', { clampOutputTokens: 100 }), '{"model":"up","max_tokens":100}')
  assert.equal(sent('{"model":"a"}', { clampOutputTokens: 100, engine: 'OpenAI' }), '{"model":"up","max_completion_tokens":100}')
})

test('refuses a key that stands twice, also when one spelling is escaped', () => {
  assert.equal(codeOf('{"model":"a","model":"b"}'), 'invalid_value model')
  assert.equal(codeOf('{"model":"a","m\\u006fdel":"b"}'), 'invalid_value model')
  assert.equal(codeOf('{"model":"a","stream":true,"stream":false}'), 'invalid_value stream')
  assert.equal(codeOf('{"model":"a","user":"x","user":"y"}'), 'read')
})

test('refuses what is no JSON object', () => {
  for (const text of [
    '',
    'hello',
    '[]',
    '"x"',
    '{"model":"a"',
    '{"model":"a"} x',
    '{"model":"a",}',
    "{'model':'a'}",
    '{"model":"a","n":01}',
  ])
    assert.equal(codeOf(text), 'invalid_json', text)
})

test('names the field that is missing or of the wrong type', () => {
  assert.equal(codeOf('{}'), 'invalid_value model')
  assert.equal(codeOf('{"model":7}'), 'invalid_value model')
  assert.equal(codeOf('{"model":"a","stream":"yes"}'), 'invalid_value stream')
  assert.equal(codeOf('{"model":"a","max_tokens":1.5}'), 'invalid_value max_tokens')
})

test('reads needs from tools, images and output format', () => {
  const body = bodyOf(
    '{"model":"a","tools":[{"type":"function"}],"response_format":{"type":"json_schema"},"messages":[{"content":[{"type":"image_url"},{"type":"text","text":"abcd"}]}]}',
  )
  assert.deepEqual([...body.needs].sort(), ['chat', 'jsonSchema', 'tools', 'vision'])
})

test('estimates what words and characters of Chinese take in common vocabularies', () => {
  const english = bodyOf(`{"model":"a","messages":[{"content":"${'What is this? '.repeat(100)}"}]}`).promptTokens
  assert.ok(english > 300 && english < 500, String(english))
  const chinese = bodyOf(`{"model":"a","messages":[{"content":"${'你'.repeat(1000)}"}]}`).promptTokens
  assert.ok(chinese > 500 && chinese < 1000, String(chinese))
})

test('scans a body above one mebibyte without parsing it', () => {
  const body = bodyOf(`{"messages":[{"content":"${'x'.repeat(2_000_000)}"}],"model":"a","stream":true}`)
  assert.equal(body.model, 'a')
  assert.equal(body.stream, true)
  assert.ok(body.promptTokens > 400_000)
})

test('finds every top-level field of any JSON object where it stands', () => {
  fc.assert(
    fc.property(fc.dictionary(fc.string(), fc.jsonValue()), fc.constantFrom(undefined, 1, '\t'), (value, space) => {
      const text = JSON.stringify(value, null, space)
      const bytes = Buffer.from(text)
      const fields = scanObject(bytewise(bytes)) ?? []
      const found = fields.map(({ key, valueStart, valueEnd }) => [key, JSON.parse(bytes.subarray(valueStart, valueEnd).toString())])
      assert.deepEqual(found, Object.entries(JSON.parse(text)))
    }),
  )
})
