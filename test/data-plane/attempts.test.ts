/** What bounds the attempt loop: waits that backends ask for, an outage and its end, the chain's deadline, numbers of tries. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { ask, type Got } from '../support/client.ts'
import { error, HANG, pause, stream, streamHead, whole } from '../support/model-server/answers.ts'
import { startDeafBackend } from '../support/model-server/deaf-backend.ts'
import { type ModelServer, type ScriptedBackend, startModelServer } from '../support/model-server/model-server.ts'
import type { Answer } from '../support/model-server/script.ts'
import { closedPort } from '../support/ports.ts'
import { type RunningProxy, startProxy } from '../support/proxy.ts'
import { jsonOf, ROUTES, streamOf } from '../support/routes.ts'
import { makeTable, type TableLines } from '../support/table.ts'

const { chat } = ROUTES
const WELL = whole(chat.answer(['well']))
const OVERLOADED = error(503, null, 'no capacity', { 'retry-after-ms': 200 })

let server: ModelServer
before(() => {
  server = startModelServer()
})
after(() => server.close())

async function withProxy<T>(lines: TableLines, use: (proxy: RunningProxy) => Promise<T>): Promise<T> {
  const proxy = await startProxy(makeTable(lines))
  try {
    return await use(proxy)
  } finally {
    await proxy.close()
  }
}

const askFor = (proxy: RunningProxy, model: string, headers: Readonly<Record<string, string>> = {}): Promise<Got> =>
  ask(proxy.url, { body: chat.request(model, false), headers })

const httpDate = (inMs: number): string => new Date(Date.now() + inMs).toUTCString()

/** A 429 that asks for 30 s, in every form a provider has for it. */
const FORMS: Readonly<Record<string, () => Answer>> = {
  'retry-after in seconds': () => error(429, null, 'slow', { 'retry-after': 30 }),
  'retry-after as a date': () => error(429, null, 'slow', { 'retry-after': httpDate(30_000) }),
  'retry-after-ms before retry-after': () => error(429, null, 'slow', { 'retry-after-ms': 29_500, 'retry-after': 5 }),
  'x-ms-retry-after-ms': () => error(429, null, 'slow', { 'x-ms-retry-after-ms': 29_500 }),
  'x-ratelimit-reset of a limit with nothing remaining': () =>
    error(429, null, 'slow', {
      'x-ratelimit-remaining-requests': 0,
      'x-ratelimit-reset-requests': '29.5s',
      'x-ratelimit-remaining-tokens': 90,
      'x-ratelimit-reset-tokens': '2s',
    }),
  'retryDelay in the body': () => whole({ error: { code: 429, message: 'slow', details: [{ retryDelay: '29.5s' }] } }, { status: 429 }),
}

test('every form of Retry-After reaches the client as one', async (t) => {
  const names = Object.keys(FORMS)
  const backends = await Promise.all(Object.values(FORMS).map((form) => server.open(form())))
  const models = Object.fromEntries(backends.map(({ url }, index) => [`form-${index}`, { backends: [{ url }] }]))
  await withProxy({ models }, async (proxy) => {
    for (const [index, name] of names.entries()) {
      await t.test(name, async () => {
        const got = await askFor(proxy, `form-${index}`)
        assert.equal(got.status, 429)
        const seconds = Number(got.headers['retry-after'])
        assert.ok(seconds >= 15 && seconds <= 30, `retry-after ${seconds}`)
        assert.equal(Math.ceil(Number(got.headers['retry-after-ms']) / 1000), seconds)
        assert.equal(got.headers['x-should-retry'], 'true')
        assert.equal((await backends[index]?.seen())?.length, 1)
      })
    }
  })
})

test('S15: during an outage all is answered and the primary is tried seldom; then it is used again', async () => {
  const [primary, fallback] = await Promise.all([server.open(OVERLOADED), server.open(whole(chat.answer(['fallback'])))])
  const lines: TableLines = {
    models: { p: { backends: [{ url: primary.url }] }, f: { backends: [{ url: fallback.url }] } },
    policies: { auto: { targets: ['p'], fallback: { targets: ['f'] } } },
  }
  await withProxy(lines, async (proxy) => {
    const startMs = Date.now()
    for (let asked = 0; asked < 40; asked++) assert.equal((await askFor(proxy, 'auto')).status, 200)
    while ((await primary.seen()).length < 3) assert.equal((await askFor(proxy, 'auto')).status, 200)
    const tries = await primary.seen()
    assert.ok(tries.length <= 1 + (Date.now() - startMs) / 200, `${tries.length} tries in ${Date.now() - startMs} ms`)
    await primary.script(WELL)
    const healthyAtMs = Date.now()
    let last: Got | undefined
    while (last?.headers['x-llama-swap-model'] !== 'p') {
      last = await askFor(proxy, 'auto')
      assert.equal(last.status, 200)
      assert.ok(Date.now() - healthyAtMs < 10_000)
    }
  })
})

