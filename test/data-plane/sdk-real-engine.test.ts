/**
 * The official OpenAI SDK through the proxy to a real llama-server: the same answers as without the proxy. The only differences allowed are
 * listed here. Needs the fetched engine.
 */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import OpenAI, { APIError, APIUserAbortError, NotFoundError } from 'openai'
import { type RunningEngine, startEngine } from '../support/engine/engine.ts'
import { messagesOf, type WireMessage } from '../support/http-text.ts'
import { type RunningProxy, startProxy } from '../support/proxy.ts'
import { type RecordingRelay, startRecordingRelay } from '../support/recording-relay.ts'
import { makeTable } from '../support/table.ts'

/** All that an engine sees of a request's head: nothing else of the client's, above all no credential. */
const REQUEST_HEADERS = ['accept', 'accept-encoding', 'connection', 'content-length', 'content-type', 'host', 'user-agent', 'x-request-id']
/** What differs between two answers of the same engine to the same question. */
const UNSTABLE = /"(id|item_id|created|created_at|completed_at|timings|cached_tokens|system_fingerprint)":("[^"]*"|[0-9]+|\{[^}]*\})/g
/** The head of an answer: the engine's content type, and ours. */
const RESPONSE_HEADERS = ['connection', 'content-length', 'content-type', 'date', 'keep-alive', 'transfer-encoding', 'x-request-id']
const STREAM_HEADERS = ['cache-control', 'x-accel-buffering']
const DECISION_HEADERS = ['x-llama-swap-attempts', 'x-llama-swap-endpoint', 'x-llama-swap-model', 'x-llama-swap-rule', 'x-llama-swap-why']

const messages = [{ role: 'user' as const, content: 'Tell me the story, please: "häppy" 🦙' }]

let said: RunningEngine
let endless: RunningEngine
let vectors: RunningEngine
let proxy: RunningProxy
/** In front of the engine for a client that goes there directly; between proxy and engine; between client and proxy. */
let direct: RecordingRelay
let behind: RecordingRelay
let front: RecordingRelay

before(async () => {
  said = await startEngine({ model: 'scripted', pieces: ['Once', ' upon', ' a', ' time.'], alias: 'said' })
  endless = await startEngine({ model: 'random', alias: 'endless', slots: 1 })
  vectors = await startEngine({ model: 'random', alias: 'vectors', extraArgs: ['--embeddings', '--pooling', 'mean'] })
  direct = await startRecordingRelay(said.port)
  behind = await startRecordingRelay(said.port)
  const backend = (url: string, upstreamModel: string) => ({ backends: [{ url, upstreamModel, engine: 'Auto' as const, probed: true }] })
  const embedding = {
    backends: [
      { url: vectors.url, upstreamModel: 'vectors', engine: 'Auto' as const, probed: true, capabilities: ['embeddings'] as const },
    ],
  }
  proxy = await startProxy(
    makeTable({
      models: {
        story: backend(said.url, 'said'),
        taped: {
          backends: [{ url: behind.url, upstreamModel: 'said', engine: 'LlamaCpp', capabilities: ['chat', 'completions', 'responses'] }],
        },
        endless: backend(endless.url, 'endless'),
        embedder: embedding,
      },
    }),
  )
  front = await startRecordingRelay(proxy.port)
  await ready()
})
after(async () => {
  for (const relay of [direct, behind, front]) relay.close()
  await proxy.close()
  await Promise.all([said, endless, vectors].map((engine) => engine.close()))
})

async function ready(): Promise<void> {
  for (;;) {
    const text = await (await fetch(`${proxy.adminUrl}/debug/endpoints`)).text()
    if (text.match(/"ready": true/g)?.length === 3) return
  }
}

const clientOf = (url: string): OpenAI => new OpenAI({ baseURL: `${url}/v1`, apiKey: 'sk-the-clients-own', maxRetries: 0 })

type Ask = (client: OpenAI, model: string) => Promise<unknown>

/** Reads a stream to its end. */
async function all<T>(stream: Promise<AsyncIterable<T>>): Promise<T[]> {
  const items: T[] = []
  for await (const item of await stream) items.push(item)
  return items
}

