import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { type TestContext, test } from 'node:test'
import type { Backend } from '../routing-table/v1.ts'
import { Prober } from './prober.ts'
import type { ProbedEndpoint, ProbeReport, RetestReport } from './report.ts'

type Route = { status?: number; headers?: Record<string, string>; body?: unknown } | ((res: ServerResponse) => void)

interface Scripted {
  origin: string
  /** Path → answer; anything else is 404. Changed while it runs. */
  routes: Record<string, Route>
  asked: string[]
  received: IncomingMessage[]
}

async function scripted(t: TestContext, routes: Record<string, Route>): Promise<Scripted> {
  const engine: Scripted = { origin: '', routes, asked: [], received: [] }
  const server = createServer((req, res) => {
    engine.asked.push(req.url ?? '')
    engine.received.push(req)
    answer(engine.routes[(req.url ?? '').split('?')[0] ?? ''] ?? { status: 404 }, res)
  })
  engine.origin = await listening(server)
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  return engine
}

function answer(route: Route, res: ServerResponse): void {
  if (typeof route === 'function') {
    route(res)
    return
  }
  const body = typeof route.body === 'string' ? route.body : JSON.stringify(route.body ?? {})
  res.writeHead(route.status ?? 200, route.headers).end(body)
}

async function listening(server: Server): Promise<string> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  return `http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}`
}

function endpoint(origin: string, changes: Partial<Backend> = {}): ProbedEndpoint {
  const backend: Backend = {
    name: 'gpu',
    weight: 1,
    priority: 0,
    engine: 'Auto',
    upstreamModel: 'm',
    health: { intervalMs: 5, timeoutMs: 2000 },
    signals: { intervalMs: 5 },
    timeouts: {},
    headers: [],
    probed: true,
    simulated: false,
    ...changes,
  }
  return { id: 'e1', model: 'default/m', backend, endpoint: { id: 'e1', origin, basePath: '/v1' } }
}

/** A prober whose reports can be awaited. It ends with the test. */
function probing(t: TestContext): {
  prober: Prober
  reports: ProbeReport[]
  until(is: (report: ProbeReport) => boolean): Promise<ProbeReport>
} {
  const reports: ProbeReport[] = []
  let arrived = Promise.withResolvers<void>()
  const prober = new Prober({
    random: () => 0.5,
    onReport: (report) => {
      reports.push(report)
      arrived.resolve()
      arrived = Promise.withResolvers<void>()
    },
  })
  t.after(() => prober.close())
  const until = async (is: (report: ProbeReport) => boolean) => {
    for (let next = 0; ; next += 1) {
      while (reports.length <= next) await arrived.promise
      const report = reports[next]
      if (report !== undefined && is(report)) return report
    }
  }
  return { prober, reports, until }
}

const VLLM_LIST = { body: { object: 'list', data: [{ id: 'm', owned_by: 'vllm', max_model_len: 8192 }] } }
const VLLM: Record<string, Route> = {
  '/v1/models': VLLM_LIST,
  '/health': { body: '' },
  '/metrics': { body: 'vllm:num_requests_running{engine="0"} 2\nvllm:num_requests_waiting{engine="0"} 1\nvllm:kv_cache_usage_perc 0.5\n' },
}

test('a vLLM is detected, found healthy and its load read', async (t) => {
  const engine = await scripted(t, VLLM)
  const { prober, until } = probing(t)
  prober.apply([endpoint(engine.origin)])
  const report = await until((r) => r.waiting !== undefined)
  assert.equal(report.healthy, true)
  assert.equal(report.engine, 'vLLM')
  assert.deepEqual([report.running, report.waiting, report.cacheUsed, report.contextWindowTokens], [2, 1, 0.5, 8192])
  assert.equal(report.modelMissing, false)
  assert.ok(report.capabilities?.includes('chat'))
  assert.ok((report.responseMs ?? -1) >= 0)
  assert.ok((report.signalsAtMs ?? 0) > 0)
})

