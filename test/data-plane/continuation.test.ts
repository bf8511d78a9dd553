/** A stream that breaks after its first content, where `interrupt: Continue` is in force: who goes on with it, how, and what the client sees. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { Capability } from '../../proxy/routing-table/v1.ts'
import { ask, asking, type Got } from '../support/client.ts'
import { CLOSE, chunk, END, error, HANG, RESET, stream, streamHead } from '../support/model-server/answers.ts'
import { type ModelServer, type SeenRequest, startModelServer } from '../support/model-server/model-server.ts'
import type { Answer, Step } from '../support/model-server/script.ts'
import { type RunningProxy, startProxy } from '../support/proxy.ts'
import { eventsOf, jsonOf, ROUTES, type RouteSpeech, streamOf, WORDS } from '../support/routes.ts'
import { type BackendLines, makeTable, type PolicyLines } from '../support/table.ts'

const { chat, completions, responses } = ROUTES
const ALL: readonly Capability[] = ['chat', 'completions', 'responses', 'tools', 'jsonSchema']
const PREFIX: readonly Capability[] = [...ALL, 'prefixContinuation']
const CONTINUE = { 'x-llama-swap-interrupt': 'Continue' }
const TEXT = WORDS.join('')

let server: ModelServer
before(() => {
  server = startModelServer()
})
after(() => server.close())

interface Lines {
  readonly answers: readonly Answer[]
  readonly backend?: Partial<BackendLines>
}

interface Scene {
  readonly primary: Lines
  /** A second endpoint of the primary's model. */
  readonly twin?: readonly Answer[]
  readonly fallback?: Lines
  readonly policy?: Partial<PolicyLines['fallback']>
}

interface Played {
  readonly proxy: RunningProxy
  ask(speech: RouteSpeech, more?: object, headers?: Readonly<Record<string, string>>, model?: string): Promise<Got>
  seen(name: 'primary' | 'twin' | 'fallback'): Promise<readonly SeenRequest[]>
}

/** One proxy with a policy "auto" that continues, from model "primary" to model "fallback". */
async function play({ primary, twin, fallback, policy }: Scene, use: (played: Played) => Promise<void>): Promise<void> {
  const [first, second, other] = await Promise.all([
    server.open(...primary.answers),
    server.open(...(twin ?? [])),
    server.open(...(fallback?.answers ?? [])),
  ])
  const backends = { primary: first, twin: second, fallback: other }
  const lines = ({ backend }: Lines, url: string): BackendLines => ({ capabilities: ALL, ...backend, url })
  const table = makeTable({
    models: {
      primary: { backends: [lines(primary, first.url), ...(twin === undefined ? [] : [{ ...lines(primary, second.url), priority: 1 }])] },
      ...(fallback !== undefined && { fallback: { backends: [lines(fallback, other.url)] } }),
    },
    policies: {
      auto: { targets: ['primary'], fallback: { targets: fallback === undefined ? [] : ['fallback'], interrupt: 'Continue', ...policy } },
    },
  })
  const proxy = await startProxy(table)
  try {
    await use({
      proxy,
      ask: (speech, more = {}, headers = {}, model = 'auto') =>
        ask(proxy.url, { path: speech.path, body: { ...speech.request(model, true), ...more }, headers }),
      seen: (name) => backends[name].seen(),
    })
  } finally {
    await proxy.close()
  }
}

/** As another engine would name it. */
const renamed = (text: string): string => text.replaceAll('-1"', '-2"').replaceAll('"created":1,', '"created":2,')
const well = (speech: RouteSpeech, words: readonly string[] = WORDS): Answer => stream(streamOf(speech, words).map(renamed))

/** The beginning and `words` words of an answer, then what breaks it. */
function broken(speech: RouteSpeech, words: number, ...end: readonly Step[]): Answer {
  const { begin, words: all } = speech.events(WORDS)
  return [streamHead(), ...begin.map(chunk), ...all.slice(0, words).map(chunk), ...end]
}

const at = (value: unknown, ...path: readonly (string | number)[]): unknown =>
  path.reduce<unknown>((now, key) => (typeof now === 'object' && now !== null ? Reflect.get(now, key) : undefined), value)

