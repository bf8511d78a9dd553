/** The end of a proxy: streams run to their end within the grace, readiness goes first, a second signal ends it at once. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { Agent } from 'node:http'
import { after, before, type TestContext, test } from 'node:test'
import { WebSocket, WebSocketServer } from 'ws'
import { type Asking, ask, asking } from '../support/client.ts'
import { eventually } from '../support/eventually.ts'
import { startKeptClients } from '../support/kept-clients.ts'
import { chunk, END, HANG, pause, streamHead, wait } from '../support/model-server/answers.ts'
import { type ModelServer, type ScriptedBackend, startModelServer } from '../support/model-server/model-server.ts'
import { type RunningProxy, startProxy } from '../support/proxy.ts'
import { rawClient, rawRequest } from '../support/raw.ts'
import { startRoundRobin } from '../support/round-robin.ts'
import { ROUTES, WORDS } from '../support/routes.ts'
import { makeTable, oneModel } from '../support/table.ts'

const { chat } = ROUTES
const { begin, words, finish, sentinel } = chat.events(WORDS)
let server: ModelServer
before(() => {
  server = startModelServer()
})
after(() => server.close())

interface Streaming {
  readonly proxy: RunningProxy
  readonly backend: ScriptedBackend
  readonly client: Asking
}

/** A proxy in the middle of a stream, which waits for the gate "on". */
async function streaming(t: TestContext, args: readonly string[]): Promise<Streaming> {
  const backend = await server.open([
    streamHead(),
    ...[...begin, ...words.slice(0, 30)].map(chunk),
    wait('on'),
    ...[...words.slice(30), ...finish, ...sentinel].map(chunk),
    END,
  ])
  const proxy = await startProxy(oneModel('m', backend.url), { args })
  t.after(() => proxy.close())
  const client = asking(proxy.url, { body: chat.request('m', true) })
  await client.until((body) => body.includes('w29 '))
  return { proxy, backend, client }
}

test('SIGTERM in the middle of a stream: unready at once, the stream ends whole, exit code 0', async (t) => {
  const { proxy, backend, client } = await streaming(t, [])
  proxy.program.signal('SIGTERM')
  await proxy.program.line(({ msg }) => msg === 'shutting down')
  const ready = await fetch(`${proxy.metricsUrl}/readyz`)
  assert.deepEqual([ready.status, await ready.text()], [503, 'draining\n'])
  await assert.rejects(ask(proxy.url, { body: chat.request('m', false) }), { code: 'ECONNREFUSED' })
  backend.go('on')
  const got = await client.got
  assert.equal(chat.textOfEvents(got.body), WORDS.join(''))
  assert.ok(got.whole && got.body.endsWith('data: [DONE]\n\n'))
  assert.equal(await proxy.program.ended, 0)
  assert.equal(proxy.program.lines().filter(({ msg }) => msg === 'request').length, 1, 'its access line was written')
})

test('--drain-delay: unready first; until the port closes requests are served, and each closes its connection', async (t) => {
  const { proxy, backend, client } = await streaming(t, ['--drain-delay', '1s'])
  const kept = rawClient(proxy.port)
  kept.send(rawRequest('/v1/chat/completions', chat.request('nope', false)))
  await kept.until((text) => text.includes('model_not_found'))
  proxy.program.signal('SIGTERM')
  await proxy.program.line(({ msg }) => msg === 'shutting down')
  assert.equal((await fetch(`${proxy.metricsUrl}/readyz`)).status, 503)
  kept.send(rawRequest('/v1/chat/completions', chat.request('nope', false)))
  assert.match((await kept.closed()).text, /connection: close/i)
  backend.go('on')
  assert.ok((await client.got).whole)
  assert.equal(await proxy.program.ended, 0)
})

test('--shutdown-grace bounds it: what still runs is cut, and looks cut', async (t) => {
  const { proxy, client } = await streaming(t, ['--shutdown-grace', '300ms'])
  const startMs = Date.now()
  proxy.program.signal('SIGTERM')
  const got = await client.got
  assert.equal(got.whole, false)
  assert.equal(got.body.includes('[DONE]'), false)
  assert.equal(await proxy.program.ended, 0)
  const tookMs = Date.now() - startMs
  assert.ok(tookMs >= 290 && tookMs < 3000, `${tookMs} ms`)
})