test('an Ollama is told by its version, and asked nothing that loads a model', async (t) => {
  const engine = await scripted(t, {
    '/v1/models': { body: { object: 'list', data: [{ id: 'm:latest', owned_by: 'library' }] } },
    '/api/version': { body: { version: '0.12.6' } },
    '/': { body: 'Ollama is running' },
    '/api/ps': { body: { models: [{ model: 'm:latest', context_length: 4096 }] } },
  })
  const { prober, until } = probing(t)
  prober.apply([endpoint(engine.origin)])
  const report = await until((r) => r.contextWindowTokens !== undefined)
  assert.deepEqual([report.engine, report.healthy, report.waiting], ['Ollama', true, undefined])
  assert.deepEqual([...new Set(engine.asked)].sort(), ['/', '/api/ps', '/api/version', '/v1/models', '/version'])
})

test('a LocalAI is told by its version, although it answers as an Ollama too', async (t) => {
  const engine = await scripted(t, {
    '/v1/models': { body: { object: 'list', data: [{ id: 'm', object: 'model' }] } },
    '/version': { body: { version: 'v3.6.0 (4ba9c2a1)' } },
    '/api/version': { body: { version: '0.9.0' } },
    '/readyz': { body: '' },
  })
  const { prober, until } = probing(t)
  prober.apply([endpoint(engine.origin)])
  const report = await until((r) => r.modelMissing !== undefined)
  assert.deepEqual([report.engine, report.healthy, report.waiting], ['LocalAI', true, undefined])
  assert.deepEqual([...new Set(engine.asked)].sort(), ['/readyz', '/v1/models', '/version'])
})

test('a TGI tells its window where it tells of itself', async (t) => {
  const engine = await scripted(t, {
    '/v1/models': { body: { object: 'list', data: [{ id: 'm', object: 'model', created: 0, owned_by: 'm' }] } },
    '/health': { body: '' },
    '/info': { body: { model_id: 'm', max_input_tokens: 4095, max_total_tokens: 4096 } },
    '/metrics': { body: 'tgi_batch_current_size 3\ntgi_queue_size 2\n' },
  })
  const { prober, until } = probing(t)
  prober.apply([endpoint(engine.origin)])
  const report = await until((r) => r.waiting !== undefined)
  assert.deepEqual([report.engine, report.contextWindowTokens, report.running, report.waiting], ['TGI', 4096, 3, 2])
})

test('a TensorRT-LLM keeps its statistics: what reading would consume is not read', async (t) => {
  const engine = await scripted(t, {
    '/v1/models': { body: { object: 'list', data: [{ id: 'm', object: 'model', owned_by: 'tensorrt_llm' }] } },
    '/health': { body: '' },
    '/prometheus/metrics': { body: 'trtllm_num_requests_running 9\ntrtllm_num_requests_waiting 4\n' },
    '/metrics': { body: [] },
  })
  const { prober, until } = probing(t)
  prober.apply([endpoint(engine.origin)])
  const report = await until((r) => r.waiting !== undefined)
  assert.deepEqual([report.engine, report.running, report.waiting], ['TensorRTLLM', 9, 4])
  assert.equal(engine.asked.includes('/metrics'), false)
})

test('an SGLang without loads is read by its metrics', async (t) => {
  const engine = await scripted(t, {
    '/v1/models': { body: { object: 'list', data: [{ id: 'm', owned_by: 'sglang', max_model_len: 4096 }] } },
    '/metrics': { body: 'sglang:num_running_reqs{tp_rank="0"} 2\nsglang:num_queue_reqs{tp_rank="0"} 1\n' },
  })
  const { prober, until } = probing(t)
  prober.apply([endpoint(engine.origin)])
  const report = await until((r) => r.waiting !== undefined)
  assert.deepEqual([report.engine, report.healthy, report.running, report.waiting], ['SGLang', true, 2, 1])
})

test('a loading llama.cpp is unhealthy at once, without a second probe', async (t) => {
  const loading = { status: 503, headers: { server: 'llama.cpp' }, body: { error: { message: 'Loading model', code: 503 } } }
  const engine = await scripted(t, { '/v1/models': loading, '/health': loading })
  const { prober, reports, until } = probing(t)
  prober.apply([endpoint(engine.origin)])
  const first = await until(() => true)
  assert.deepEqual([first.healthy, first.reason, first.engine], [false, 'the model is loading', 'LlamaCpp'])
  engine.routes['/health'] = { body: { status: 'ok' } }
  engine.routes['/v1/models'] = { body: { data: [{ id: 'm', owned_by: 'llamacpp', meta: { n_ctx: 2048 } }] } }
  const ready = await until((r) => r.healthy === true)
  assert.equal(ready.contextWindowTokens, 2048)
  assert.ok(reports.length >= 2)
})