const QUESTIONS: Readonly<Record<string, { readonly stream: boolean; readonly ask: Ask }>> = {
  'a chat completion': { stream: false, ask: (client, model) => client.chat.completions.create({ model, messages, temperature: 0 }) },
  'a chat completion as a stream': {
    stream: true,
    ask: (client, model) => all(client.chat.completions.create({ model, messages, temperature: 0, stream: true })),
  },
  'a stream with usage': {
    stream: true,
    ask: (client, model) =>
      all(client.chat.completions.create({ model, messages, temperature: 0, stream: true, stream_options: { include_usage: true } })),
  },
  'a completion': {
    stream: false,
    ask: (client, model) => client.completions.create({ model, prompt: 'Once', temperature: 0, max_tokens: 8 }),
  },
  'a completion as a stream': {
    stream: true,
    ask: (client, model) => all(client.completions.create({ model, prompt: 'Once', temperature: 0, max_tokens: 8, stream: true })),
  },
  'a response': { stream: false, ask: (client, model) => client.responses.create({ model, input: 'Tell me', temperature: 0 }) },
  'a response as a stream': {
    stream: true,
    ask: (client, model) => all(client.responses.create({ model, input: 'Tell me', temperature: 0, stream: true })),
  },
}

describe('the SDK gets what it gets without the proxy', () => {
  for (const [name, { stream, ask }] of Object.entries(QUESTIONS)) {
    test(name, async () => {
      const straight = await tape(direct, () => ask(clientOf(direct.url), 'said'))
      const before = behind.connections.length
      const proxied = await tape(front, () => ask(clientOf(front.url), 'taped'))
      const upstream = last(behind.connections.slice(Math.min(before, behind.connections.length - 1)).map(exchangeOf))

      sameRequest(straight.request, upstream.request)
      assert.equal(proxied.response.body, upstream.response.body, 'byte for byte what the engine said')
      assert.equal(steady(proxied.response.body), steady(straight.response.body), 'and what it says without the proxy')
      const allowed = [...RESPONSE_HEADERS, ...DECISION_HEADERS, ...(stream ? STREAM_HEADERS : [])]
      assert.deepEqual(
        namesOf(proxied.response).filter((header) => !allowed.includes(header)),
        [],
      )
      assert.deepEqual(
        DECISION_HEADERS.filter((header) => !namesOf(proxied.response).includes(header)),
        [],
      )
      assert.equal(headerOf(proxied.response, 'content-type'), headerOf(upstream.response, 'content-type'))
      const line = await proxy.accessLine(headerOf(proxied.response, 'x-request-id') ?? '')
      assert.ok(Number(line['input_tokens']) > 0 && Number(line['output_tokens']) > 0, 'the usage is known, asked for or not')
    })
  }

  test('embeddings', async () => {
    const ask = (url: string, model: string) => clientOf(url).embeddings.create({ model, input: ['llama', 'swap'] })
    const straight = await ask(vectors.url, 'vectors')
    const proxied = await ask(proxy.url, 'embedder')
    assert.deepEqual(proxied.data, straight.data)
    assert.deepEqual(proxied.usage, straight.usage)
    assert.equal(proxied.data.length, 2)
  })
})

interface Exchange {
  readonly request: WireMessage
  readonly response: WireMessage
}

/** The exchange that `ask` makes on a relay of its own connections. */
async function tape(relay: RecordingRelay, ask: () => Promise<unknown>): Promise<Exchange> {
  await ask()
  return last(relay.connections.map(exchangeOf))
}

/** The last exchange on a connection, which may have been kept from one question to the next. */
function exchangeOf({ request, response }: { request: string; response: string }): Exchange {
  return { request: last(messagesOf(request)), response: last(messagesOf(response)) }
}

function last<T>(items: readonly T[]): T {
  const item = items.at(-1)
  assert.ok(item !== undefined)
  return item
}

const namesOf = ({ headers }: WireMessage): string[] => headers.map(([name]) => name).toSorted()
const headerOf = ({ headers }: WireMessage, name: string): string | undefined => headers.find(([each]) => each === name)?.[1]
const steady = (body: string): string => body.replaceAll(UNSTABLE, '"$1":"…"')

/** Path and bytes are the client's, but for the model's name; the head is ours. (Where usage must be asked for: `streaming.test.ts`.) */
function sameRequest(straight: WireMessage, proxied: WireMessage): void {
  assert.equal(proxied.target, straight.target)
  assert.deepEqual(namesOf(proxied), REQUEST_HEADERS)
  assert.equal(proxied.body, straight.body)
}