/** One answer, whoever wrote its parts. */
function wholeAnswer(got: Got, speech: RouteSpeech): void {
  assert.equal(got.status, 200, got.body)
  assert.equal(got.whole, true)
  assert.equal(speech.textOfEvents(got.body), TEXT)
  const events = eventsOf(got.body)
  assert.equal(events.filter((event) => at(event, 'choices', 0, 'delta', 'role') !== undefined).length, speech === chat ? 1 : 0)
  assert.equal(events.filter((event) => at(event, 'choices', 0, 'finish_reason') === 'stop').length, 1)
  assert.equal(got.body.split('data: [DONE]\n\n').length, 2)
  assert.equal(new Set(events.map((event) => `${String(event['id'])} ${String(event['created'])}`)).size, 1)
}

function interrupted(got: Got, speech: RouteSpeech, words: number, cause: RegExp): void {
  assert.equal(got.status, 200, got.body)
  assert.equal(got.whole, true)
  assert.equal(speech.textOfEvents(got.body), WORDS.slice(0, words).join(''))
  assert.equal(got.body.includes('[DONE]'), false)
  const last = eventsOf(got.body).at(-1)
  assert.equal(at(last, 'error', 'code'), 'upstream_stream_interrupted')
  assert.match(String(at(last, 'error', 'message')), cause)
}

const bodyOf = (request: SeenRequest | undefined): Readonly<Record<string, unknown>> => jsonOf(request?.body ?? '{}')

const faults: Readonly<Record<string, (speech: RouteSpeech) => Answer>> = {
  'a cut after 40 words': (speech) => broken(speech, 40, CLOSE),
  'an end after 40 words without a finish': (speech) => broken(speech, 40, END),
  'a reset after 20 words': (speech) => broken(speech, 20, RESET),
  'silence after 20 words': (speech) => broken(speech, 20, HANG),
  'an error after 40 words': (speech) => broken(speech, 40, chunk('data: {"error":{"message":"out of memory","code":500}}\n\n'), END),
  'an error in the chunk of a word': (speech) =>
    broken(speech, 39, chunk(`${speech.events(WORDS).words[39] ?? ''}data: {"error":{"message":"oh","code":500}}\n\n`), END),
  'half an event': (speech) => broken(speech, 40, chunk('data: {"choices":[{"index":0,"del'), CLOSE),
}

for (const speech of [chat, completions]) {
  for (const [fault, answer] of Object.entries(faults)) {
    for (const method of ['replay', 'prefix'] as const) {
      test(`${speech.path}: ${fault}: the fallback goes on by ${method}`, async () => {
        const had = fault.includes('20') ? 20 : 40
        await play(
          {
            primary: { answers: [answer(speech)], backend: { timeouts: { streamIdleMs: 400 } } },
            fallback:
              method === 'replay'
                ? { answers: [well(speech)] }
                : { answers: [well(speech, WORDS.slice(had))], backend: { capabilities: PREFIX } },
          },
          async ({ ask: askFor, seen }) => {
            const got = await askFor(speech)
            wholeAnswer(got, speech)
            const primary = await seen('primary')
            assert.equal(primary.length, method === 'prefix' || fault.startsWith('silence') ? 1 : 2)
            const asked = speech.request('fallback', true)
            const [body] = (await seen('fallback')).map(bodyOf)
            if (method === 'replay') assert.deepEqual([body?.['messages'], body?.['prompt']], [asked['messages'], asked['prompt']])
            else if (speech === completions) assert.equal(body?.['prompt'], String(asked['prompt']) + WORDS.slice(0, had).join(''))
            else assert.deepEqual(at(body, 'messages', 1), { role: 'assistant', content: WORDS.slice(0, had).join('') })
            assert.match(got.body, /\n: x-llama-swap-model fallback, .* x-llama-swap-attempts \d\n\n$/)
          },
        )
      })
    }
  }
}

test('a replay cut into other pieces than the first stream is joined in the middle of an event', async () => {
  const pieces = TEXT.match(/.{1,7}/g) ?? []
  await play({ primary: { answers: [broken(chat, 33, CLOSE)] }, fallback: { answers: [well(chat, pieces)] } }, async ({ ask: askFor }) =>
    wholeAnswer(await askFor(chat), chat),
  )
})

test('the model that has begun goes on, as long as it has an endpoint', async () => {
  await play(
    {
      primary: { answers: [broken(chat, 40, HANG)], backend: { timeouts: { streamIdleMs: 300 } } },
      twin: [well(chat)],
      fallback: { answers: [well(chat)] },
    },
    async ({ ask: askFor, seen }) => {
      wholeAnswer(await askFor(chat), chat)
      assert.deepEqual([(await seen('twin')).length, (await seen('fallback')).length], [1, 0])
    },
  )
})