test('a second signal ends it at once', async (t) => {
  const { proxy } = await streaming(t, [])
  proxy.program.signal('SIGTERM')
  await proxy.program.line(({ msg }) => msg === 'shutting down')
  const startMs = Date.now()
  proxy.program.signal('SIGINT')
  assert.equal(await proxy.program.ended, 1)
  assert.ok(Date.now() - startMs < 1000)
})

test('idle kept connections do not hold it up', async (t) => {
  const backend = await server.open([HANG])
  const proxy = await startProxy(oneModel('m', backend.url))
  t.after(() => proxy.close())
  const kept = rawClient(proxy.port)
  kept.send(rawRequest('/v1/chat/completions', chat.request('nope', false)))
  await kept.until((text) => text.includes('model_not_found'))
  const silent = rawClient(proxy.port)
  const startMs = Date.now()
  proxy.program.signal('SIGTERM')
  assert.equal(await proxy.program.ended, 0)
  assert.ok(Date.now() - startMs < 2000, `${Date.now() - startMs} ms`)
  silent.destroy()
  kept.destroy()
})

test('SIGINT is the same as SIGTERM', async (t) => {
  const backend = await server.open([HANG])
  const proxy = await startProxy(oneModel('m', backend.url))
  t.after(() => proxy.close())
  proxy.program.signal('SIGINT')
  assert.equal(await proxy.program.ended, 0)
})

/** A kept connection in the middle of a stream whose head was sent before the end began: nobody has told its client to leave. */
async function keptStreaming(t: TestContext) {
  const { proxy, backend } = await streaming(t, [])
  const kept = rawClient(proxy.port)
  t.after(() => kept.destroy())
  kept.send(rawRequest('/v1/chat/completions', chat.request('m', true)))
  await kept.until((text) => text.includes('w29 '))
  assert.match(kept.text(), /connection: keep-alive/i)
  proxy.program.signal('SIGTERM')
  await proxy.program.line(({ msg }) => msg === 'shutting down')
  await eventually(() => assert.rejects(ask(proxy.url, { method: 'GET', path: '/v1/models' }), { code: 'ECONNREFUSED' }))
  backend.go('on')
  await kept.until((text) => text.endsWith('0\r\n\r\n'))
  return { proxy, kept }
}

test('a connection whose stream ends after the port has closed: its next request is answered, and closes it', async (t) => {
  const { proxy, kept } = await keptStreaming(t)
  kept.send(rawRequest('/v1/chat/completions', chat.request('m', true)))
  const { text } = await kept.closed()
  assert.equal(text.match(/HTTP\/1.1 200 OK/g)?.length, 2)
  assert.equal(text.match(/data: \[DONE\]/g)?.length, 2)
  assert.match(text, /connection: close/i)
  assert.equal(await proxy.program.ended, 0)
})

test('a connection whose stream ends after the port has closed: unused it ends within seconds, long before the grace', async (t) => {
  const { proxy, kept } = await keptStreaming(t)
  const startMs = Date.now()
  await kept.closed()
  assert.equal(await proxy.program.ended, 0)
  const tookMs = Date.now() - startMs
  assert.ok(tookMs > 500 && tookMs < 5000, `${tookMs} ms`)
})

test('a WebSocket of a pass-through lives for the grace, and no longer', async (t) => {
  const engine = new WebSocketServer({ port: 0, host: '127.0.0.1' })
  t.after(() => engine.close())
  await once(engine, 'listening')
  engine.on('connection', (socket) => socket.on('message', (bytes) => socket.send(bytes)))
  const address = engine.address()
  const url = `http://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`
  const table = makeTable({ models: { m: { passthrough: { enabled: true, forwardAuth: false }, backends: [{ url }] } } })
  const proxy = await startProxy(table, { args: ['--shutdown-grace', '500ms'] })
  t.after(() => proxy.close())
  const socket = new WebSocket(`ws://127.0.0.1:${proxy.port}/upstream/m/echo`)
  await once(socket, 'open')
  proxy.program.signal('SIGTERM')
  await proxy.program.line(({ msg }) => msg === 'shutting down')
  socket.send('still here')
  assert.equal(String((await once(socket, 'message'))[0]), 'still here')
  await once(socket, 'close')
  assert.equal(await proxy.program.ended, 0)
})

