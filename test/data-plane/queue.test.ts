/** Requests that wait: for a slot of a full endpoint, for room in a limit of ours. What the client sees, and what the backend saw. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { RoutingTable } from '../../proxy/routing-table/v1.ts'
import { type Asking, ask, asking } from '../support/client.ts'
import { eventually } from '../support/eventually.ts'
import { wait, whole } from '../support/model-server/answers.ts'
import { type ModelServer, type ScriptedBackend, startModelServer } from '../support/model-server/model-server.ts'
import type { Answer } from '../support/model-server/script.ts'
import { type RunningProxy, startProxy } from '../support/proxy.ts'
import { jsonOf, ROUTES } from '../support/routes.ts'
import { type ModelLines, makeTable } from '../support/table.ts'

const { chat } = ROUTES
const WELL = whole(chat.answer(['well']))
const gated = (gate: string): Answer => [wait(gate), ...WELL]
const KEYS = { a: 'key-of-team-a-0000000000000', b: 'key-of-team-b-0000000000000' } as const

let server: ModelServer
before(() => {
  server = startModelServer()
})
after(() => server.close())

async function withProxy(
  table: RoutingTable,
  use: (proxy: RunningProxy) => Promise<void>,
  auth: 'Off' | 'Required' = 'Off',
): Promise<void> {
  const proxy = await startProxy(table, { auth })
  try {
    await use(proxy)
  } finally {
    await proxy.close()
  }
}

const oneModel = (url: string, limits: ModelLines['limits'], more: Partial<ModelLines> = {}): RoutingTable =>
  makeTable({ models: { m: { ...more, ...(limits !== undefined && { limits }), backends: [{ url }] } } })

const begin = (proxy: RunningProxy, model = 'm', key?: string): Asking =>
  asking(proxy.url, { body: chat.request(model, false), headers: key === undefined ? {} : { authorization: `Bearer ${key}` } })

const queued = (proxy: RunningProxy, requests: number): Promise<void> =>
  eventually(async () => {
    const metrics = await (await fetch(`${proxy.metricsUrl}/metrics`)).text()
    const said = /^llama_swap_queue_requests\{line="default\/m"\} (\d+)$/m.exec(metrics)?.[1] ?? '0'
    assert.equal(Number(said), requests)
  })

/** One request is with the backend, and waits there until the gate "first" opens. */
async function withOneBusy(
  limits: NonNullable<ModelLines['limits']>,
  use: (ground: { readonly proxy: RunningProxy; readonly backend: ScriptedBackend; readonly first: Asking }) => Promise<void>,
): Promise<void> {
  const backend = await server.open(gated('first'), WELL)
  await withProxy(oneModel(backend.url, limits), async (proxy) => {
    const first = begin(proxy)
    await backend.received(1)
    await use({ proxy, backend, first })
  })
}

test('with one slot the backend sees one request at a time, and each client its answer', async () => {
  await withOneBusy({ maxConcurrentPerEndpoint: 1 }, async ({ proxy, backend, first }) => {
    const [second, third] = [begin(proxy), begin(proxy)]
    await queued(proxy, 2)
    assert.equal((await backend.seen()).length, 1)
    backend.go('first')
    for (const one of [first, second, third]) assert.equal((await one.got).status, 200)
    const seen = await backend.seen()
    assert.equal(seen.length, 3)
    for (const [index, { atMs }] of seen.entries()) if (index > 0) assert.ok(atMs >= (seen[index - 1]?.doneAtMs ?? Infinity))
  })
})

test('a full queue answers 429 concurrency_limit with a time to come back', async () => {
  await withOneBusy({ maxConcurrentPerEndpoint: 1, queue: { maxRequests: 1 } }, async ({ proxy, backend, first }) => {
    const second = begin(proxy)
    await queued(proxy, 1)
    const got = await begin(proxy).got
    assert.equal(got.status, 429)
    assert.match(got.body, /"code":"concurrency_limit"/)
    assert.ok(Number(got.headers['retry-after']) >= 1)
    assert.equal(got.headers['x-should-retry'], 'true')
    backend.go('first')
    assert.deepEqual([(await first.got).status, (await second.got).status], [200, 200])
  })
})

test('a wait that is too long answers 503 queue_timeout, and the backend never hears of the request', async () => {
  await withOneBusy({ maxConcurrentPerEndpoint: 1, queue: { maxWaitMs: 200 } }, async ({ proxy, backend, first }) => {
    const got = await begin(proxy).got
    assert.equal(got.status, 503)
    assert.match(got.body, /"code":"queue_timeout"/)
    assert.ok(Number(got.headers['retry-after-ms']) >= 1000)
    const line = await proxy.accessLine(String(got.headers['x-request-id']))
    assert.equal(line['error_type'], 'policy_queue_timeout')
    assert.ok(Number(line['held_ms']) >= 200)
    backend.go('first')
    assert.equal((await first.got).status, 200)
    assert.equal((await backend.seen()).length, 1)
  })
})

