/** The end of a proxy: streams run to their end within the grace, readiness goes first, a second signal ends it at once. */
import assert from 'node:assert/strict'
import { after, before, type TestContext, test } from 'node:test'
import { type Asking, ask, asking } from '../support/client.ts'
import { chunk, END, HANG, streamHead, wait } from '../support/model-server/answers.ts'
import { type ModelServer, type ScriptedBackend, startModelServer } from '../support/model-server/model-server.ts'
import { type RunningProxy, startProxy } from '../support/proxy.ts'
import { rawClient, rawRequest } from '../support/raw.ts'
import { ROUTES, WORDS } from '../support/routes.ts'
import { oneModel } from '../support/table.ts'

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