describe('bounds of one request', () => {
  test('the deadline a client sends holds for the whole chain', async () => {
    const [silent, other] = await Promise.all([server.open([HANG]), server.open([HANG])])
    const lines: TableLines = {
      models: { p: { backends: [{ url: silent.url, timeouts: { firstTokenMs: 300 } }] }, f: { backends: [{ url: other.url }] } },
      policies: { auto: { targets: ['p'], fallback: { targets: ['f'] } } },
    }
    await withProxy(lines, async (proxy) => {
      const got = await ask(proxy.url, { body: chat.request('auto', true), headers: { 'x-llama-swap-timeout': '700ms' } })
      assert.equal(got.status, 504)
      const message = JSON.stringify(jsonOf(got.body)['error'])
      assert.match(message, /first token/)
      assert.ok(got.tookMs >= 690 && got.tookMs < 3000, `${got.tookMs} ms`)
      const left = await Promise.all([silent.left(), other.left()])
      assert.ok((left[1].goneAtMs ?? 0) - left[1].atMs >= 350)
    })
  })

  test('a deadline that is no duration is refused', async () => {
    const backend = await server.open(WELL)
    await withProxy({ models: { m: { backends: [{ url: backend.url }] } } }, async (proxy) => {
      const got = await askFor(proxy, 'm', { 'x-llama-swap-timeout': 'soon' })
      assert.equal(got.status, 400)
      assert.equal((await backend.seen()).length, 0)
    })
  })

  test('a stream that goes on beyond the total deadline ends with a clean error', async () => {
    const { begin, words } = chat.events(Array.from({ length: 100 }, (_, index) => `${index} `))
    const slow = [streamHead(), ...[...begin, ...words].flatMap((text) => [{ do: 'chunk', text } as const, pause(20)])]
    const backend = await server.open(slow)
    await withProxy({ models: { m: { backends: [{ url: backend.url, timeouts: { totalMs: 500 } }] } } }, async (proxy) => {
      const got = await ask(proxy.url, { body: chat.request('m', true) })
      assert.equal(got.status, 200)
      assert.match(got.body, /upstream_stream_interrupted/)
      assert.equal(got.body.includes('[DONE]'), false)
      assert.ok(got.tookMs < 1500, `${got.tookMs} ms`)
      await backend.left()
    })
  })

  test('at most six tries, or as many as the model says', async () => {
    const broken = await Promise.all(Array.from({ length: 8 }, () => server.open(error(500, null, 'oops'))))
    const backends = broken.map(({ url }) => ({ url }))
    const total = async (): Promise<number> => (await Promise.all(broken.map((backend) => backend.seen()))).flat().length
    await withProxy({ models: { six: { backends }, two: { backends, retry: { totalAttempts: 2 } } } }, async (proxy) => {
      assert.equal((await askFor(proxy, 'six')).status, 502)
      assert.equal(await total(), 6)
      const got = await askFor(proxy, 'two')
      assert.equal(got.status, 502)
      assert.equal(await total(), 8)
      assert.equal(got.headers['x-should-retry'], 'false')
    })
  })

  test('retries are at most a fifth of the load, but for the first ten', async () => {
    const broken = await server.open(error(500, null, 'oops'))
    const lines: TableLines = { models: { m: { backends: [{ url: broken.url }], retry: { budgetPercent: 20 } } } }
    await withProxy(lines, async (proxy) => {
      const requests = 60
      await Promise.all(Array.from({ length: requests }, () => askFor(proxy, 'm')))
      const tries = (await broken.seen()).length
      assert.ok(tries <= requests + requests / 5 && tries >= requests, `${tries} tries`)
    })
  })

  test('connections that do not come about use none of it: every request of a burst finds the endpoint that is there', async (t) => {
    const well = await server.open(WELL)
    const closed = await closedPort()
    const deaf = await startDeafBackend()
    t.after(() => deaf.close())
    const gone = [{ url: `http://127.0.0.1:${closed}` }, { url: deaf.url, priority: 1, timeouts: { connectMs: 300 } }]
    await withProxy({ models: { m: { backends: [...gone, { url: well.url, priority: 2 }] } } }, async (proxy) => {
      const got = await Promise.all(Array.from({ length: 60 }, () => askFor(proxy, 'm')))
      assert.deepEqual(new Set(got.map(({ status }) => status)), new Set([200]))
    })
  })

  test('no retry at all where the model says so', async () => {
    const broken = await server.open(error(500, null, 'oops'))
    const lines: TableLines = { models: { m: { backends: [{ url: broken.url }], retry: { sameEndpoint: 0 } } } }
    await withProxy(lines, async (proxy) => {
      assert.equal((await askFor(proxy, 'm')).status, 502)
      assert.equal((await broken.seen()).length, 1)
    })
  })
})

