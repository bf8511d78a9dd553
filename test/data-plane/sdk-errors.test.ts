/**
 * Errors as the official SDKs raise them, in JavaScript and in Python: one class each, with our code; what has been tried here is not tried
 * again by the SDK; where waiting helps the SDK waits as it is told.
 */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import Anthropic, { APIError as AnthropicError } from '@anthropic-ai/sdk'
import OpenAI, { APIError } from 'openai'
import { CLOSE, chunk, error, streamHead, whole } from '../support/model-server/answers.ts'
import { type ModelServer, type ScriptedBackend, startModelServer } from '../support/model-server/model-server.ts'
import type { Answer } from '../support/model-server/script.ts'
import { type RunningProxy, startProxy } from '../support/proxy.ts'
import { askInPython, type PythonCase, type PythonOutcome } from '../support/python-sdks/ask.ts'
import { ROUTES, WORDS } from '../support/routes.ts'
import { makeTable } from '../support/table.ts'

interface Expected {
  /** The class in both SDKs of OpenAI; Anthropic's have the same. */
  readonly raises: string
  readonly status: number
  readonly code: string
  /** How many requests the backend gets, whatever the SDK would do. */
  readonly tries: number
  readonly answer: Answer
}

/** Backends that always fail, each in its own way. The SDKs may try twice more. */
const FAULTS: Readonly<Record<string, Expected>> = {
  'wrong-value': { raises: 'BadRequestError', status: 400, code: 'invalid_value', tries: 1, answer: error(400, null, 'no') },
  unprocessable: { raises: 'UnprocessableEntityError', status: 422, code: 'invalid_value', tries: 1, answer: error(422, null, 'no') },
  'too-long': {
    raises: 'BadRequestError',
    status: 400,
    code: 'context_length_exceeded',
    tries: 1,
    answer: error(400, 'context_length_exceeded', 'no'),
  },
  filtered: { raises: 'BadRequestError', status: 400, code: 'content_filter', tries: 1, answer: error(400, 'content_filter', 'no') },
  'bad-key': {
    raises: 'InternalServerError',
    status: 502,
    code: 'upstream_credentials_rejected',
    tries: 1,
    answer: error(401, null, 'no'),
  },
  'no-money': {
    raises: 'InternalServerError',
    status: 502,
    code: 'upstream_credentials_rejected',
    tries: 1,
    answer: error(429, 'insufficient_quota', 'no'),
  },
  broken: { raises: 'InternalServerError', status: 502, code: 'upstream_error', tries: 2, answer: error(500, null, 'no') },
  'no-model': { raises: 'InternalServerError', status: 502, code: 'upstream_error', tries: 1, answer: error(404, 'model_not_found', 'no') },
  nonsense: { raises: 'InternalServerError', status: 502, code: 'upstream_error', tries: 2, answer: whole('<html>') },
}

let server: ModelServer
let proxy: RunningProxy
let guarded: RunningProxy
let limited: ScriptedBackend
let cut: Readonly<Record<'openai' | 'anthropic', ScriptedBackend>>
const backends = new Map<string, ScriptedBackend>()
const LIMITED: Answer = error(429, 'rate_limit_exceeded', 'slowly', { 'retry-after-ms': 1500 })

before(async () => {
  server = startModelServer()
  for (const [name, { answer }] of Object.entries(FAULTS))
    for (const sdk of ['js', 'anthropic-js', 'openai', 'anthropic']) backends.set(`${sdk}-${name}`, await server.open(answer))
  limited = await server.open(LIMITED)
  cut = { openai: await server.open(cutOff(CHAT_EVENTS)), anthropic: await server.open(cutOff(MESSAGE_EVENTS)) }
  const models = Object.fromEntries([
    ...[...backends].map(([name, { url }]) => [name, { backends: [{ url, ...(name.startsWith('anthropic') && ANTHROPIC) }] }] as const),
    ['cut', { backends: [{ url: cut.openai.url }, { url: cut.anthropic.url, name: 'a', ...ANTHROPIC }] }] as const,
    ['limited', { backends: [{ url: limited.url }, { url: limited.url, name: 'a', ...ANTHROPIC }] }] as const,
  ])
  proxy = await startProxy(makeTable({ models }))
  guarded = await startProxy(makeTable({ models }), { auth: 'Required' })
})
after(async () => {
  await proxy.close()
  await guarded.close()
  await server.close()
})