test('a stream may break again, and be gone on with in another way', async () => {
  await play(
    {
      primary: { answers: [broken(chat, 20, HANG)], backend: { timeouts: { streamIdleMs: 300 }, capabilities: PREFIX } },
      twin: [[streamHead(), ...chat.events(WORDS).words.slice(20, 40).map(chunk), CLOSE], error(503, null, 'going down')],
      fallback: { answers: [well(chat)] },
    },
    async ({ ask: askFor, seen }) => {
      wholeAnswer(await askFor(chat), chat)
      assert.equal(at(bodyOf((await seen('twin'))[1]), 'messages', 1, 'content'), WORDS.slice(0, 40).join(''))
    },
  )
})

test('a target that declares it, but refuses an answer that has begun, replays', async () => {
  await play(
    {
      primary: { answers: [broken(chat, 40, HANG)], backend: { timeouts: { streamIdleMs: 300 } } },
      fallback: { answers: [error(400, null, 'no trailing assistant message, please'), well(chat)], backend: { capabilities: PREFIX } },
    },
    async ({ ask: askFor, seen }) => {
      wholeAnswer(await askFor(chat), chat)
      const bodies = (await seen('fallback')).map(bodyOf)
      assert.deepEqual(
        bodies.map((body) => at(body, 'messages', 'length')),
        [2, 1],
      )
    },
  )
})

test('the first cause is told, not what a fallback said later', async () => {
  await play(
    {
      primary: { answers: [broken(chat, 40, CLOSE)] },
      fallback: { answers: [error(400, null, 'trailing assistant message')], backend: { capabilities: PREFIX } },
    },
    async ({ ask: askFor }) => {
      const got = await askFor(chat)
      interrupted(got, chat, 40, /broke off|ended its stream/)
      assert.equal(got.body.includes('trailing'), false)
    },
  )
})

test('a replay that differs ends the stream with the first cause, and nothing of it goes out', async () => {
  const other = WORDS.with(30, 'other ')
  await play({ primary: { answers: [broken(chat, 40, CLOSE)] }, fallback: { answers: [well(chat, other)] } }, async (played) => {
    const got = await played.ask(chat)
    interrupted(got, chat, 40, /broke off|ended its stream/)
    const { body } = await ask(`${played.proxy.metricsUrl}/metrics`, { method: 'GET', path: '' })
    assert.match(body, /llama_swap_continuations_total\{model="default\/fallback",method="replay",result="diverged"\} 1/)
    assert.match(body, /llama_swap_continuations_total\{model="default\/primary",method="replay",result="failed"\} 1/)
    const line = await played.proxy.accessLine(String(got.headers['x-request-id']))
    const attempts = line['attempts']
    assert.deepEqual(
      [at(attempts, 0, 'continuation'), at(attempts, 2, 'continuation'), at(attempts, 2, 'outcome')],
      [undefined, 'replay', 'diverged'],
    )
  })
})

test('usage is the sum of the parts, and the output limit counts both', async () => {
  const rest = WORDS.slice(40)
  await play(
    {
      primary: { answers: [broken(chat, 40, HANG)], backend: { timeouts: { streamIdleMs: 300 } } },
      fallback: { answers: [well(chat, rest)], backend: { capabilities: PREFIX } },
    },
    async ({ ask: askFor, seen }) => {
      const got = await askFor(chat, { max_tokens: 100, stream_options: { include_usage: true } })
      wholeAnswer(got, chat)
      // The scripted engine tells 7 and 20 tokens: of the 7, as many as there are become output again.
      assert.deepEqual(at(eventsOf(got.body).at(-1), 'usage'), { prompt_tokens: 0, completion_tokens: 27, total_tokens: 27 })
      assert.equal(bodyOf((await seen('fallback'))[0])['max_tokens'], 60)
    },
  )
})

