/** Limits of ours by what engines report, and quotas of upstreams by what their answers say. What the client and the backends see. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { RoutingTable } from '../../proxy/routing-table/v1.ts'
import { ask, asking, type Got } from '../support/client.ts'
import { eventually } from '../support/eventually.ts'
import { chunk, HANG, streamHead, whole } from '../support/model-server/answers.ts'
import { type ModelServer, startModelServer } from '../support/model-server/model-server.ts'
import { type RunningProxy, startProxy } from '../support/proxy.ts'
import { jsonOf, ROUTES } from '../support/routes.ts'
import { makeTable } from '../support/table.ts'

const { chat } = ROUTES

let server: ModelServer
before(() => {
  server = startModelServer()
})
after(() => server.close())

async function withProxy(table: RoutingTable, use: (proxy: RunningProxy) => Promise<void>): Promise<void> {
  const proxy = await startProxy(table)
  try {
    await use(proxy)
    await eventually(async () => assert.equal(await metric(proxy, 'llama_swap_limit_bookings_open'), 0))
  } finally {
    await proxy.close()
  }
}

async function metric(proxy: RunningProxy, series: string): Promise<number | undefined> {
  const text = await (await fetch(`${proxy.metricsUrl}/metrics`)).text()
  const line = text.split('\n').find((one) => one.startsWith(`${series} `))
  return line === undefined ? undefined : Number(line.slice(series.length + 1))
}

const request = { model: 'auto', messages: [{ role: 'user', content: 'hi' }], max_tokens: 50 }
const post = (proxy: RunningProxy, more: object = {}): Promise<Got> => ask(proxy.url, { body: { ...request, ...more } })
const answered = (total: number, headers: Record<string, string> = {}) =>
  whole(
    {
      ...Object(chat.answer(['well'])),
      usage: { prompt_tokens: total - 10, completion_tokens: 10, total_tokens: total },
    },
    { headers },
  )
const codeOf = ({ body }: Got): unknown => Reflect.get(Object(jsonOf(body)['error']), 'code')

test('tokens are counted as the engine reports them, and the day ends at midnight', async () => {
  const backend = await server.open(answered(900))
  await withProxy(makeTable({ models: { auto: { limits: { tokensPerDay: 1000 }, backends: [{ url: backend.url }] } } }), async (proxy) => {
    assert.equal((await post(proxy)).status, 200)
    assert.equal(await metric(proxy, 'llama_swap_model_limit_used{model="default/auto",limit="tokensPerDay"}'), 900)
    assert.equal((await post(proxy)).status, 200)
    const refused = await post(proxy)
    assert.equal(refused.status, 429)
    assert.equal(codeOf(refused), 'insufficient_quota')
    const leftMs = 86_400_000 - (Date.now() % 86_400_000)
    assert.ok(Math.abs(Number(refused.headers['retry-after']) * 1000 - leftMs) < 10_000)
    assert.equal(refused.headers['x-should-retry'], String(leftMs <= 60_000))
    assert.equal(await metric(proxy, 'llama_swap_limit_refused_total{scope="model",name="default/auto",limit="tokensPerDay"}'), 1)
  })
})

test('a prompt larger than the whole limit is refused for good', async () => {
  const backend = await server.open(answered(900))
  await withProxy(
    makeTable({ models: { auto: { limits: { tokensPerMinute: 100 }, backends: [{ url: backend.url }] } } }),
    async (proxy) => {
      const refused = await post(proxy, { messages: [{ role: 'user', content: 'many words '.repeat(500) }] })
      assert.deepEqual([refused.status, codeOf(refused)], [429, 'rate_limit_exceeded'])
      assert.equal(refused.headers['x-should-retry'], 'false')
      assert.deepEqual(await backend.seen(), [])
    },
  )
})

test('a failed attempt is refunded, an aborted stream is not forgotten', async () => {
  const { begin, words } = chat.events(['one ', 'two '])
  const backend = await server.open(whole({ error: { message: 'no' } }, { status: 400 }), [
    streamHead(),
    ...[...begin, ...words].map(chunk),
    HANG,
  ])
  await withProxy(
    makeTable({ models: { auto: { limits: { tokensPerMinute: 1000 }, backends: [{ url: backend.url }] } } }),
    async (proxy) => {
      const used = (): Promise<number | undefined> =>
        metric(proxy, 'llama_swap_model_limit_used{model="default/auto",limit="tokensPerMinute"}')
      assert.equal((await post(proxy)).status, 400)
      assert.equal(await used(), 0)
      const leaving = asking(proxy.url, { body: { ...request, stream: true } })
      await leaving.until((body) => body.includes('two'))
      leaving.leave()
      await eventually(async () => assert.equal(await metric(proxy, 'llama_swap_limit_bookings_open'), 0))
      const left = (await used()) ?? 0
      assert.ok(left > 0 && left < 50, `${left} tokens`)
    },
  )
})

test('the money of a day: by the prices of the backend that served', async () => {
  const backend = await server.open(answered(1000))
  const pricing = { inputPerMillionTokens: 500, outputPerMillionTokens: 1000 }
  const table = makeTable({
    models: { m: { backends: [{ url: backend.url, pricing }] } },
    policies: { auto: { targets: ['m'], clients: [{ match: {}, limits: { costPerDay: 1 } }] } },
  })
  await withProxy(table, async (proxy) => {
    assert.equal((await post(proxy)).status, 200)
    const ratio = await metric(proxy, 'llama_swap_client_limit_used_ratio{policy="default/auto",client="default",limit="costPerDay"}')
    assert.ok(Math.abs((ratio ?? 0) - (990 * 0.0005 + 10 * 0.001)) < 1e-9)
    assert.equal((await post(proxy)).status, 200)
    const refused = await post(proxy)
    assert.deepEqual([refused.status, codeOf(refused)], [429, 'insufficient_quota'])
  })
})

test('requests of a rule that has limits count against those alone', async () => {
  const backend = await server.open(answered(20), answered(20), answered(20))
  const table = makeTable({ models: { m: { backends: [{ url: backend.url }] } }, policies: { auto: { targets: ['m'] } } })
  const [policy] = table.policies
  const [rule] = policy?.rules ?? []
  assert.ok(policy !== undefined && rule !== undefined)
  const batch = { ...rule, name: 'batch', matches: [{ maxOutputTokens: { min: 100 } }], limits: { requestsPerMinute: 2 } }
  const limited = { ...policy, rules: [batch, rule], clients: [{ match: {}, limits: { requestsPerMinute: 1 } }] }
  await withProxy({ ...table, policies: [limited] }, async (proxy) => {
    const statuses: number[] = []
    for (const max_tokens of [200, 200, 200, 50, 50]) statuses.push((await post(proxy, { max_tokens })).status)
    assert.deepEqual(statuses, [200, 200, 429, 200, 429])
    const ratio = await metric(
      proxy,
      'llama_swap_client_limit_used_ratio{policy="default/auto",client="default",limit="requestsPerMinute"}',
    )
    assert.equal(ratio, 1)
    assert.equal(await metric(proxy, 'llama_swap_limit_refused_total{scope="client",name="default/auto",limit="requestsPerMinute"}'), 2)
  })
})

test('an upstream that says it has nothing left gets nothing until its reset; then it is back', async () => {
  const spent = { 'x-ratelimit-limit-requests': '100', 'x-ratelimit-remaining-requests': '0', 'x-ratelimit-reset-requests': '1.5s' }
  const [own, other] = [await server.open(answered(20, spent), answered(20)), await server.open(answered(20))]
  const table = makeTable({
    models: { m: { backends: [{ url: own.url }] }, n: { backends: [{ url: other.url }] } },
    policies: { auto: { targets: ['m'], fallback: { targets: ['n'] } } },
  })
  await withProxy(table, async (proxy) => {
    assert.equal((await post(proxy)).headers['x-llama-swap-model'], 'm')
    for (let count = 0; count < 5; count++) assert.equal((await post(proxy)).headers['x-llama-swap-model'], 'n')
    await eventually(async () => assert.equal((await post(proxy)).headers['x-llama-swap-model'], 'm'))
  })
})

test('as an upstream nears its quota traffic moves away in proportion, and the head says so', async () => {
  const nearly = { 'x-ratelimit-limit-requests': '1000', 'x-ratelimit-remaining-requests': '100', 'x-ratelimit-reset-requests': '60s' }
  const [own, other] = [await server.open(answered(20, nearly)), await server.open(answered(20))]
  const table = makeTable({
    models: { m: { backends: [{ url: own.url, weight: 1 }] }, n: { backends: [{ url: other.url }] } },
    policies: { auto: { targets: ['m', 'n'], fallback: {} } },
  })
  await withProxy(table, async (proxy) => {
    await post(proxy, { model: 'm' })
    const answers: Got[] = []
    for (let count = 0; count < 200; count++) answers.push(await post(proxy))
    const mine = answers.filter(({ headers }) => headers['x-llama-swap-model'] === 'm')
    // Half its share: a third of all. Four standard deviations of 200 throws are 27.
    assert.ok(mine.length > 39 && mine.length < 94, `${mine.length} of 200`)
    assert.match(String(mine[0]?.headers['x-llama-swap-why']), /quotas shift.*quota 9\d %/)
    assert.equal(await metric(proxy, 'llama_swap_upstream_quota_used_ratio{model="default/m",backend="b0"}'), 0.9)
  })
})

test('of two credentials the one that has nothing left rests, though its answer was a success', async () => {
  const spent = { 'anthropic-ratelimit-requests-limit': '50', 'anthropic-ratelimit-requests-remaining': '0' }
  const reset = new Date(Date.now() + 60_000).toISOString()
  const backend = await server.open(answered(20, { ...spent, 'anthropic-ratelimit-requests-reset': reset }), answered(20))
  await withProxy(makeTable({ models: { auto: { backends: [{ url: backend.url, keys: ['one', 'two'] }] } } }), async (proxy) => {
    for (let count = 0; count < 6; count++) assert.equal((await post(proxy)).status, 200)
    const keys = (await backend.seen()).map(({ headers }) => headers.find(([name]) => name.toLowerCase() === 'authorization')?.[1])
    assert.deepEqual(
      keys.slice(1),
      Array.from({ length: 5 }, () => keys[1]),
    )
    assert.notEqual(keys[0], keys[1])
  })
})
