/** What operators get to see: health, metrics, the admin port, the access line, decision headers, explain. */
import assert from 'node:assert/strict'
import { request as httpRequest } from 'node:http'
import { after, before, describe, test } from 'node:test'
import { ask } from '../support/client.ts'
import { isError } from '../support/errors.ts'
import { error, stream, whole } from '../support/model-server/answers.ts'
import { type ModelServer, type ScriptedBackend, startModelServer } from '../support/model-server/model-server.ts'
import type { Line } from '../support/program.ts'
import { type RunningProxy, startProxy } from '../support/proxy.ts'
import { jsonOf, ROUTES, streamOf } from '../support/routes.ts'
import { makeTable, type TableLines } from '../support/table.ts'

const { chat } = ROUTES
const TRACEPARENT = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'

let server: ModelServer
let backend: ScriptedBackend
let failing: ScriptedBackend
let proxy: RunningProxy

before(async () => {
  server = startModelServer()
  backend = await server.open(whole(chat.answer(['well'])))
  failing = await server.open(error(503, null, 'no capacity'))
  proxy = await startProxy(makeTable(lines()))
})
after(async () => {
  await proxy.close()
  await server.close()
})

const lines = (): TableLines => ({
  models: {
    'llama-70b': { backends: [{ url: backend.url, upstreamModel: 'meta/llama', maxOutput: { tokens: 50 } }] },
    failing: { backends: [{ url: failing.url }] },
    inside: { visibility: 'Internal', backends: [{ url: failing.url }] },
    toy: { backends: [{ url: backend.url, simulated: true }] },
    streams: { backends: [{ url: backend.url }] },
  },
  policies: {
    auto: {
      strategy: 'WeightedRoundRobin',
      targets: [
        ['llama-70b', 10],
        ['failing', 5],
      ],
      fallback: {},
    },
    secretive: { targets: ['inside'], fallback: { targets: ['llama-70b'] } },
  },
})

const text = async (url: string): Promise<string> => (await fetch(url)).text()

describe('health', () => {
  test('/healthz, /startupz and /readyz of a proxy with a table', async () => {
    for (const path of ['/healthz', '/startupz', '/readyz']) assert.equal((await fetch(proxy.metricsUrl + path)).status, 200, path)
    assert.equal((await fetch(`${proxy.metricsUrl}/elsewhere`)).status, 404)
  })

  test('without a table it lives, is not ready and says why; with one, an empty one included, it is ready', async () => {
    const unready = await startProxy('this is no table')
    try {
      const before = await fetch(`${unready.metricsUrl}/readyz`)
      assert.deepEqual([before.status, (await fetch(`${unready.metricsUrl}/healthz`)).status], [503, 200])
      assert.match(await before.text(), /no routing table/)
      isError(await ask(unready.url, { body: chat.request('m', false) }), 'no_routing_table')
      await unready.push(makeTable({}))
      assert.equal((await fetch(`${unready.metricsUrl}/readyz`)).status, 200)
      await unready.push('nonsense again')
      assert.equal((await fetch(`${unready.metricsUrl}/readyz`)).status, 200)
    } finally {
      await unready.close()
    }
  })
})