describe('endpoints of one model', () => {
  test('a refused connection moves on at once, without a policy', async () => {
    const well = await server.open(WELL)
    const closed = await closedPort()
    const lines: TableLines = {
      models: { m: { backends: [{ url: `http://127.0.0.1:${closed}` }, { url: well.url, priority: 1 }] } },
    }
    await withProxy(lines, async (proxy) => {
      const got = await askFor(proxy, 'm')
      assert.deepEqual([got.status, got.headers['x-llama-swap-attempts']], [200, '2'])
      assert.ok(got.tookMs < 1000)
      assert.equal((await askFor(proxy, 'm')).headers['x-llama-swap-attempts'], '1')
    })
  })

  test('a name that cannot be resolved, a denied address, TLS where there is none: a typed error', async () => {
    const well = await server.open(WELL)
    const addresses: readonly (readonly [string, number, string])[] = [
      ['unresolved', 502, 'http://does-not-exist.invalid:80'],
      ['metadata', 502, 'http://169.254.169.254'],
      ['no-tls', 504, well.url.replace('http:', 'https:')],
    ]
    const models = Object.fromEntries(addresses.map(([name, , url]) => [name, { backends: [{ url }], retry: { sameEndpoint: 0 } }]))
    await withProxy({ models }, async (proxy) => {
      for (const [name, status] of addresses) {
        const got = await askFor(proxy, name)
        assert.equal(got.status, status, `${name}: ${got.body}`)
        assert.equal(got.body.includes('127.0.0.1') || got.body.includes('169.254'), false)
      }
    })
  })

  test('round robin among backends follows their weights exactly', async () => {
    const backends = await Promise.all([1, 2, 3].map(() => server.open(WELL)))
    const lines: TableLines = {
      models: { m: { loadBalancing: 'RoundRobin', backends: backends.map(({ url }, index) => ({ url, weight: index + 1 })) } },
    }
    await withProxy(lines, async (proxy) => {
      for (let asked = 0; asked < 60; asked++) await askFor(proxy, 'm')
      assert.deepEqual(await counts(backends), [10, 20, 30])
    })
  })
})

test('300 requests by weights 10 and 5: 200 and 100, also side by side, also when streaming', async () => {
  const backends = await Promise.all([1, 2].map(() => server.open(stream(streamOf(chat, ['a', 'b'])))))
  const lines: TableLines = {
    models: Object.fromEntries(backends.map(({ url }, index) => [`m${index}`, { backends: [{ url }] }])),
    policies: {
      auto: {
        strategy: 'WeightedRoundRobin',
        targets: [
          ['m0', 10],
          ['m1', 5],
        ],
      },
    },
  }
  await withProxy(lines, async (proxy) => {
    for (let batch = 0; batch < 10; batch++) {
      await Promise.all(Array.from({ length: 30 }, () => ask(proxy.url, { body: chat.request('auto', true) })))
    }
    assert.deepEqual(await counts(backends), [200, 100])
  })
})

const counts = async (backends: readonly ScriptedBackend[]): Promise<number[]> =>
  Promise.all(backends.map(async (backend) => (await backend.seen()).length))

test('a primary that fails every other request never shows, however many: its retry budget is no bound on going elsewhere', async () => {
  const failing = error(500, null, 'oops')
  const primary = await server.open(...Array.from({ length: 100 }, (_, index) => (index % 2 === 0 ? failing : WELL)))
  const other = await server.open(WELL)
  const lines: TableLines = {
    models: {
      m: { retry: { sameEndpoint: 0, budgetPercent: 1 }, backends: [{ url: primary.url, health: { outlier: { maxEjectedPercent: 0 } } }] },
      n: { backends: [{ url: other.url }] },
    },
    policies: { auto: { targets: ['m'], fallback: { targets: ['n'] } } },
  }
  await withProxy(lines, async (proxy) => {
    for (let asked = 0; asked < 60; asked++) assert.equal((await askFor(proxy, 'auto')).status, 200)
  })
})