test('llama.cpp without --metrics tells its load by its slots', async (t) => {
  const engine = await scripted(t, {
    '/health': { body: { status: 'ok' } },
    '/metrics': { status: 501 },
    '/slots': { body: [{ is_processing: true }, { is_processing: false }] },
  })
  const { prober, until } = probing(t)
  prober.apply([endpoint(engine.origin, { engine: 'LlamaCpp' })])
  assert.equal((await until((r) => r.running !== undefined)).running, 1)
  assert.ok(engine.asked.every((path) => path === '/v1/models' || path.endsWith('?model=m&autoload=false')))
})

test('an engine that dies is unhealthy after two probes, and detected anew when another comes in its place', async (t) => {
  const engine = await scripted(t, { ...VLLM })
  const { prober, reports, until } = probing(t)
  prober.apply([endpoint(engine.origin)])
  await until((r) => r.healthy === true)
  engine.routes = { '/v1/models': { status: 502 }, '/health': { status: 502 } }
  const down = await until((r) => r.healthy === false)
  assert.equal(down.reason, 'status 502')
  const doubting = reports[reports.indexOf(down) - 1]
  assert.deepEqual([doubting?.healthy, doubting?.reason], [true, 'status 502'])
  engine.routes = { '/v1/models': { body: { data: [{ id: 'other' }] } } }
  const back = await until((r) => r.engine === 'Generic')
  assert.deepEqual([back.healthy, back.modelMissing, back.reason], [true, true, 'the engine has no model "m"'])
  assert.equal(back.contextWindowTokens, undefined)
})

test('a refused connection and an answer that never comes are named', async (t) => {
  const gone = createServer()
  const origin = await listening(gone)
  gone.close()
  await once(gone, 'close')
  const silent = await scripted(t, { '/health': () => {} })
  const { prober, until } = probing(t)
  const slow = endpoint(silent.origin, { engine: 'vLLM', health: { intervalMs: 5, timeoutMs: 30 } })
  prober.apply([endpoint(origin, { engine: 'vLLM' }), { ...slow, id: 'e2' }])
  assert.equal((await until((r) => r.endpointId === 'e1' && r.healthy === false)).reason, 'connection refused')
  assert.equal((await until((r) => r.endpointId === 'e2' && r.healthy === false)).reason, 'no answer within 30 ms')
})

test('an endless answer is not read', async (t) => {
  const engine = await scripted(t, {
    '/v1/models': (res) => {
      const chunk = Buffer.alloc(65_536, 32)
      const more = () => {
        while (res.writable && res.write(chunk));
      }
      res.on('drain', more)
      more()
    },
  })
  const { prober, until } = probing(t)
  prober.apply([endpoint(engine.origin, { engine: 'Generic' })])
  assert.equal((await until((r) => r.healthy === false)).reason, 'answer longer than 1 MiB')
})

test('a removed endpoint is left alone at once: the request under way is aborted and no report follows', async (t) => {
  const arrived = Promise.withResolvers<ServerResponse>()
  const engine = await scripted(t, { '/health': (res) => arrived.resolve(res) })
  const { prober, reports } = probing(t)
  prober.apply([endpoint(engine.origin, { engine: 'vLLM' })])
  const held = await arrived.promise
  const aborted = once(held, 'close')
  prober.apply([])
  await aborted
  await prober.close()
  assert.deepEqual(reports, [])
})

test('a changed weight keeps the probe, a changed address restarts it', async (t) => {
  const [first, second] = [await scripted(t, VLLM), await scripted(t, VLLM)]
  const { prober, reports, until } = probing(t)
  prober.apply([endpoint(first.origin)])
  await until((r) => r.healthy === true)
  prober.apply([endpoint(first.origin, { weight: 7 })])
  assert.equal(first.asked.filter((path) => path === '/v1/models').length, 2)
  const before = reports.length
  prober.apply([endpoint(second.origin)])
  await until((r) => reports.indexOf(r) >= before && r.healthy === true)
  assert.ok(second.asked.includes('/health'))
})