test('the header turns it on for a model asked for by name, and off where the policy has it on', async () => {
  const scene = { primary: { answers: [broken(chat, 40, CLOSE), well(chat), broken(chat, 40, CLOSE), broken(chat, 40, CLOSE)] } }
  await play({ ...scene, fallback: { answers: [well(chat)] } }, async ({ ask: askFor, seen }) => {
    wholeAnswer(await askFor(chat, {}, CONTINUE, 'primary'), chat)
    interrupted(await askFor(chat, {}, {}, 'primary'), chat, 40, /The answer is not complete/)
    interrupted(await askFor(chat, {}, { 'x-llama-swap-interrupt': 'Error' }), chat, 40, /The answer is not complete/)
    assert.deepEqual([(await seen('primary')).length, (await seen('fallback')).length], [4, 0])
  })
})

test('without the word of a policy or a request, a broken stream ends with an error', async () => {
  await play(
    { primary: { answers: [broken(chat, 40, CLOSE)] }, fallback: { answers: [well(chat)] }, policy: { interrupt: 'Error' } },
    async ({ ask: askFor, seen }) => {
      interrupted(await askFor(chat), chat, 40, /The answer is not complete/)
      assert.equal((await seen('primary')).length, 1)
    },
  )
})

const special: Readonly<Record<string, readonly [more: object, Answer]>> = {
  'several choices': [{ n: 2 }, broken(chat, 5, CLOSE)],
  'JSON output': [{ response_format: { type: 'json_schema', json_schema: { name: 'a', schema: {} } } }, broken(chat, 5, CLOSE)],
  'a tool call': [
    {},
    broken(
      chat,
      5,
      chunk('data: {"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{\\"a"}}]}}]}\n\n'),
      CLOSE,
    ),
  ],
}

for (const [what, [more, answer]] of Object.entries(special)) {
  test(`nobody goes on in the middle of ${what}`, async () => {
    await play(
      { primary: { answers: [answer] }, fallback: { answers: [well(chat)], backend: { capabilities: PREFIX } } },
      async ({ ask: askFor, seen }) => {
        interrupted(await askFor(chat, more), chat, 5, /The answer is not complete/)
        assert.equal((await seen('fallback')).length, 0)
      },
    )
  })
}

test('routes without a continuation end with their own error event', async () => {
  await play({ primary: { answers: [broken(responses, 5, CLOSE)] }, fallback: { answers: [well(responses)] } }, async ({ ask: askFor }) => {
    const got = await askFor(responses)
    assert.match(got.body, /\n\nevent: error\ndata: .*"upstream_stream_interrupted".*\n\n$/)
    assert.equal(responses.textOfEvents(got.body), WORDS.slice(0, 5).join(''))
  })
})

test('any other word in the header is refused on every route, and nobody is asked', async () => {
  await play({ primary: { answers: [well(chat)] } }, async ({ ask: askFor, seen }) => {
    for (const speech of Object.values(ROUTES)) {
      const got = await askFor(speech, {}, { 'x-llama-swap-interrupt': 'continue' })
      assert.equal(got.status, 400)
      assert.match(got.body, /x-llama-swap-interrupt must be Error or Continue/)
    }
    assert.equal((await seen('primary')).length, 0)
  })
})

test('a client that leaves takes the continuing attempt along', async () => {
  const fallback = await server.open([streamHead(), chunk(chat.events(WORDS).words[0] ?? ''), HANG])
  const primary = await server.open(broken(chat, 5, HANG))
  const proxy = await startProxy(
    makeTable({
      models: {
        primary: { backends: [{ url: primary.url, timeouts: { streamIdleMs: 300 } }] },
        fallback: { backends: [{ url: fallback.url }] },
      },
      policies: { auto: { targets: ['primary'], fallback: { targets: ['fallback'], interrupt: 'Continue' } } },
    }),
  )
  try {
    const client = asking(proxy.url, { path: chat.path, body: chat.request('auto', true) })
    await fallback.received()
    const leftAtMs = client.leave()
    const { goneAtMs } = await fallback.left()
    assert.ok((goneAtMs ?? 0) - leftAtMs < 1000)
  } finally {
    await proxy.close()
  }
})

test('failures before the first content are none of its business', async () => {
  await play(
    {
      primary: { answers: [[streamHead(), ...chat.events(WORDS).begin.map(chunk), CLOSE]] },
      fallback: { answers: [well(chat)], backend: { capabilities: PREFIX } },
    },
    async ({ ask: askFor, seen }) => {
      const got = await askFor(chat)
      wholeAnswer(got, chat)
      assert.equal(got.headers['x-llama-swap-model'], 'fallback')
      assert.equal(at(bodyOf((await seen('fallback'))[0]), 'messages', 'length'), 1)
    },
  )
})
