/** Every route but chat, completions and responses: who serves it, what goes there byte for byte, and what comes back. */
import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { after, before, beforeEach, describe, test } from 'node:test'
import { ask, type Got } from '../support/client.ts'
import { isError } from '../support/errors.ts'
import { type RunningProxy, startProxy } from '../support/proxy.ts'
import { jsonOf } from '../support/routes.ts'
import { makeTable } from '../support/table.ts'

interface Heard {
  readonly port: number
  readonly method: string
  readonly url: string
  readonly headers: IncomingMessage['headers']
  readonly body: Buffer
}

type Answer = (response: ServerResponse, heard: Heard) => void

/** What the engine says to the next requests, the last for all that follow. */
let answers: Answer[] = []
let heard: Heard[] = []
let proxy: RunningProxy
/** A form that is cut off is not heard. */
const engines = [0, 1].map(() => createServer((request, response) => void serve(request, response).catch(() => {})))

async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const chunks: Buffer[] = []
  for await (const chunk of request) if (Buffer.isBuffer(chunk)) chunks.push(chunk)
  const { method = '', url = '', headers, socket } = request
  const one = { port: socket.localPort ?? 0, method, url, headers, body: Buffer.concat(chunks) }
  heard.push(one)
  const answer = answers.length > 1 ? answers.shift() : answers[0]
  answer?.(response, one)
}

const says =
  (body: string | object, contentType = 'application/json', status = 200): Answer =>
  (response) => {
    response.writeHead(status, { 'content-type': contentType })
    response.end(typeof body === 'string' ? body : JSON.stringify(body))
  }

const portOf = (index: number): number => {
  const address = engines[index]?.address()
  return typeof address === 'object' && address !== null ? address.port : 0
}

before(async () => {
  for (const engine of engines) await new Promise<void>((resolve) => engine.listen(0, '127.0.0.1', resolve))
  const [openAi, anthropic] = engines.map((_, index) => `http://127.0.0.1:${portOf(index)}`)
  const url = String(openAi)
  const speaks = { url: String(anthropic), dialect: 'Anthropic' } as const
  proxy = await startProxy(
    makeTable({
      models: {
        claude: { backends: [{ ...speaks, upstreamModel: 'claude-up', keys: ['sk-operator'], auth: { header: 'x-api-key', scheme: '' } }] },
        both: {
          backends: [
            { url, capabilities: ['chat'] },
            { ...speaks, name: 'a' },
          ],
        },
        plain: { backends: [{ url, upstreamModel: 'plain-up', capabilities: ['chat', 'rerank', 'audio'] }] },
        quiet: { backends: [{ url }] },
        billed: {
          backends: [{ url, keys: ['sk-operator'], upstreamModel: 'billed-up' }],
          extraRoutes: [
            { method: 'POST', path: '/v1/batches' },
            { method: 'GET', path: '/v1/files' },
            { method: 'DELETE', path: '/tokenizer' },
          ],
        },
      },
    }),
    { args: ['--max-body-bytes', '3000000'] },
  )
})
after(async () => {
  await proxy.close()
  for (const engine of engines) {
    engine.closeAllConnections()
    engine.close()
  }
})
beforeEach(() => {
  heard = []
  answers = [says({ ok: true })]
})

const post = (path: string, body: unknown, headers: Readonly<Record<string, string>> = {}): Promise<Got> =>
  ask(proxy.url, { path, body, headers })

function onlyHeard(): Heard {
  const [first] = heard
  assert.ok(first !== undefined && heard.length === 1, `${heard.length} requests`)
  return first
}

const named = (event: Readonly<Record<string, unknown>>): string => `event: ${String(event['type'])}\ndata: ${JSON.stringify(event)}\n\n`
const START = named({
  type: 'message_start',
  message: {
    id: 'msg_1',
    type: 'message',
    role: 'assistant',
    content: [],
    usage: { input_tokens: 5, cache_read_input_tokens: 20, output_tokens: 1 },
  },
})
const delta = (text: string): string => named({ type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text } })
const FINISH = named({ type: 'message_delta', delta: { stop_reason: 'end_turn' }, usage: { output_tokens: 7 } })
const STOP = named({ type: 'message_stop' })
const events = (...list: string[]): Answer => says(list.join(''), 'text/event-stream')
const MESSAGE = { model: 'claude', max_tokens: 9, messages: [{ role: 'user', content: 'hi' }] }

