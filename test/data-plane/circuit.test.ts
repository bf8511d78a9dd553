/** Circuits over real sockets: open, half-open, ramping, closed; who is the probe, and what never counts. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import { text } from 'node:stream/consumers'
import { after, before, test } from 'node:test'
import { ask, asking, type Got } from '../support/client.ts'
import { eventually } from '../support/eventually.ts'
import { error, HANG, wait, whole } from '../support/model-server/answers.ts'
import { type ModelServer, startModelServer } from '../support/model-server/model-server.ts'
import { type RunningProxy, startProxy } from '../support/proxy.ts'
import { ROUTES } from '../support/routes.ts'
import { makeTable, type TableLines } from '../support/table.ts'

const { chat } = ROUTES
const WELL = whole(chat.answer(['well']))
const BROKEN = error(500, null, 'broken')
const AUTO = { auto: { strategy: 'Priority', targets: ['a', 'b'], fallback: {} } } as const

let server: ModelServer
before(() => {
  server = startModelServer()
})
after(() => server.close())

async function withProxy(lines: TableLines, use: (proxy: RunningProxy) => Promise<void>): Promise<void> {
  const proxy = await startProxy(makeTable(lines))
  try {
    await use(proxy)
  } finally {
    await proxy.close()
  }
}

const askFor = (proxy: RunningProxy, model: string, headers: Readonly<Record<string, string>> = {}): Promise<Got> =>
  ask(proxy.url, { body: chat.request(model, false), headers })

const servedBy = ({ status, headers }: Got): string => {
  assert.equal(status, 200)
  return String(headers['x-llama-swap-model'])
}
const why = ({ headers }: Got): string => String(headers['x-llama-swap-why'])

const metrics = async (proxy: RunningProxy): Promise<string> => (await fetch(`${proxy.metricsUrl}/metrics`)).text()

async function assertState(proxy: RunningProxy, model: string, state: string): Promise<void> {
  assert.match(await metrics(proxy), new RegExp(`^llama_swap_circuit_state\\{model="default/${model}",.*state="${state}"\\} 1$`, 'm'))
}

/** Until one is the probe of "a". */
const untilProbe = (proxy: RunningProxy): Promise<Got> =>
  eventually(async () => {
    const got = await askFor(proxy, 'auto')
    assert.match(why(got), /half-open probe/)
    return got
  })

test('three failures open it, one request finds out that it works again, its share grows, it closes', async () => {
  const [a, b] = [await server.open(BROKEN), await server.open(WELL)]
  const models = { a: { priority: 0, backends: [{ url: a.url }] }, b: { priority: 1, backends: [{ url: b.url }] } }
  await withProxy({ models, policies: AUTO }, async (proxy) => {
    for (let at = 0; at < 2; at++) assert.equal(servedBy(await askFor(proxy, 'auto')), 'b')
    await assertState(proxy, 'a', 'open')
    assert.equal((await a.seen()).length, 3)
    await a.script([wait('well'), ...WELL])
    const asked: Promise<Got>[] = []
    await eventually(async () => {
      asked.push(askFor(proxy, 'auto'))
      assert.equal((await a.seen()).length, 4)
    })
    for (let at = 0; at < 5; at++) assert.equal(servedBy(await askFor(proxy, 'auto')), 'b', 'one probe is enough')
    await assertState(proxy, 'a', 'half_open')
    assert.equal((await a.seen()).length, 4)
    a.go('well')
    const all = await Promise.all(asked)
    assert.deepEqual(all.filter((got) => servedBy(got) === 'a').map(why), ['priority 0 1/1; half-open probe'])
    const next = await askFor(proxy, 'auto')
    assert.equal(servedBy(next), 'a')
    assert.match(why(next), /ramping 10 %/)
    const shown = await (await fetch(`${proxy.adminUrl}/debug/endpoints`)).text()
    assert.match(shown, /"state": "ramping"/)
    await eventually(async () => {
      assert.equal(servedBy(await askFor(proxy, 'auto')), 'a')
      await assertState(proxy, 'a', 'closed')
    }, 20_000)
    const counted = await metrics(proxy)
    assert.match(counted, /^llama_swap_circuit_opened_total\{model="default\/a",backend="b0",reason="in_a_row"\} 1$/m)
    assert.match(counted, /^llama_swap_circuit_probes_total\{model="default\/a",backend="b0",result="closed"\} 1$/m)
  })
})

test('a client that leaves while its request is the probe leaves the place to the next', async () => {
  const [a, b] = [await server.open(BROKEN), await server.open(WELL)]
  const models = { a: { priority: 0, backends: [{ url: a.url }] }, b: { priority: 1, backends: [{ url: b.url }] } }
  await withProxy({ models, policies: AUTO }, async (proxy) => {
    for (let at = 0; at < 2; at++) await askFor(proxy, 'auto')
    await a.script([HANG])
    let probe = asking(proxy.url, { body: chat.request('auto', false) })
    await eventually(async () => {
      if ((await a.seen()).length < 4) {
        probe.leave()
        probe = asking(proxy.url, { body: chat.request('auto', false) })
      }
      assert.equal((await a.seen()).length, 4)
    })
    await a.script(WELL)
    assert.equal(servedBy(await askFor(proxy, 'auto')), 'b')
    probe.leave()
    assert.equal(servedBy(await untilProbe(proxy)), 'a')
    assert.match(await metrics(proxy), /^llama_swap_circuit_probes_total\{.*result="inconclusive"\} 1$/m)
  })
})