describe('metrics', () => {
  test('count requests, attempts and decisions by model, with bounded labels', async () => {
    for (let asked = 0; asked < 3; asked++) await ask(proxy.url, { body: chat.request('auto', false) })
    for (const name of ['made-up-1', 'made-up-2']) await ask(proxy.url, { body: chat.request(name, false) })
    const metrics = await text(`${proxy.metricsUrl}/metrics`)
    for (const name of [
      'requests_total',
      'attempts_total',
      'decisions_total',
      'request_duration_seconds_bucket',
      'overhead_seconds_bucket',
    ]) {
      assert.match(metrics, new RegExp(`^llama_swap_${name}\\{`, 'm'), name)
    }
    assert.match(metrics, /^llama_swap_attempts_total\{model="default\/failing",backend="b0",outcome="upstream_overloaded"\} \d+$/m)
    assert.match(metrics, /^gen_ai_client_token_usage_sum\{/m)
    assert.equal(metrics.includes('made-up'), false)
  })

  test('are in the text format, each family with its help and type (`make promtool-check` asks Prometheus itself)', async () => {
    const response = await fetch(`${proxy.metricsUrl}/metrics`)
    assert.match(String(response.headers.get('content-type')), /^text\/plain; version=0\.0\.4/)
    const metrics = await response.text()
    const series = metrics.split('\n').filter((line) => line !== '' && !line.startsWith('#'))
    for (const line of series) assert.match(line, /^[a-z_]+(\{([a-z_]+="[^"\\\n]*",?)*\})? [-+.\deInfNa]+$/)
    for (const name of new Set(series.map((line) => line.replace(/(_bucket|_sum|_count)?[{ ].*$/, '')))) {
      assert.match(metrics, new RegExp(`^# HELP ${name}(_sum|_count)? .+\n# TYPE `, 'm'))
    }
  })
})

describe('the admin port', () => {
  test('shows table and endpoints', async () => {
    const table = await text(`${proxy.adminUrl}/debug/table`)
    assert.match(table, /"ref": "default\/llama-70b"/)
    const endpoints = await text(`${proxy.adminUrl}/debug/endpoints`)
    assert.match(endpoints, /"coolingBecause": "HTTP 503/)
    assert.equal((await fetch(`${proxy.adminUrl}/metrics`)).status, 404, 'metrics have a port of their own here')
  })

  test('answers to localhost only: another Host or Origin is refused', async () => {
    const status = (headers: Readonly<Record<string, string>>): Promise<number> =>
      new Promise((resolve, reject) => {
        const request = httpRequest(`${proxy.adminUrl}/debug/table`, { headers }, (response) => {
          response.resume()
          resolve(response.statusCode ?? 0)
        })
        request.on('error', reject).end()
      })
    assert.equal(await status({}), 200)
    assert.equal(await status({ host: 'localhost:8081', origin: 'http://127.0.0.1:3000' }), 200)
    for (const headers of [
      { host: 'evil.example' },
      { host: 'localhost.evil.example' },
      { origin: 'https://evil.example' },
      { origin: 'null' },
    ]) {
      assert.equal(await status(headers), 403, JSON.stringify(headers))
    }
  })
})

describe('one access line a request', () => {
  test('with its decision, its attempts, usage and times, and no word of the prompt', async () => {
    const headers = { 'x-request-id': 'line-1', traceparent: TRACEPARENT }
    const body = { ...chat.request('secretive', false), messages: [{ role: 'user', content: 'very private words' }], max_tokens: 900 }
    const got = await ask(proxy.url, { body, headers })
    assert.equal(got.headers['x-request-id'], 'line-1')
    const line = await proxy.accessLine('line-1')
    const attempts = Array.isArray(line['attempts']) ? line['attempts'].map(({ model, outcome }) => [model, outcome]) : []
    const {
      path,
      route,
      asked,
      status,
      code,
      rule,
      model,
      backend: name,
      client_namespace,
      input_tokens,
      output_tokens,
      max_output_tokens,
      traceparent,
    } = line
    assert.deepEqual(
      {
        path,
        route,
        asked,
        status,
        code,
        rule,
        model,
        name,
        client_namespace,
        input_tokens,
        output_tokens,
        max_output_tokens,
        traceparent,
      },
      {
        path: '/v1/chat/completions',
        route: 'chat',
        asked: 'secretive',
        status: 200,
        code: null,
        rule: 'default',
        model: 'default/llama-70b',
        name: 'b0',
        client_namespace: 'default',
        input_tokens: 7,
        output_tokens: 1,
        max_output_tokens: 900,
        traceparent: TRACEPARENT,
      },
    )
    assert.deepEqual(attempts, [
      ['default/inside', 'upstream_overloaded'],
      ['default/llama-70b', 'answered'],
    ])
    assert.ok(Number(line['duration_ms']) > 0 && Number(line['overhead_us']) > 0)
    assert.equal(proxy.program.output().includes('private'), false)
    assert.equal(proxy.program.lines().filter((each) => each['request_id'] === 'line-1').length, 1)
  })

  test('errors too, with their code', async () => {
    await ask(proxy.url, { body: '{', headers: { 'x-request-id': 'line-2' } })
    await ask(proxy.url, { body: chat.request('nope', false), headers: { 'x-request-id': 'line-3' } })
    const codes = await Promise.all(['line-2', 'line-3'].map((id) => proxy.accessLine(id)))
    assert.deepEqual(
      codes.map(({ status, code, error_type }: Line) => [status, code, error_type]),
      [
        [400, 'invalid_json', 'caller_invalid_request'],
        [404, 'model_not_found', 'caller_unknown_model'],
      ],
    )
  })

  test('a request id that could break the line is replaced', async () => {
    const got = await ask(proxy.url, { body: chat.request('nope', false), headers: { 'x-request-id': 'a"b c' } })
    assert.match(String(got.headers['x-request-id']), /^[0-9a-f-]{36}$/)
  })
})

test('trace headers reach the backend with the request id; what is changed in the body is what the resource says', async () => {
  const body = { ...chat.request('llama-70b', false), max_tokens: 900 }
  await ask(proxy.url, { body, headers: { traceparent: TRACEPARENT, tracestate: 'a=1', 'x-request-id': 'trace-1', 'x-session-id': 's' } })
  const seen = (await backend.seen()).at(-1)
  const headers = new Map(seen?.headers)
  assert.deepEqual(
    [headers.get('traceparent'), headers.get('tracestate'), headers.get('x-request-id'), headers.get('x-session-id')],
    [TRACEPARENT, 'a=1', 'trace-1', 's'],
  )
  assert.equal(seen?.body, JSON.stringify({ ...body, model: 'meta/llama', max_tokens: 50 }))
})

describe('decision headers', () => {
  test('say who answered and why, on whole answers and on streams', async () => {
    const got = await ask(proxy.url, { body: chat.request('llama-70b', false) })
    assert.equal(got.headers['x-llama-swap-model'], 'llama-70b')
    assert.match(String(got.headers['x-llama-swap-endpoint']), /^b0\/[0-9a-f]{10}$/)
    assert.deepEqual([got.headers['x-llama-swap-attempts'], got.headers['x-llama-swap-rule']], ['1', 'direct'])
    assert.ok(String(got.headers['x-llama-swap-why']).length > 0)
    assert.equal(got.headers['x-llama-swap-simulated'], undefined)
    assert.equal((await ask(proxy.url, { body: chat.request('toy', false) })).headers['x-llama-swap-simulated'], '1')
    await backend.script(stream(streamOf(chat, ['well'])))
    assert.equal((await ask(proxy.url, { body: chat.request('streams', true) })).headers['x-llama-swap-model'], 'streams')
    await backend.script(whole(chat.answer(['well'])))
  })

  test('are on refusals too, with no attempt', async () => {
    const got = await ask(proxy.url, { body: chat.request('nope', false) })
    assert.deepEqual([got.headers['x-llama-swap-attempts'], got.headers['x-llama-swap-why']], ['0', 'model_not_found'])
  })

  test('x-llama-swap-debug adds the candidates, without names that the client may not see', async () => {
    const got = await ask(proxy.url, { body: chat.request('secretive', false), headers: { 'x-llama-swap-debug': '1' } })
    const candidates: unknown = JSON.parse(String(got.headers['x-llama-swap-debug']))
    assert.ok(Array.isArray(candidates))
    assert.deepEqual(
      candidates.map(({ model }) => model),
      ['(hidden)', 'llama-70b'],
    )
    assert.equal(typeof candidates[0].lost, 'string')
    assert.equal(got.rawHeaders.join('\n').includes('inside'), false)
    assert.equal((await ask(proxy.url, { body: chat.request('secretive', false) })).headers['x-llama-swap-debug'], undefined)
  })
})

describe('explain', () => {
  test('says what the headers of the same request say, calls nothing and uses no turn up', async () => {
    const own = await startProxy(makeTable(lines()))
    try {
      const before = (await backend.seen()).length + (await failing.seen()).length
      const explained = jsonOf((await ask(own.url, { path: '/v1/route:explain', body: chat.request('auto', false) })).body)
      for (let again = 0; again < 5; again++) await ask(own.url, { path: '/v1/route:explain', body: chat.request('auto', false) })
      assert.equal((await backend.seen()).length + (await failing.seen()).length, before)
      const { decision } = explained
      assert.ok(typeof decision === 'object' && decision !== null)
      const said: Record<string, unknown> = { ...decision }
      const { headers } = await ask(own.url, { body: chat.request('auto', false) })
      assert.deepEqual(
        [said['model'], `${String(said['backend'])}/${String(said['endpoint'])}`, said['rule'], said['why']],
        [headers['x-llama-swap-model'], headers['x-llama-swap-endpoint'], headers['x-llama-swap-rule'], headers['x-llama-swap-why']],
      )
      assert.deepEqual([said['upstreamModel'], said['clampOutputTokens']], ['meta/llama', 50])
    } finally {
      await own.close()
    }
  })

  test('explains a refusal, another path, and refuses what is no request', async () => {
    const refusal = jsonOf((await ask(proxy.url, { path: '/v1/route:explain', body: chat.request('nope', false) })).body)
    assert.match(JSON.stringify(refusal['decision']), /"kind":"refuse","code":"model_not_found"/)
    const path = '/v1/route:explain?path=/v1/embeddings'
    const other = jsonOf((await ask(proxy.url, { path, body: { model: 'llama-70b', input: 'x' } })).body)
    assert.match(JSON.stringify(other['decision']), /unsupported_capability/)
    assert.equal((await ask(proxy.url, { path: '/v1/route:explain?path=/x', body: {} })).status, 400)
    assert.equal((await ask(proxy.url, { path: '/v1/route:explain', body: '{' })).status, 400)
  })
})

test('the model list has virtual models and aliases, none that is internal', async () => {
  const list = jsonOf(await text(`${proxy.url}/v1/models`))
  const ids = Array.isArray(list['data']) ? list['data'].map(({ id }) => String(id)) : []
  assert.deepEqual(ids.toSorted(), ['auto', 'failing', 'llama-70b', 'secretive', 'streams', 'toy'])
  assert.match(await text(`${proxy.url}/v1/models/auto`), /"kind":"virtual"/)
})