describe('/v1/messages', () => {
  test('reaches a backend that speaks it, with its version and key, and without the client’s', async () => {
    answers = [says({ type: 'message', content: [], usage: { input_tokens: 5, cache_read_input_tokens: 20, output_tokens: 7 } })]
    const got = await post('/v1/messages', MESSAGE, { 'x-api-key': 'sk-client', 'anthropic-beta': 'b1', 'x-request-id': 'messages-1' })
    const { url, headers, body, port } = onlyHeard()
    assert.deepEqual([got.status, port, url], [200, portOf(1), '/v1/messages'])
    assert.deepEqual(
      [headers['anthropic-version'], headers['anthropic-beta'], headers['x-api-key'], headers.authorization],
      ['2023-06-01', 'b1', 'sk-operator', undefined],
    )
    assert.equal(body.toString(), JSON.stringify({ ...MESSAGE, model: 'claude-up' }))
    assert.equal(got.headers['request-id'], 'messages-1')
    const line = await proxy.accessLine('messages-1')
    assert.deepEqual([line['route'], line['input_tokens'], line['cached_input_tokens'], line['output_tokens']], ['messages', 25, 20, 7])
  })

  test('the client’s own version passes', async () => {
    await post('/v1/messages', MESSAGE, { 'anthropic-version': '2099-01-01' })
    assert.equal(onlyHeard().headers['anthropic-version'], '2099-01-01')
  })

  test('a stream passes byte for byte, and its usage is known', async () => {
    answers = [events(START, delta('a'), delta('b'), FINISH, STOP)]
    const got = await post('/v1/messages', { ...MESSAGE, stream: true }, { 'x-request-id': 'messages-2' })
    assert.equal(got.body, [START, delta('a'), delta('b'), FINISH, STOP].join(''))
    const line = await proxy.accessLine('messages-2')
    assert.deepEqual([line['input_tokens'], line['cached_input_tokens'], line['output_tokens']], [25, 20, 7])
  })

  test('a stream with its stop reason, but without its last event, gets that one', async () => {
    answers = [events(START, delta('a'), FINISH)]
    const got = await post('/v1/messages', { ...MESSAGE, stream: true })
    assert.equal(got.body.endsWith('event: message_stop\ndata: {"type":"message_stop"}\n\n'), true, got.body)
  })

  test('a stream that is cut off ends in an event named error', async () => {
    answers = [events(START, delta('a'))]
    const got = await post('/v1/messages', { ...MESSAGE, stream: true }, { 'x-request-id': 'messages-3' })
    const last = got.body.split('\n\n').at(-2) ?? ''
    assert.match(last, /^event: error\n/)
    assert.deepEqual(jsonOf(last.slice(last.indexOf('{')))['request_id'], 'messages-3')
    assert.doesNotMatch(got.body, /message_stop/)
    assert.equal((await proxy.accessLine('messages-3'))['error_type'], 'upstream_stream_interrupted')
  })

  test('an error in the first event is no answer: the next attempt is', async () => {
    const overloaded = named({ type: 'error', error: { type: 'overloaded_error', message: 'Overloaded' } })
    answers = [events(START, overloaded), events(START, delta('a'), FINISH, STOP)]
    const got = await post('/v1/messages', { ...MESSAGE, stream: true })
    assert.equal(got.body.includes('overloaded'), false)
    assert.equal(heard.length, 2)
  })

  test('count_tokens', async () => {
    answers = [says({ input_tokens: 12 })]
    const got = await post('/v1/messages/count_tokens', { model: 'both', messages: [] })
    assert.deepEqual([got.body, onlyHeard().url, onlyHeard().port], ['{"input_tokens":12}', '/v1/messages/count_tokens', portOf(1)])
  })

  test('chat of the same model goes to the backend that speaks it', async () => {
    answers = [says({ choices: [{ index: 0, message: { role: 'assistant', content: 'well' }, finish_reason: 'stop' }] })]
    await post('/v1/chat/completions', { model: 'both', messages: [] })
    assert.equal(onlyHeard().port, portOf(0))
  })
})

function isAnthropicError(got: Got, status: number, type: string, code: string): void {
  assert.equal(got.status, status, got.body)
  const { type: outer, error, request_id: requestId, ...more } = jsonOf(got.body)
  assert.deepEqual([outer, more, requestId], ['error', {}, got.headers['request-id']])
  assert.ok(typeof error === 'object' && error !== null && 'message' in error && 'details' in error && 'type' in error)
  assert.deepEqual([error.type, error.details], [type, { error_code: code }])
  assert.equal(got.headers['x-request-id'], got.headers['request-id'])
}