test('when nothing else is left it is asked all the same, and its own error is the answer', async () => {
  const a = await server.open(BROKEN)
  await withProxy({ models: { a: { backends: [{ url: a.url }], retry: { sameEndpoint: 0 } } } }, async (proxy) => {
    for (let at = 0; at < 3; at++) await askFor(proxy, 'a')
    const got = await askFor(proxy, 'a')
    assert.equal(got.status, 502)
    assert.match(got.body, /broken/)
    assert.match(await metrics(proxy), /^llama_swap_panic_attempts_total\{model="default\/a",backend="b0"\} [1-9]/m)
  })
})

test("a caller's own deadline, too short, is no fault of the endpoint", async () => {
  const a = await server.open([HANG])
  await withProxy({ models: { a: { backends: [{ url: a.url }] } } }, async (proxy) => {
    for (let at = 0; at < 5; at++) assert.equal((await askFor(proxy, 'a', { 'x-llama-swap-timeout': '100ms' })).status, 504)
    await assertState(proxy, 'a', 'closed')
  })
})

/** An engine of one's own: it answers health requests, and completions once it is well. */
interface Engine {
  readonly url: string
  readonly server: Server
  /** Bodies of completions. */
  readonly asked: string[]
  well: boolean
}

async function startEngine(): Promise<Engine> {
  const engine: { -readonly [K in keyof Engine]: Engine[K] } = { url: '', server: createServer(), asked: [], well: false }
  engine.server.on('request', (request, response) => {
    response.setHeader('content-type', 'application/json')
    if (request.method === 'GET') return response.end(JSON.stringify({ object: 'list', data: [{ id: 'a' }] }))
    return void text(request).then((body) => {
      engine.asked.push(body)
      response.statusCode = engine.well ? 200 : 500
      response.end(JSON.stringify(engine.well ? chat.answer(['well']) : { error: { message: 'broken' } }))
    })
  })
  engine.server.listen(0, '127.0.0.1')
  await once(engine.server, 'listening')
  const address = engine.server.address()
  engine.url = `http://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`
  return engine
}

test('at an engine of our own no request is the probe: we ask for one token ourselves', async (t) => {
  const [engine, b] = [await startEngine(), await server.open(WELL)]
  t.after(() => {
    engine.server.closeAllConnections()
    engine.server.close()
  })
  const models = { a: { priority: 0, backends: [{ url: engine.url, probed: true }] }, b: { priority: 1, backends: [{ url: b.url }] } }
  await withProxy({ models, policies: AUTO }, async (proxy) => {
    await eventually(async () => assert.match(await metrics(proxy), /^llama_swap_endpoint_ready\{model="default\/a".*\} 1$/m))
    for (let at = 0; at < 2; at++) assert.equal(servedBy(await askFor(proxy, 'auto')), 'b')
    const isOurs = (body: string): boolean => body.includes('"max_tokens":1,')
    assert.equal(engine.asked.filter((body) => !isOurs(body)).length, 3)
    await eventually(async () => assert.ok(engine.asked.some(isOurs)))
    assert.equal(servedBy(await askFor(proxy, 'auto')), 'b')
    assert.equal(engine.asked.filter((body) => !isOurs(body)).length, 3)
    engine.well = true
    await eventually(async () => assertState(proxy, 'a', 'ramping'))
    assert.equal(servedBy(await askFor(proxy, 'auto')), 'a')
    assert.match(await metrics(proxy), /^llama_swap_circuit_probes_total\{.*result="reopened"\} [1-9]/m)
  })
})

test('of several credentials those that are refused or limited are left out, and their endpoint is not', async () => {
  const a = await server.open(error(401, 'invalid_api_key', 'no'), error(401, 'invalid_api_key', 'no'), WELL)
  const lines = {
    models: { a: { backends: [{ url: a.url, keys: ['one', 'two', 'three'] }], retry: { totalAttempts: 1, sameEndpoint: 0 } } },
  }
  await withProxy(lines, async (proxy) => {
    const got = await askFor(proxy, 'a')
    assert.equal(servedBy(got), 'a')
    assert.equal(got.headers['x-llama-swap-attempts'], '3')
    await assertState(proxy, 'a', 'closed')
    const shown = await (await fetch(`${proxy.adminUrl}/debug/endpoints`)).text()
    assert.equal(shown.match(/"state": "disabled"/g)?.length, 2)
    assert.equal(shown.match(/"state": "in_use"/g)?.length, 1)
    assert.doesNotMatch(shown, /one|two|three/)
    for (let at = 0; at < 3; at++) assert.equal((await askFor(proxy, 'a')).headers['x-llama-swap-attempts'], '1')
  })
})