const ANTHROPIC = { dialect: 'Anthropic' } as const
const cutOff = (events: readonly string[]): Answer => [streamHead(), ...events.map(chunk), CLOSE]
const { begin, words } = ROUTES.chat.events(WORDS)
const CHAT_EVENTS = [...begin, ...words.slice(0, 40)]
const named = (event: Readonly<Record<string, unknown>>): string => `event: ${String(event['type'])}\ndata: ${JSON.stringify(event)}\n\n`
const MESSAGE = { type: 'message', id: 'm', role: 'assistant', model: 'm', usage: { input_tokens: 1, output_tokens: 1 } }
const MESSAGE_EVENTS = [
  named({ type: 'message_start', message: { ...MESSAGE, content: [], stop_reason: null } }),
  named({ type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' } }),
  ...WORDS.slice(0, 40).map((text) => named({ type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text } })),
]
const messages = [{ role: 'user' as const, content: 'hi' }]
const hits = async (name: string): Promise<number | undefined> => (await backends.get(name)?.seen())?.length

describe('openai in JavaScript', () => {
  const client = (url: string, maxRetries = 2): OpenAI => new OpenAI({ baseURL: `${url}/v1`, apiKey: 'none', maxRetries })
  const failure = async (url: string, model: string): Promise<APIError> => {
    const raised = await client(url)
      .chat.completions.create({ model, messages })
      .then(
        () => assert.fail('it should have failed'),
        (thrown: unknown) => thrown,
      )
    assert.ok(raised instanceof APIError, String(raised))
    return raised
  }

  for (const [name, { raises, status, code, tries }] of Object.entries(FAULTS)) {
    test(name, async () => {
      const raised = await failure(proxy.url, `js-${name}`)
      assert.deepEqual([raised.constructor.name, raised.status, raised.code], [raises, status, code])
      assert.equal(typeof raised.requestID, 'string')
      assert.equal(await hits(`js-${name}`), tries)
    })
  }

  test('a model that is not there, a key that is not known', async () => {
    const missing = await failure(proxy.url, 'nope')
    assert.deepEqual([missing.constructor.name, missing.code, missing.param], ['NotFoundError', 'model_not_found', 'model'])
    const stranger = await failure(guarded.url, 'limited')
    assert.deepEqual([stranger.constructor.name, stranger.code], ['AuthenticationError', 'invalid_api_key'])
  })

  test('a limit: the SDK waits as long as it is told, and is answered', async () => {
    await limited.script(LIMITED, whole(ROUTES.chat.answer(['well'])))
    const startMs = Date.now()
    const answer = await client(proxy.url, 1).chat.completions.create({ model: 'limited', messages }, { headers: SHORT })
    assert.equal(answer.choices[0]?.message.content, 'well')
    assert.ok(Date.now() - startMs >= 1400, `after ${Date.now() - startMs} ms`)
  })
})

/** Too short for the proxy to wait itself. */
const SHORT = { 'x-llama-swap-timeout': '1s' }

describe('anthropic in JavaScript', () => {
  const client = (maxRetries = 2): Anthropic => new Anthropic({ baseURL: proxy.url, apiKey: 'none', maxRetries })
  const question = (model: string) => ({ model, max_tokens: 9, messages })

  for (const [name, { raises, status, tries, code }] of Object.entries(FAULTS)) {
    test(name, async () => {
      const raised = await client()
        .messages.create(question(`anthropic-js-${name}`))
        .catch((thrown: unknown) => thrown)
      assert.ok(raised instanceof AnthropicError, String(raised))
      assert.deepEqual([raised.constructor.name, raised.status], [raises, status])
      assert.equal(typeof raised.requestID, 'string')
      assert.match(JSON.stringify(raised.error), new RegExp(`"error_code":"${code}"`))
      assert.equal(await hits(`anthropic-js-${name}`), tries)
    })
  }

  test('a limit: the SDK waits as long as it is told, and is answered', async () => {
    await limited.script(LIMITED, whole({ ...MESSAGE, content: [{ type: 'text', text: 'well' }], stop_reason: 'end_turn' }))
    const startMs = Date.now()
    const answer = await client(1).messages.create(question('limited'), { headers: SHORT })
    assert.deepEqual(answer.content[0], { type: 'text', text: 'well' })
    assert.ok(Date.now() - startMs >= 1400, `after ${Date.now() - startMs} ms`)
  })
})

describe('openai and anthropic in Python', () => {
  let outcomes: ReadonlyMap<string, PythonOutcome>

  before(async () => {
    const cases: [string, PythonCase][] = []
    for (const sdk of ['openai', 'anthropic'] as const) {
      for (const name of Object.keys(FAULTS)) cases.push([`${sdk} ${name}`, { sdk, model: `${sdk}-${name}`, retries: 2 }])
      cases.push([`${sdk} cut`, { sdk, model: 'cut', stream: true, retries: 2 }])
      cases.push([`${sdk} missing`, { sdk, model: 'nope', retries: 2 }])
      cases.push([`${sdk} stranger`, { sdk, model: 'limited', url: guarded.url, retries: 2 }])
    }
    const found = await askInPython(
      proxy.url,
      cases.map(([, one]) => one),
    )
    outcomes = new Map(cases.map(([name], index) => [name, found[index] ?? {}]))
  })

  for (const sdk of ['openai', 'anthropic'] as const) {
    for (const [name, { raises, status, code, tries }] of Object.entries(FAULTS)) {
      test(`${sdk}: ${name}`, async () => {
        const { raised, status: got, code: said, request_id: id } = outcomes.get(`${sdk} ${name}`) ?? {}
        assert.deepEqual([raised, got, said, typeof id], [raises, status, code, 'string'])
        assert.equal(await hits(`${sdk}-${name}`), tries)
      })
    }

    test(`${sdk}: a stream that is cut off is raised, and not asked for again`, async () => {
      const { raised, code } = outcomes.get(`${sdk} cut`) ?? {}
      assert.match(String(raised), /^API(Status)?Error$|^InternalServerError$/)
      assert.equal(code, 'upstream_stream_interrupted')
      assert.equal((await cut[sdk].seen()).length, 1)
    })

    test(`${sdk}: a model that is not there, a key that is not known`, () => {
      const { raised, code } = outcomes.get(`${sdk} missing`) ?? {}
      assert.deepEqual([raised, code], ['NotFoundError', 'model_not_found'])
      const stranger = outcomes.get(`${sdk} stranger`) ?? {}
      assert.deepEqual([stranger['raised'], stranger['code']], ['AuthenticationError', 'invalid_api_key'])
    })

    test(`${sdk}: a limit: the SDK waits as long as it is told, and is answered`, async () => {
      await limited.script(
        LIMITED,
        whole(
          sdk === 'openai'
            ? ROUTES.chat.answer(['well'])
            : { ...MESSAGE, content: [{ type: 'text', text: 'well' }], stop_reason: 'end_turn' },
        ),
      )
      const [answer] = await askInPython(proxy.url, [{ sdk, model: 'limited', retries: 1, headers: SHORT }])
      assert.equal(answer?.['text'], 'well', JSON.stringify(answer))
      assert.ok(Number(answer['took_ms']) >= 1400, `after ${String(answer['took_ms'])} ms`)
    })
  }
})