describe('errors as the SDK raises them', () => {
  test('an unknown model', async () => {
    const error = await failureOf(clientOf(proxy.url).chat.completions.create({ model: 'storie', messages }))
    assert.ok(error instanceof NotFoundError)
    assert.deepEqual([error.status, error.code, error.param, error.type], [404, 'model_not_found', 'model', 'invalid_request_error'])
    assert.match(error.message, /Nearest: story/)
    assert.equal(typeof error.requestID, 'string')
  })

  test('a mistake that only the engine can see', async () => {
    const request = {
      model: 'story',
      messages,
      response_format: { type: 'json_schema' as const, json_schema: { name: 'x', schema: { type: 'nonsense' } } },
    }
    const error = await failureOf(clientOf(proxy.url).chat.completions.create(request))
    assert.ok(error instanceof APIError)
    assert.equal(error.status, 400)
  })

  test('a prompt larger than the context', async () => {
    const long = [{ role: 'user' as const, content: 'long story '.repeat(4000) }]
    const error = await failureOf(clientOf(proxy.url).chat.completions.create({ model: 'story', messages: long }))
    assert.ok(error instanceof APIError)
    assert.deepEqual([error.status, error.code], [400, 'context_length_exceeded'])
  })
})

async function failureOf(asked: Promise<unknown>): Promise<unknown> {
  return asked.then(
    () => assert.fail('it should have failed'),
    (error: unknown) => error,
  )
}

describe('aborts reach the real engine', () => {
  const request = { model: 'endless', messages, stream: true as const, max_tokens: 100_000 }
  const endlessly = (signal: AbortSignal, id: string) =>
    clientOf(proxy.url).chat.completions.create(request, { signal, headers: { 'x-request-id': id } })

  test('a stream that is aborted frees its slot', async () => {
    const leaving = new AbortController()
    const stream = await endlessly(leaving.signal, 'leaving')
    for await (const _chunk of stream) leaving.abort()
    await engineSays(endless, { processing: 0, deferred: 0 })
  })

  test("a request that is aborted in the engine's queue is let go at once, and the one before it goes on", async () => {
    const [first, queued] = [new AbortController(), new AbortController()]
    const stream = await endlessly(first.signal, 'first')
    const waiting = endlessly(queued.signal, 'queued')
    await engineSays(endless, { processing: 1, deferred: 1 })
    queued.abort()
    assert.ok((await failureOf(waiting)) instanceof APIUserAbortError)
    const line = await proxy.accessLine('queued')
    assert.equal(line['status'], 499)
    assert.equal(line['first_token_ms'], null)
    let chunks = 0
    for await (const _chunk of stream) if (++chunks > 20) first.abort()
    await engineSays(endless, { processing: 0, deferred: 0 })
  })
})

/** Resolves once the engine's own gauges are so. */
async function engineSays({ url }: RunningEngine, gauges: { readonly processing: number; readonly deferred: number }): Promise<void> {
  const expected = [`llamacpp:requests_processing ${gauges.processing}\n`, `llamacpp:requests_deferred ${gauges.deferred}\n`]
  const untilMs = Date.now() + 5000
  for (;;) {
    const text = await (await fetch(`${url}/metrics`)).text()
    if (expected.every((line) => text.includes(line))) return
    assert.ok(Date.now() < untilMs, text)
  }
}

test('an engine that is ended in the middle of a stream: an error in the stream, which the SDK raises', async (t) => {
  const engine = await startEngine({ model: 'random', alias: 'dying' })
  t.after(() => engine.close())
  const own = await startProxy(makeTable({ models: { dying: { backends: [{ url: engine.url, engine: 'LlamaCpp' }] } } }))
  t.after(() => own.close())
  const stream = await clientOf(own.url).chat.completions.create({ model: 'dying', messages, stream: true, max_tokens: 100_000 })
  let chunks = 0
  const reading = (async () => {
    for await (const _chunk of stream) if (++chunks === 3) process.kill(engine.pid, 'SIGKILL')
  })()
  const error = await failureOf(reading)
  assert.ok(error instanceof Error)
  assert.match(error.message, /not complete/)
})
