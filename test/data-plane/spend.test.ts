/** What answers cost, against a ledger made by hand: prices, cached and reasoning tokens, tiers, fallbacks, attempts that gave nothing. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { ask, type Got } from '../support/client.ts'
import { eventually } from '../support/eventually.ts'
import { CLOSE, chunk, error, stream, streamHead, whole } from '../support/model-server/answers.ts'
import { type ModelServer, startModelServer } from '../support/model-server/model-server.ts'
import { type RunningProxy, startProxy } from '../support/proxy.ts'
import { jsonOf, ROUTES } from '../support/routes.ts'
import { makeTable } from '../support/table.ts'

const { chat } = ROUTES
const ALICE = 'alice-has-a-key-of-her-own'
const BOB = 'bob-has-another-key-for-this'

let server: ModelServer
before(() => {
  server = startModelServer()
})
after(() => server.close())

interface Use {
  readonly input: number
  readonly cached?: number
  readonly output: number
  readonly reasoning?: number
}

const using = ({ input, cached = 0, output, reasoning = 0 }: Use) =>
  whole({
    ...Object(chat.answer(['well'])),
    usage: {
      prompt_tokens: input,
      completion_tokens: output,
      total_tokens: input + output,
      prompt_tokens_details: { cached_tokens: cached },
      completion_tokens_details: { reasoning_tokens: reasoning },
    },
  })

const post = (proxy: RunningProxy, key: string, model: string, more: object = {}): Promise<Got> =>
  ask(proxy.url, {
    headers: { authorization: `Bearer ${key}` },
    body: { model, messages: [{ role: 'user', content: 'hi' }], ...more },
  })

async function series(proxy: RunningProxy, name: string): Promise<Readonly<Record<string, number>>> {
  const text = await (await fetch(`${proxy.metricsUrl}/metrics`)).text()
  const lines = text.split('\n').filter((line) => line.startsWith(`${name}{`))
  return Object.fromEntries(
    lines.map((line) => [line.slice(name.length, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ') + 1))]),
  )
}

const named = (event: { readonly type: string } & Readonly<Record<string, unknown>>): string =>
  `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`

const CHEAP = { inputPerMillionTokens: 1, cachedInputPerMillionTokens: 0.1, outputPerMillionTokens: 10 }
const TIERED = {
  inputPerMillionTokens: 2,
  outputPerMillionTokens: 20,
  tiers: [{ aboveInputTokens: 1000, inputPerMillionTokens: 4, cachedInputPerMillionTokens: 1, outputPerMillionTokens: 40 }],
}
const spent = (model: string, policy: string, client: string): string =>
  `{model="default/${model}",policy="${policy === '' ? '' : `default/${policy}`}",client="default/${client}"}`

test('the metric is the ledger, to a millionth of a dollar', async () => {
  const [local, rented, free] = await Promise.all([
    server.open(using({ input: 1000, cached: 400, output: 50 }), error(500, null, 'it broke'), error(500, null, 'it broke')),
    server.open(
      using({ input: 500, output: 10, reasoning: 5 }),
      using({ input: 2000, cached: 500, output: 100 }),
      using({ input: 1000, output: 1 }),
    ),
    server.open(using({ input: 10, output: 10 })),
  ])
  const proxy = await startProxy(
    makeTable({
      models: {
        local: { backends: [{ url: local.url, pricing: CHEAP }] },
        rented: { backends: [{ url: rented.url, pricing: TIERED }] },
        free: { backends: [{ url: free.url }] },
      },
      policies: { auto: { targets: ['local'], fallback: { targets: ['rented'] } }, dear: { targets: ['rented'] } },
      keys: [
        { key: ALICE, client: 'default/alice' },
        { key: BOB, client: 'default/bob' },
      ],
    }),
    { auth: 'Required' },
  )
  try {
    assert.equal((await post(proxy, ALICE, 'auto')).headers['x-llama-swap-model'], 'local')
    assert.equal((await post(proxy, ALICE, 'auto')).headers['x-llama-swap-model'], 'rented')
    assert.equal((await post(proxy, BOB, 'dear')).status, 200)
    assert.equal((await post(proxy, BOB, 'rented')).status, 200)
    assert.equal((await post(proxy, BOB, 'free')).status, 200)
    const ledger = {
      // 600 × 1 + 400 × 0.1 + 50 × 10, by the million.
      [spent('local', 'auto', 'alice')]: 0.00114,
      // 500 × 2 + 10 × 20, reasoning inside the 10; the attempts at "local" before it gave nothing.
      [spent('rented', 'auto', 'alice')]: 0.0012,
      // Above 1,000: 1,500 × 4 + 500 × 1 + 100 × 40.
      [spent('rented', 'dear', 'bob')]: 0.0105,
      // Exactly 1,000 is not above: 1,000 × 2 + 1 × 20. Asked by name, so without a policy.
      [spent('rented', '', 'bob')]: 0.00202,
    }
    await eventually(async () => {
      const found = await series(proxy, 'llama_swap_cost_usd_total')
      assert.deepEqual(Object.keys(found).toSorted(), Object.keys(ledger).toSorted())
      for (const [labels, usd] of Object.entries(ledger))
        assert.ok(Math.abs((found[labels] ?? Number.NaN) - usd) < 1e-6, `${labels} ${found[labels]}`)
      assert.deepEqual(await series(proxy, 'llama_swap_answers_unpriced_total'), { '{model="default/free"}': 1 })
    })
  } finally {
    await proxy.close()
  }
})

test('streams in the ledger: one that breaks, one that another goes on with, one of Anthropic with its cache', async () => {
  const { begin, words } = chat.events(['one ', 'two '])
  const breaks = [streamHead(), ...[...begin, ...words].map(chunk), CLOSE]
  const rest = chat.events(['three '])
  const [dear, rented, claude] = await Promise.all([
    server.open(breaks, breaks),
    server.open(stream([...rest.begin, ...rest.words, ...rest.finish, ...rest.sentinel])),
    server.open(
      stream([
        named({
          type: 'message_start',
          message: { usage: { input_tokens: 100, cache_creation_input_tokens: 2000, cache_read_input_tokens: 7000, output_tokens: 1 } },
        }),
        named({ type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' } }),
        named({ type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text: 'well' } }),
        named({ type: 'message_delta', delta: { stop_reason: 'end_turn' }, usage: { output_tokens: 300 } }),
        named({ type: 'message_stop' }),
      ]),
    ),
  ])
  const capabilities = ['chat', 'prefixContinuation'] as const
  const proxy = await startProxy(
    makeTable({
      models: {
        dear: { backends: [{ url: dear.url, pricing: { inputPerMillionTokens: 0, outputPerMillionTokens: 100 } }] },
        rented: {
          backends: [{ url: rented.url, capabilities, pricing: { inputPerMillionTokens: 10, outputPerMillionTokens: 1000 } }],
        },
        claude: {
          backends: [
            {
              url: claude.url,
              dialect: 'Anthropic',
              pricing: {
                inputPerMillionTokens: 3,
                cachedInputPerMillionTokens: 0.3,
                cacheWritePerMillionTokens: 3.75,
                outputPerMillionTokens: 15,
              },
            },
          ],
        },
      },
      policies: {
        error: { targets: ['dear'] },
        goon: { targets: ['dear'], fallback: { targets: ['rented'], interrupt: 'Continue' } },
      },
    }),
  )
  try {
    const asked = (model: string) => ({ model, stream: true, max_tokens: 100, messages: [{ role: 'user', content: 'hi' }] })
    const got = [
      await ask(proxy.url, { body: asked('error') }),
      await ask(proxy.url, { body: asked('goon') }),
      await ask(proxy.url, { path: '/v1/messages', body: asked('claude') }),
    ]
    for (const [at, end] of [/upstream_stream_interrupted/, /three/, /message_stop/].entries()) assert.match(got[at]?.body ?? '', end)
    const ledger = {
      // Nobody says what it used: its three events count as a token each. 3 × 100.
      '{model="default/dear",policy="default/error",client=""}': 0.0003,
      // The same of the attempt that broke.
      '{model="default/dear",policy="default/goon",client=""}': 0.0003,
      // As its engine counted: 7 × 10 + 1 × 1,000; what the first has written is input there.
      '{model="default/rented",policy="default/goon",client=""}': 0.00107,
      // 100 × 3 + 2,000 written × 3.75 + 7,000 read × 0.3 + 300 × 15.
      '{model="default/claude",policy="",client=""}': 0.0144,
    }
    await eventually(async () => {
      const found = await series(proxy, 'llama_swap_cost_usd_total')
      assert.deepEqual(Object.keys(found).toSorted(), Object.keys(ledger).toSorted())
      for (const [labels, usd] of Object.entries(ledger))
        assert.ok(Math.abs((found[labels] ?? Number.NaN) - usd) < 1e-6, `${labels} ${found[labels]}`)
    })
    const lines = await Promise.all(got.map(({ headers }) => proxy.accessLine(String(headers['x-request-id']))))
    assert.deepEqual(
      lines.map((line) => line['cost_usd']),
      [0.0003, 0.00137, 0.0144],
    )
  } finally {
    await proxy.close()
  }
})

test('a ceiling leaves the dear target out, and refuses where there is no other', async () => {
  const [cheap, dear] = await Promise.all([server.open(using({ input: 5, output: 5 })), server.open(using({ input: 5, output: 5 }))])
  const proxy = await startProxy(
    makeTable({
      models: {
        cheap: { backends: [{ url: cheap.url, pricing: { inputPerMillionTokens: 1, outputPerMillionTokens: 1 } }] },
        dear: { backends: [{ url: dear.url, pricing: { inputPerMillionTokens: 1, outputPerMillionTokens: 100 } }] },
      },
      policies: {
        auto: { targets: [['dear', 1000], 'cheap'], costCeiling: { perRequest: 0.001 } },
        only: { targets: ['dear'], costCeiling: { perRequest: 0.001 } },
      },
    }),
  )
  try {
    for (let round = 0; round < 5; round++) {
      const got = await ask(proxy.url, { body: { model: 'auto', max_tokens: 100, messages: [{ role: 'user', content: 'hi' }] } })
      assert.equal(got.headers['x-llama-swap-model'], 'cheap')
    }
    const refused = await ask(proxy.url, { body: { model: 'only', max_tokens: 100, messages: [{ role: 'user', content: 'hi' }] } })
    assert.deepEqual([refused.status, Object(jsonOf(refused.body)['error']).code], [400, 'cost_ceiling_exceeded'])
    assert.deepEqual(await dear.seen(), [])
  } finally {
    await proxy.close()
  }
})

for (const [perRequest, goesOn] of [
  [10.5, false],
  [20, true],
] as const) {
  // Ten tokens may cost ten dollars. A few events have come when the stream breaks, and each counts as a token.
  test(`a stream breaks after a few dollars; its ceiling of ${perRequest} ${goesOn ? 'lets it go on' : 'ends it'}`, async () => {
    const { begin, words } = chat.events(['one ', 'two '])
    const dear = await server.open([streamHead(), ...[...begin, ...words].map(chunk), CLOSE])
    const next = await server.open(using({ input: 5, output: 5 }))
    const million = { inputPerMillionTokens: 0, outputPerMillionTokens: 1_000_000 }
    const proxy = await startProxy(
      makeTable({
        models: { dear: { backends: [{ url: dear.url, pricing: million }] }, next: { backends: [{ url: next.url, pricing: million }] } },
        policies: { auto: { targets: ['dear'], fallback: { targets: ['next'], interrupt: 'Continue' }, costCeiling: { perRequest } } },
      }),
    )
    try {
      const got = await ask(proxy.url, {
        body: { model: 'auto', stream: true, max_tokens: 10, messages: [{ role: 'user', content: 'hi' }] },
      })
      assert.match(got.body, /one /)
      assert.equal((await next.seen()).length > 0, goesOn)
    } finally {
      await proxy.close()
    }
  })
}
