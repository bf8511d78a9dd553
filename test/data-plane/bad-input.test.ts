/** Requests that are wrong in themselves: each gets one typed JSON error, and no backend hears of it. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { Code } from '../../proxy/errors.ts'
import { type AskOptions, ask } from '../support/client.ts'
import { isError, isRawError } from '../support/errors.ts'
import { whole } from '../support/model-server/answers.ts'
import { type ModelServer, type ScriptedBackend, startModelServer } from '../support/model-server/model-server.ts'
import { type RunningProxy, startProxy } from '../support/proxy.ts'
import { rawClient } from '../support/raw.ts'
import { ROUTES } from '../support/routes.ts'
import { makeTable } from '../support/table.ts'

const MAX_BODY_BYTES = 200_000
const { chat } = ROUTES
const plain = chat.request('llama-70b', false)

let server: ModelServer
let backend: ScriptedBackend
let proxy: RunningProxy

before(async () => {
  server = startModelServer()
  backend = await server.open(whole(chat.answer(['well'])))
  const { url } = backend
  const models = {
    'llama-70b': { backends: [{ url, contextWindowTokens: 1000, maxOutput: { tokens: 100, onExceed: 'Refuse' as const } }] },
    'mistral-7b': { backends: [{ url }] },
  }
  proxy = await startProxy(makeTable({ models }), { args: ['--max-body-bytes', String(MAX_BODY_BYTES)] })
})
after(async () => {
  await proxy.close()
  await server.close()
})

interface Wrong {
  readonly ask: AskOptions
  readonly code: Code
  readonly param?: string
  readonly says?: RegExp
  readonly headers?: Readonly<Record<string, string>>
}

const json = (body: unknown): AskOptions => ({ body })

const WRONG: Readonly<Record<string, Wrong>> = {
  'no JSON': { ask: json('{"model": "llama-70b",'), code: 'invalid_json' },
  'JSON, but no object': { ask: json('[1, 2]'), code: 'invalid_json' },
  'an empty body': { ask: json(''), code: 'invalid_json' },
  'bytes that are no UTF-8': { ask: { headers: { 'content-type': 'application/json' }, body: undefined }, code: 'invalid_json' },
  'JSON with something behind it': { ask: json(`${JSON.stringify(plain)} x`), code: 'invalid_json' },
  'no model': { ask: json({ messages: [] }), code: 'invalid_value', param: 'model' },
  'a model that is no string': { ask: json({ ...plain, model: 7 }), code: 'invalid_value', param: 'model' },
  'the model twice': { ask: json('{"model":"llama-70b","model":"mistral-7b","messages":[]}'), code: 'invalid_value', param: 'model' },
  'the model twice, once in disguise': {
    ask: json('{"model":"llama-70b","mod\\u0065l":"mistral-7b","messages":[]}'),
    code: 'invalid_value',
    param: 'model',
  },
  'a stream that is no boolean': { ask: json({ ...plain, stream: 'yes' }), code: 'invalid_value', param: 'stream' },
  'max_tokens that is no number': { ask: json({ ...plain, max_tokens: 'many' }), code: 'invalid_value', param: 'max_tokens' },
  'more output than the model gives': {
    ask: json({ ...plain, max_tokens: 101 }),
    code: 'invalid_value',
    param: 'max_tokens',
    says: /At most 100/,
  },
  'a prompt that fits no window': {
    ask: json({ ...plain, messages: [{ role: 'user', content: 'word '.repeat(8000) }] }),
    code: 'context_length_exceeded',
    says: /1000 tokens/,
  },
  'a capability nobody has': {
    ask: { path: '/v1/embeddings', body: { model: 'llama-70b', input: 'x' } },
    code: 'unsupported_capability',
    says: /embeddings/,
  },
  'a misspelt model': { ask: json({ ...plain, model: 'lama-70b' }), code: 'model_not_found', param: 'model', says: /Nearest: llama-70b/ },
  'a model nothing is like': { ask: json({ ...plain, model: 'gpt-9' }), code: 'model_not_found', says: /GET \/v1\/models/ },
  'a model name of 100,000 characters': { ask: json({ ...plain, model: 'x'.repeat(100_000) }), code: 'model_not_found' },
  GET: { ask: { method: 'GET' }, code: 'method_not_allowed', headers: { allow: 'POST' } },
  DELETE: { ask: { method: 'DELETE' }, code: 'method_not_allowed', headers: { allow: 'POST' } },
  'POST to the model list': { ask: { path: '/v1/models', body: {} }, code: 'method_not_allowed', headers: { allow: 'GET, HEAD' } },
  'no content type': { ask: { ...json(plain), headers: { 'content-type': '' } }, code: 'unsupported_media_type' },
  'a form': {
    ask: { ...json('model=llama-70b'), headers: { 'content-type': 'application/x-www-form-urlencoded' } },
    code: 'unsupported_media_type',
  },
  'a content encoding': { ask: { ...json(plain), headers: { 'content-encoding': 'gzip' } }, code: 'unsupported_media_type' },
  'an unknown path': { ask: { path: '/v2/chat/completions', body: plain }, code: 'not_found' },
  'a path with an empty segment': { ask: { path: '/v1//score', body: plain }, code: 'not_found' },
  'a path that no route is known for, without a model': { ask: { path: '/v1/score', body: { text: 'x' } }, code: 'not_found' },
  'a path with a broken escape': { ask: { method: 'GET', path: '/v1/models/%E0%A4%A' }, code: 'not_found' },
  'a model that is not there': { ask: { method: 'GET', path: '/v1/models/nope' }, code: 'model_not_found' },
  'a pass-through that is off': { ask: { method: 'GET', path: '/upstream/llama-70b/health' }, code: 'model_not_found' },
  'a body over the limit': { ask: json({ ...plain, padding: 'x'.repeat(MAX_BODY_BYTES) }), code: 'payload_too_large', says: /200000/ },
}

describe('one typed error, and no backend hears of it', () => {
  for (const [name, wrong] of Object.entries(WRONG)) {
    test(name, async () => {
      const body = name === 'bytes that are no UTF-8' ? undefined : wrong.ask.body
      const got = body === undefined && wrong.code === 'invalid_json' ? await invalidUtf8() : await ask(proxy.url, wrong.ask)
      const said = isError(got, wrong.code)
      if (wrong.param !== undefined) assert.equal(said['param'], wrong.param)
      if (wrong.says !== undefined) assert.match(String(said['message']), wrong.says)
      for (const [header, value] of Object.entries(wrong.headers ?? {})) assert.equal(got.headers[header], value)
      assert.ok(got.body.length < 2000)
    })
  }
  test('no backend heard of any of them', async () => assert.equal((await backend.seen()).length, 0))
})

async function invalidUtf8(): Promise<{ status: number; headers: Record<string, string>; body: string }> {
  const response = await fetch(`${proxy.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: Buffer.from([0x7b, 0xff, 0x7d]),
  })
  return { status: response.status, headers: Object.fromEntries(response.headers), body: await response.text() }
}

describe('a body over the limit that is still being sent', () => {
  const head = (framing: string): string =>
    `POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n${framing}\r\n\r\n`

  test('announced: the answer comes before the body', async () => {
    const client = rawClient(proxy.port)
    client.send(head('content-length: 900000'))
    isRawError(await client.until((text) => text.endsWith('}')), 'payload_too_large')
    client.destroy()
  })

  test('announced, and sent without looking: the client can read the answer when it is done', async () => {
    const client = rawClient(proxy.port)
    client.send(head('content-length: 4000000'))
    client.send('x'.repeat(4_000_000))
    isRawError((await client.closed()).text, 'payload_too_large')
  })

  test('in chunks, unannounced', async () => {
    const client = rawClient(proxy.port)
    client.send(head('transfer-encoding: chunked'))
    for (let sent = 0; sent < 8; sent++) client.send(`10000\r\n${'x'.repeat(65_536)}\r\n`)
    client.send('0\r\n\r\n')
    isRawError((await client.closed()).text, 'payload_too_large')
  })

  test('without end: the connection is cut in the end', async () => {
    const client = rawClient(proxy.port)
    client.send(head('transfer-encoding: chunked'))
    const timer = setInterval(() => client.send(`10000\r\n${'x'.repeat(65_536)}\r\n`), 5)
    try {
      isRawError((await client.closed(8000)).text, 'payload_too_large')
    } finally {
      clearInterval(timer)
    }
  })
})

test('a good request after all of that', async () => {
  const got = await ask(proxy.url, {
    body: plain,
    headers: { 'content-type': 'application/json; charset=utf-8', 'x-request-id': 'my-own.id_1' },
  })
  assert.equal(got.status, 200)
  assert.equal(got.headers['x-request-id'], 'my-own.id_1')
})