describe('errors under /v1/messages have the shape of Anthropic', () => {
  test('bad JSON, an unknown model, a wrong method, a path below', async () => {
    isAnthropicError(await post('/v1/messages', '{'), 400, 'invalid_request_error', 'invalid_json')
    isAnthropicError(await post('/v1/messages', { ...MESSAGE, model: 'nope' }), 404, 'not_found_error', 'model_not_found')
    isAnthropicError(await ask(proxy.url, { method: 'GET', path: '/v1/messages' }), 405, 'invalid_request_error', 'method_not_allowed')
    isAnthropicError(await ask(proxy.url, { method: 'GET', path: '/v1/messages/batches' }), 404, 'not_found_error', 'not_found')
    isAnthropicError(
      await post('/v1/messages', 'x', { 'content-type': 'text/plain' }),
      415,
      'invalid_request_error',
      'unsupported_media_type',
    )
  })

  test('a model that speaks another API', async () => {
    isAnthropicError(await post('/v1/messages', { ...MESSAGE, model: 'plain' }), 400, 'invalid_request_error', 'unsupported_capability')
    isError(await post('/v1/chat/completions', { model: 'claude', messages: [] }), 'unsupported_capability')
  })

  const UPSTREAM: readonly (readonly [number, object, number, string, string])[] = [
    [
      400,
      { error: { code: 400, message: "'messages' is required", type: 'invalid_request_error' } },
      400,
      'invalid_request_error',
      'invalid_value',
    ],
    [401, { type: 'error', error: { type: 'authentication_error', message: 'no' } }, 502, 'api_error', 'upstream_credentials_rejected'],
    [429, { type: 'error', error: { type: 'rate_limit_error', message: 'no' } }, 429, 'rate_limit_error', 'upstream_rate_limited'],
    [529, { type: 'error', error: { type: 'overloaded_error', message: 'no' } }, 529, 'overloaded_error', 'upstream_overloaded'],
    [500, { type: 'error', error: { type: 'api_error', message: 'no' } }, 502, 'api_error', 'upstream_error'],
    [413, { type: 'error', error: { type: 'request_too_large', message: 'no' } }, 400, 'invalid_request_error', 'context_length_exceeded'],
  ]
  for (const [said, body, status, type, code] of UPSTREAM) {
    test(`a ${said} of the engine, whatever its shape`, async () => {
      answers = [says(body, 'application/json', said)]
      const own = await startProxy(
        makeTable({ models: { claude: { backends: [{ url: `http://127.0.0.1:${portOf(1)}`, dialect: 'Anthropic' }] } } }),
      )
      try {
        isAnthropicError(await ask(own.url, { path: '/v1/messages', body: MESSAGE }), status, type, code)
      } finally {
        await own.close()
      }
    })
  }
})

describe('rerank and moderations', () => {
  for (const path of ['/v1/rerank', '/rerank', '/v2/rerank', '/v1/reranking', '/reranking']) {
    test(`${path} is sent on as /v1/rerank`, async () => {
      answers = [says({ results: [{ index: 0, relevance_score: 1 }], usage: { prompt_tokens: 4, total_tokens: 4 } })]
      const got = await post(
        path,
        { model: 'plain', query: 'a', documents: ['b'] },
        { 'x-request-id': `rerank-${path.replaceAll('/', '-')}` },
      )
      assert.deepEqual([got.status, onlyHeard().url, jsonOf(onlyHeard().body.toString())['model']], [200, '/v1/rerank', 'plain-up'])
    })
  }

  test('rerank needs its capability, moderations none', async () => {
    isError(await post('/v1/rerank', { model: 'quiet', query: 'a', documents: ['b'] }), 'unsupported_capability')
    assert.equal((await post('/v1/moderations', { model: 'quiet', input: 'a' })).status, 200)
  })
})

const BOUNDARY = 'XbX'
const FORM = { 'content-type': `multipart/form-data; boundary=${BOUNDARY}` }
const field = (name: string, value: string): string => `--${BOUNDARY}\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`
const file = (bytes: string): string =>
  `--${BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\nContent-Type: audio/wav\r\n\r\n${bytes}\r\n`