test('a client that leaves the queue frees its place, and the backend never hears of its request', async () => {
  await withOneBusy({ maxConcurrentPerEndpoint: 1 }, async ({ proxy, backend, first }) => {
    const second = begin(proxy)
    await queued(proxy, 1)
    second.leave()
    await queued(proxy, 0)
    backend.go('first')
    assert.equal((await first.got).status, 200)
    assert.equal((await backend.seen()).length, 1)
  })
})

test('a new table that raises the limit lets those who wait go at once', async () => {
  await withOneBusy({ maxConcurrentPerEndpoint: 1 }, async ({ proxy, backend, first }) => {
    const second = begin(proxy)
    await queued(proxy, 1)
    // Nothing of it has been sent anywhere yet: it goes by the newest table.
    await proxy.push({ ...oneModel(backend.url, { maxConcurrentPerEndpoint: 5 }), seq: 2 })
    assert.equal((await second.got).status, 200)
    backend.go('first')
    assert.equal((await first.got).status, 200)
  })
})

test('the requests of one client do not keep those of another waiting, and high priority goes first', async () => {
  const backend = await server.open(gated('first'), WELL)
  const table = makeTable({
    models: { m: { limits: { maxConcurrentPerEndpoint: 1 }, backends: [{ url: backend.url }] } },
    policies: { auto: { targets: ['m'] } },
    keys: [
      { key: KEYS.a, client: 'default/team-a' },
      { key: KEYS.b, client: 'default/team-b' },
    ],
  })
  const terms = [{ match: { names: ['team-b'] }, requestPriority: 'High' as const }]
  const policies = table.policies.map((policy) => ({ ...policy, clients: terms }))
  await withProxy(
    { ...table, policies },
    async (proxy) => {
      const first = begin(proxy, 'auto', KEYS.a)
      await backend.received(1)
      const ofA = Array.from({ length: 5 }, () => begin(proxy, 'auto', KEYS.a))
      await queued(proxy, 5)
      const ofB = begin(proxy, 'auto', KEYS.b)
      await queued(proxy, 6)
      backend.go('first')
      const got = await ofB.got
      const position = (await backend.seen()).findIndex(({ headers }) => headers.some(([, value]) => value === got.headers['x-request-id']))
      assert.equal(position, 1)
      for (const one of [first, ...ofA]) assert.equal((await one.got).status, 200)
    },
    'Required',
  )
})

test('over the requests a minute of a model: 429 with the limit in the head, and the fallback where the policy has one', async () => {
  const [own, other] = [await server.open(WELL), await server.open(WELL)]
  const table = makeTable({
    models: { m: { limits: { requestsPerMinute: 2 }, backends: [{ url: own.url }] }, n: { backends: [{ url: other.url }] } },
    policies: { auto: { targets: ['m'], fallback: { targets: ['n'] } } },
  })
  await withProxy(table, async (proxy) => {
    for (const remaining of ['1', '0']) {
      const got = await begin(proxy).got
      assert.equal(got.status, 200)
      assert.equal(got.headers['x-ratelimit-limit-requests'], '2')
      assert.equal(got.headers['x-ratelimit-remaining-requests'], remaining)
    }
    const refused = await begin(proxy).got
    assert.equal(refused.status, 429)
    const { error } = jsonOf(refused.body)
    assert.match(JSON.stringify(error), /"code":"rate_limit_exceeded"/)
    assert.equal(refused.headers['x-ratelimit-remaining-requests'], '0')
    const seconds = Number(refused.headers['retry-after'])
    assert.ok(seconds > 40 && seconds <= 61, `retry-after ${seconds}`)
    const shifted = await begin(proxy, 'auto').got
    assert.equal(shifted.status, 200)
    assert.equal(shifted.headers['x-llama-swap-model'], 'n')
    assert.equal((await own.seen()).length, 2)
  })
})

test("a client's requests at a time are bounded, and each comes back when its request ends", async () => {
  const backend = await server.open(gated('first'), WELL)
  const table = makeTable({ models: { m: { backends: [{ url: backend.url }] } }, policies: { auto: { targets: ['m'] } } })
  const policies = table.policies.map((policy) => ({ ...policy, clients: [{ match: {}, limits: { maxConcurrent: 1 } }] }))
  await withProxy({ ...table, policies }, async (proxy) => {
    const first = begin(proxy, 'auto')
    await backend.received(1)
    const second = begin(proxy, 'auto')
    backend.go('first')
    assert.equal((await first.got).status, 200)
    assert.equal((await second.got).status, 200)
    assert.equal((await ask(proxy.url, { body: chat.request('auto', false) })).status, 200)
    assert.equal((await backend.seen()).length, 3)
  })
})