test('what is billed or has a credential is never asked', async (t) => {
  const engine = await scripted(t, VLLM)
  const { prober, until } = probing(t)
  const auth = { header: 'authorization', scheme: 'Bearer', credentials: ['c'] }
  prober.apply([
    { ...endpoint(engine.origin, { probed: false, upstreamModel: 'billed' }), id: 'e2' },
    { ...endpoint(engine.origin, { auth, upstreamModel: 'keyed' }), id: 'e3' },
    endpoint(engine.origin, { headers: [{ name: 'x-tenant', value: 'a' }] }),
  ])
  assert.equal((await until((r) => r.healthy === true)).endpointId, 'e1')
  assert.ok(engine.received.every((req) => req.headers['x-tenant'] === 'a' && req.headers.authorization === undefined))
})

test('signals have an interval of their own', async (t) => {
  const engine = await scripted(t, { ...VLLM })
  const { prober, until } = probing(t)
  prober.apply([endpoint(engine.origin, { engine: 'vLLM', health: { intervalMs: 60_000 }, signals: { intervalMs: 5 } })])
  await until((r) => r.waiting === 1)
  engine.routes['/metrics'] = { body: 'vllm:num_requests_waiting 9\n' }
  const later = await until((r) => r.waiting === 9)
  assert.equal(later.running, undefined)
  assert.equal(engine.asked.filter((path) => path === '/health').length, 1)
})

test('an address that is denied is not asked, be it spelled or looked up', async (t) => {
  const engine = await scripted(t, VLLM)
  const denial = Object.assign(new Error('denied'), { code: 'EADDRDENIED' })
  for (const origin of [engine.origin, engine.origin.replace('127.0.0.1', 'localhost')]) {
    const heard = Promise.withResolvers<ProbeReport>()
    const prober = new Prober({
      random: () => 0.5,
      onReport: (report) => heard.resolve(report),
      addresses: {
        lookup: (_host, _options, callback) => callback(denial, []),
        refusal: (host) => (host === '127.0.0.1' ? denial : undefined),
      },
    })
    t.after(() => prober.close())
    prober.apply([endpoint(origin)])
    assert.equal((await heard.promise).reason, 'its address is denied by this installation')
  }
  assert.deepEqual(engine.asked, [])
})

/** What one re-test of a vLLM finds whose completions are answered so. */
async function retested(t: TestContext, completion: Route, changes: Partial<Backend> = {}): Promise<RetestReport & { asked: string[] }> {
  const engine = await scripted(t, { '/health': { body: '' }, '/v1/chat/completions': completion, '/v1/completions': completion })
  const heard = Promise.withResolvers<RetestReport>()
  const prober = new Prober({ random: () => 0.5, onReport: () => {}, onRetest: (report) => heard.resolve(report) })
  t.after(() => prober.close())
  prober.apply([endpoint(engine.origin, { engine: 'vLLM', health: { intervalMs: 60_000, timeoutMs: 2000 }, ...changes })])
  prober.retest('e1', 1)
  return { ...(await heard.promise), asked: engine.asked.filter((path) => path.endsWith('completions')) }
}

const FOUND: Readonly<Record<string, [Route, Partial<Backend>, string | undefined, string[]]>> = {
  'a completion of one token: it works again': [{ body: {} }, {}, undefined, ['/v1/chat/completions']],
  'completions where chat is not spoken': [{ body: {} }, { capabilities: ['completions'] }, undefined, ['/v1/completions']],
  'a refusal of the request: the engine is there': [{ status: 400 }, {}, undefined, ['/v1/chat/completions']],
  'an error of its own: it does not work': [{ status: 500 }, {}, 'status 500', ['/v1/chat/completions']],
  'a broken connection: it does not work': [(res) => void res.destroy(), {}, 'connection closed', ['/v1/chat/completions']],
  'not asked for a token while it is not healthy': [{ body: {} }, { health: { path: '/down' } }, 'status 404', []],
}

for (const [name, [completion, changes, because, asked]] of Object.entries(FOUND))
  test(`re-test: ${name}`, async (t) => {
    const found = await retested(t, completion, changes)
    assert.deepEqual([found.endpointId, found.because, found.asked], ['e1', because, asked])
  })

test('a re-test that is under way ends with its prober, and tells nothing', async (t) => {
  const engine = await scripted(t, { '/health': { body: '' }, '/v1/chat/completions': () => arrived.resolve() })
  const arrived = Promise.withResolvers<void>()
  const prober = new Prober({ random: () => 0.5, onReport: () => {}, onRetest: () => assert.fail('told') })
  prober.apply([endpoint(engine.origin, { engine: 'vLLM' })])
  prober.retest('e1', 0)
  await arrived.promise
  await prober.close()
})