const END = `--${BOUNDARY}--\r\n`
const sha = (bytes: Buffer | string): string => createHash('sha256').update(bytes).digest('hex')
const noise = (bytes: number): string => randomBytes(bytes / 2).toString('hex')

describe('forms', () => {
  test('the model is found behind the file and written anew; every other byte stays', async () => {
    answers = [says({ text: 'hello' })]
    const sound = noise(400_000)
    const got = await post('/v1/audio/transcriptions', file(sound) + field('model', 'plain') + END, FORM)
    assert.deepEqual([got.status, got.body], [200, '{"text":"hello"}'])
    assert.equal(sha(onlyHeard().body), sha(file(sound) + field('model', 'plain-up') + END))
    assert.equal(onlyHeard().headers['content-type'], FORM['content-type'])
  })

  test('a form that is kept is sent again', async () => {
    answers = [says({ error: { message: 'oops' } }, 'application/json', 500), says({ text: 'hello' })]
    const form = field('model', 'plain') + file(noise(500_000)) + END
    assert.equal((await post('/v1/audio/transcriptions', form, FORM)).status, 200)
    assert.deepEqual([heard.length, sha(heard[0]?.body ?? '')], [2, sha(heard[1]?.body ?? '')])
  })

  test('one larger than what is kept passes through, once, larger than any JSON may be', async () => {
    answers = [says({ error: { message: 'oops' } }, 'application/json', 500), says({ text: 'hello' })]
    const form = field('model', 'plain') + file(noise(20_000_000)) + END
    const got = await post('/v1/audio/transcriptions', form, { ...FORM, 'x-request-id': 'upload-1' })
    isError(got, 'upstream_error')
    assert.equal(sha(onlyHeard().body), sha(form.replace('plain', 'plain-up')))
    assert.equal(onlyHeard().headers['content-length'], String(form.length + 3))
    const again = await post('/v1/audio/transcriptions', form, FORM)
    assert.deepEqual([again.status, heard.length], [200, 2])
  })

  test('a model that comes too late, twice, or never', async () => {
    isError(await post('/v1/audio/transcriptions', file(noise(3_100_000)) + field('model', 'plain') + END, FORM), 'payload_too_large')
    isError(await post('/v1/audio/transcriptions', field('model', 'plain') + field('model', 'quiet') + END, FORM), 'invalid_value')
    isError(await post('/v1/audio/transcriptions', file('x') + END, FORM), 'invalid_value')
    isError(await post('/v1/audio/transcriptions', field('model', 'plain') + file('x'), FORM), 'invalid_value')
    assert.equal(heard.length, 0)
  })

  test('a second model in what passes through: the engine gets no whole form', async () => {
    const form = field('model', 'plain') + file(noise(2_000_000)) + field('model', 'quiet') + END
    isError(await post('/v1/audio/transcriptions', form, FORM), 'invalid_value')
    assert.equal(heard.length, 0, 'the engine never saw the end')
  })

  test('JSON where only a form will do', async () => {
    isError(await post('/v1/audio/transcriptions', { model: 'plain' }), 'unsupported_media_type')
    assert.equal((await post('/v1/images/edits', { model: 'plain', prompt: 'x' })).status, 200)
    assert.equal((await post('/v1/images/edits', field('model', 'plain') + END, FORM)).status, 200)
    assert.equal((await post('/v1/images/generations', { model: 'plain', prompt: 'x' })).status, 200)
    assert.equal((await post('/v1/images/variations', field('model', 'plain') + END, FORM)).status, 200)
  })

  test('bytes held are back at zero', async () => {
    assert.match(await (await fetch(`${proxy.metricsUrl}/metrics`)).text(), /^llama_swap_held_bytes 0$/m)
  })
})