const CLIENTS = 40
const EVERY_MS = 10

test('one of two proxies behind a Service restarts under streams on kept connections: none fails, none is cut', async (t) => {
  const backend = await server.open([
    streamHead(),
    ...[...begin, ...words, ...finish, ...sentinel].flatMap((text) => [chunk(text), pause(EVERY_MS)]),
    END,
  ])
  const start = async (): Promise<RunningProxy> => {
    const proxy = await startProxy(oneModel('m', backend.url), { args: ['--drain-delay', '500ms', '--shutdown-grace', '20s'] })
    t.after(() => proxy.close())
    return proxy
  }
  const [old, other] = await Promise.all([start(), start()])
  const service = await startRoundRobin([old.port, other.port])
  t.after(() => service.close())
  const clients = startKeptClients(t, {
    agents: Array.from({ length: CLIENTS }, () => new Agent({ keepAlive: true, maxSockets: 1 })),
    url: `http://127.0.0.1:${service.port}/v1/chat/completions`,
    body: JSON.stringify(chat.request('m', true)),
    isWhole: (body) => chat.textOfEvents(body) === WORDS.join('') && body.endsWith('data: [DONE]\n\n'),
  })
  const enough = (count: number): Promise<void> => eventually(async () => assert.ok(clients.counts().whole >= count))
  await enough(CLIENTS * 2)
  assert.equal(service.connections, CLIENTS, 'connections are kept')

  old.program.signal('SIGTERM')
  await eventually(async () => assert.equal((await fetch(`${old.metricsUrl}/readyz`)).status, 503)) // what a kubelet sees
  service.remove(old.port)
  assert.equal(await old.program.ended, 0)
  const next = await start()
  service.add(next.port)
  await enough(clients.counts().whole + CLIENTS * 2)

  const { whole, reused, faults } = await clients.stop()
  t.diagnostic(`${whole} streams, ${reused} on kept connections, ${service.connections} connections`)
  assert.deepEqual(faults, [])
  assert.ok(reused > whole / 2)
})

/** More than a slow machine needs for two answers. */
const AGE_MS = 4000

test('--max-connection-age: an answer closes a connection that is as old; a stream across that age is whole', async (t) => {
  const { proxy, backend } = await streaming(t, ['--max-connection-age', `${AGE_MS}ms`])
  const kept = rawClient(proxy.port)
  const openedMs = performance.now()
  t.after(() => kept.destroy())
  kept.send(rawRequest('/v1/chat/completions', chat.request('m', true)))
  await kept.until((text) => text.includes('w29 '))
  assert.match(kept.text(), /connection: keep-alive/i)
  const young = rawClient(proxy.port)
  t.after(() => young.destroy())
  young.send(rawRequest('/v1/chat/completions', chat.request('nope', false)))
  assert.match(await young.until((text) => text.includes('model_not_found')), /connection: keep-alive/i)
  await eventually(async () => {
    const before = young.text().length
    young.send(rawRequest('/v1/chat/completions', chat.request('nope', false)))
    await young.until((text) => text.slice(before).includes('model_not_found'))
    assert.match(young.text().slice(before), /connection: close/i)
  })
  await young.closed()
  await eventually(async () => assert.ok(performance.now() > openedMs + 1.1 * AGE_MS + 100)) // whichever age it drew
  backend.go('on')
  await kept.until((text) => text.endsWith('0\r\n\r\n'))
  assert.match(kept.text(), /data: \[DONE\]/)
  kept.send(rawRequest('/v1/chat/completions', chat.request('m', true)))
  const { text } = await kept.closed()
  assert.equal(text.match(/data: \[DONE\]/g)?.length, 2)
})