describe('answers that are no JSON', () => {
  const SPEECH = { model: 'plain', input: 'hi', voice: 'x' }

  test('sound passes as it comes, with its type', async () => {
    const release = Promise.withResolvers<void>()
    answers = [
      (response) => {
        response.writeHead(200, { 'content-type': 'audio/mpeg' })
        response.write('first')
        void release.promise.then(() => response.end('second'))
      },
    ]
    const answer = await fetch(`${proxy.url}/v1/audio/speech`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(SPEECH),
    })
    const reader = answer.body?.getReader()
    const first = await reader?.read()
    assert.equal(Buffer.from(first?.value ?? []).toString(), 'first')
    release.resolve()
    assert.equal(Buffer.from((await reader?.read())?.value ?? []).toString(), 'second')
    assert.equal(answer.headers.get('content-type'), 'audio/mpeg')
  })

  test('sound that breaks off is no whole answer', async () => {
    answers = [
      (response) => {
        response.writeHead(200, { 'content-type': 'audio/mpeg' })
        response.write('first', () => response.destroy())
      },
    ]
    const got = await post('/v1/audio/speech', SPEECH)
    assert.deepEqual([got.status, got.whole], [200, false])
  })

  test('a page where sound should be is a failure', async () => {
    answers = [says('<html>no</html>', 'text/html')]
    isError(await post('/v1/audio/speech', SPEECH), 'upstream_error')
  })

  test('subtitles pass with their type', async () => {
    answers = [says('WEBVTT\n', 'text/vtt')]
    const got = await post('/v1/audio/transcriptions', field('model', 'plain') + field('response_format', 'vtt') + file('x') + END, FORM)
    assert.deepEqual([got.body, got.headers['content-type']], ['WEBVTT\n', 'text/vtt'])
  })

  test('a transcript as a stream, whole and cut off', async () => {
    const word = named({ type: 'transcript.text.delta', delta: 'a' })
    const done = named({ type: 'transcript.text.done', text: 'a' })
    const form = field('model', 'plain') + field('stream', 'true') + file('x') + END
    answers = [events(word, done), events(word)]
    assert.equal((await post('/v1/audio/transcriptions', form, FORM)).body, word + done)
    assert.match((await post('/v1/audio/transcriptions', form, FORM)).body, /event: error\n.*upstream_stream_interrupted/)
  })
})

describe('other routes', () => {
  test('any POST below /v1 goes where no credential would go along', async () => {
    answers = [says([1, 2], 'application/x-numbers')]
    const got = await post('/v1/score?x=1', { model: 'plain', text: 'a' }, { 'x-request-id': 'score' })
    assert.deepEqual([got.status, got.body, got.headers['content-type']], [200, '[1,2]', 'application/x-numbers'])
    assert.deepEqual([onlyHeard().url, onlyHeard().body.toString()], ['/v1/score?x=1', '{"model":"plain-up","text":"a"}'])
    assert.deepEqual([(await proxy.accessLine('score'))['route'], (await proxy.accessLine('score'))['path']], ['other', '/v1/score'])
  })

  test('with a credential only what the model lists', async () => {
    isError(await post('/v1/score', { model: 'billed' }), 'not_found')
    assert.equal(heard.length, 0)
    assert.equal((await post('/v1/batches', { model: 'billed' })).status, 200)
    assert.equal(onlyHeard().headers.authorization, 'Bearer sk-operator')
  })

  test('without a body the query names the model', async () => {
    const got = await ask(proxy.url, { method: 'GET', path: '/v1/files?limit=2&model=billed' })
    assert.deepEqual([got.status, onlyHeard().method, onlyHeard().url], [200, 'GET', '/v1/files?limit=2&model=billed-up'])
    assert.equal(onlyHeard().headers['content-type'], undefined)
  })

  test('a path that is not below /v1 stands beside it', async () => {
    answers = [(response) => response.writeHead(204).end()]
    const got = await ask(proxy.url, { method: 'DELETE', path: '/tokenizer?model=billed' })
    assert.deepEqual([got.status, got.body, onlyHeard().method, onlyHeard().url], [204, '', 'DELETE', '/tokenizer?model=billed-up'])
  })

  test('what is not listed, and what names no model or two', async () => {
    isError(await ask(proxy.url, { method: 'GET', path: '/v1/files' }), 'not_found')
    isError(await ask(proxy.url, { method: 'GET', path: '/v1/files?model=plain' }), 'not_found')
    isError(await ask(proxy.url, { method: 'GET', path: '/v1/nothing?model=plain' }), 'not_found')
    isError(await ask(proxy.url, { method: 'GET', path: '/v1/files?model=billed&model=plain' }), 'invalid_value')
    isError(await post('/v1/score?model=quiet', { model: 'plain' }), 'invalid_value')
    assert.equal(heard.length, 0)
  })

  test('a form with a model', async () => {
    assert.equal((await post('/v1/anything', field('model', 'plain') + END, FORM)).status, 200)
    assert.equal(onlyHeard().body.toString(), field('model', 'plain-up') + END)
  })
})
