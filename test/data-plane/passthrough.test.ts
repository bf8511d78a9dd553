/** `/upstream/{model}/…`: off unless the model says so; raw both ways; credentials kept apart; WebSockets; cut answers look cut. */
import assert from 'node:assert/strict'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { text } from 'node:stream/consumers'
import { after, before, describe, test } from 'node:test'
import { WebSocket, WebSocketServer } from 'ws'
import { type AskOptions, ask, asking, type Got } from '../support/client.ts'
import { isError } from '../support/errors.ts'
import { closedPort, listenOn } from '../support/ports.ts'
import { type RunningProxy, startProxy } from '../support/proxy.ts'
import { rawClient } from '../support/raw.ts'
import { jsonOf } from '../support/routes.ts'
import { makeTable } from '../support/table.ts'

const KEY = 'sk-client-0123456789-abcdefgh'
const OTHER_KEY = 'sk-other-0123456789-abcdefgh'
const BACKEND_KEY = 'sk-backend-0123456789-abcdefgh'
const AUTH = { authorization: `Bearer ${KEY}` }

let engine: Server
let sockets: WebSocketServer
let proxy: RunningProxy
/** Told when the engine's side of a request is closed before its end. */
let onAborted: () => void = () => {}

before(async () => {
  engine = createServer((request, response) => void serve(request, response))
  sockets = new WebSocketServer({ server: engine })
  sockets.on('connection', echo)
  const url = `http://127.0.0.1:${await listenOn(engine)}`
  const open = { enabled: true, forwardAuth: false }
  proxy = await startProxy(
    makeTable({
      models: {
        off: { backends: [{ url }] },
        raw: { passthrough: open, backends: [{ url, keys: [BACKEND_KEY] }] },
        signed: { passthrough: { enabled: true, forwardAuth: true }, backends: [{ url, keys: [BACKEND_KEY] }] },
        gone: { passthrough: open, backends: [{ url: `http://127.0.0.1:${await closedPort()}` }] },
        metadata: { passthrough: open, backends: [{ url: 'http://169.254.169.254' }] },
      },
      policies: { auto: { targets: ['raw'] } },
      keys: [
        { key: KEY, client: 'default/apps' },
        { key: OTHER_KEY, client: 'elsewhere/apps' },
      ],
    }),
    { auth: 'Required' },
  )
})
after(async () => {
  await proxy.close()
  sockets.close()
  engine.closeAllConnections()
  engine.close()
})

/** Says what it was asked; `/cut` breaks off in the middle, `/hang` never answers. */
async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
  response.on('close', () => response.writableFinished || onAborted())
  if (request.url === '/cut') {
    response.writeHead(200, { 'content-type': 'text/plain' })
    response.write('half an answer', () => response.destroy())
    return
  }
  if (request.url === '/hang') return
  const body = await text(request)
  response.writeHead(207, { 'x-engine': 'yes', 'content-type': 'application/json' })
  response.end(JSON.stringify({ method: request.method, url: request.url, headers: request.headers, body }))
}

function echo(socket: WebSocket, request: IncomingMessage): void {
  socket.send(JSON.stringify({ url: request.url, headers: request.headers }))
  socket.on('message', (bytes, isBinary) => socket.send(bytes, { binary: isBinary }))
}

const get = (path: string, options: AskOptions = {}): Promise<Got> => ask(proxy.url, { method: 'GET', path, headers: AUTH, ...options })

function seenBy({ body }: Got): { url: unknown; headers: Record<string, unknown>; body: unknown; method: unknown } {
  const { url, headers, body: sent, method } = jsonOf(body)
  return { url, method, body: sent, headers: typeof headers === 'object' && headers !== null ? { ...headers } : {} }
}

test('off by default, and only for those who may use the model', async () => {
  isError(await get('/upstream/off/health'), 'model_not_found')
  isError(await get('/upstream/nope/health'), 'model_not_found')
  isError(await get('/upstream/auto/health'), 'model_not_found')
  isError(await get('/upstream/raw/health', { headers: {} }), 'invalid_api_key')
  isError(await get('/upstream/raw/health', { headers: { authorization: `Bearer ${OTHER_KEY}` } }), 'model_not_found')
})

test('where a key is optional, a pass-through needs one all the same', async () => {
  const address = engine.address()
  const url = `http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}`
  const passthrough = { enabled: true, forwardAuth: false }
  const own = await startProxy(
    makeTable({ models: { raw: { passthrough, backends: [{ url }] } }, keys: [{ key: KEY, client: 'default/apps' }] }),
    {
      auth: 'Optional',
    },
  )
  try {
    isError(await ask(own.url, { method: 'GET', path: '/upstream/raw/x' }), 'invalid_api_key')
    assert.equal((await ask(own.url, { method: 'GET', path: '/upstream/raw/x', headers: AUTH })).status, 207)
  } finally {
    await own.close()
  }
})

test('it has an access line, as what nobody serves has', async () => {
  await get('/upstream/raw/health', { headers: { ...AUTH, 'x-request-id': 'raw-line' } })
  const line = await proxy.accessLine('raw-line')
  assert.deepEqual([line['route'], line['path'], line['status'], line['error_type']], ['other', '/upstream/raw/health', 207, null])
  await get('/nowhere', { headers: { 'x-request-id': 'no-line' } })
  const none = await proxy.accessLine('no-line')
  assert.deepEqual([none['status'], none['code'], none['error_type']], [404, 'not_found', 'caller_invalid_request'])
})

describe('a raw request', () => {
  test('GET with its path and query as they were sent', async () => {
    for (const [path, reaches] of [
      ['/upstream/raw/health', '/health'],
      ['/upstream/raw/a%20b/c?x=1&y=%2F', '/a%20b/c?x=1&y=%2F'],
      ['/upstream/raw', '/'],
      ['/upstream/default%2Fraw/slots', '/slots'],
    ] as const) {
      const got = await get(path)
      assert.deepEqual([got.status, got.headers['x-engine'], seenBy(got).url], [207, 'yes', reaches])
    }
  })

  test('a path that climbs reaches the same host, never our own routes', async () => {
    const client = rawClient(proxy.port)
    client.send(`GET /upstream/raw/../../v1/models HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${KEY}\r\nconnection: close\r\n\r\n`)
    const { text: answer } = await client.closed()
    assert.match(answer, /^HTTP\/1\.1 207 .*"url":"\/[^"]*v1\/models"/s)
  })

  test('POST with every byte of its body, also in another content type', async () => {
    const body = 'π'.repeat(50_000)
    const got = await ask(proxy.url, {
      path: '/upstream/raw/tokenize',
      body,
      headers: { ...AUTH, 'content-type': 'text/plain', 'content-length': String(Buffer.byteLength(body)) },
    })
    const seen = seenBy(got)
    assert.deepEqual([seen.method, seen.body === body, seen.headers['content-type']], ['POST', true, 'text/plain'])
  })

  test("without the client's credential, and with the backend's own only where the model says forwardAuth", async () => {
    const headers = { ...AUTH, 'x-api-key': KEY, cookie: 'a=b', 'proxy-authorization': 'Basic x' }
    const raw = seenBy(await get('/upstream/raw/x', { headers })).headers
    for (const name of ['authorization', 'x-api-key', 'cookie', 'proxy-authorization']) assert.equal(raw[name], undefined, name)
    const signed = seenBy(await get('/upstream/signed/x', { headers })).headers
    assert.deepEqual([signed['authorization'], signed['x-api-key']], [`Bearer ${BACKEND_KEY}`, undefined])
    assert.equal(proxy.program.output().includes(BACKEND_KEY), false)
  })

  test('an answer that breaks off is a broken body, not a clean end', async () => {
    const got = await get('/upstream/raw/cut')
    assert.deepEqual([got.body, got.whole], ['half an answer', false])
  })

  test('an engine that is gone, an address that is denied: a typed error', async () => {
    isError(await get('/upstream/gone/x'), 'upstream_error')
    isError(await get('/upstream/metadata/latest'), 'no_available_target')
  })

  test('a client that leaves takes its request along', async () => {
    const aborted = new Promise<void>((resolve) => {
      onAborted = resolve
    })
    const client = asking(proxy.url, { method: 'GET', path: '/upstream/raw/hang', headers: AUTH })
    await inFlight(1)
    client.leave()
    await aborted
    await inFlight(0)
  })
})

async function inFlight(count: number): Promise<void> {
  for (;;) {
    const counts = [...(await (await fetch(`${proxy.adminUrl}/debug/endpoints`)).text()).matchAll(/"inFlight": (\d+)/g)]
    if (counts.reduce((sum, [, value]) => sum + Number(value), 0) === count) return
  }
}

describe('a WebSocket', () => {
  const open = (path: string, headers: Readonly<Record<string, string>> = AUTH): WebSocket =>
    new WebSocket(`ws://127.0.0.1:${proxy.port}${path}`, { headers })

  /** Resolves with the first message and an asker for the next ones. */
  function opened(socket: WebSocket): Promise<string> {
    return new Promise((resolve, reject) => {
      socket.once('message', (bytes: Buffer) => resolve(bytes.toString()))
      socket.once('error', reject)
    })
  }

  test('echoes text and binary both ways, without the client credential', async () => {
    const socket = open('/upstream/raw/realtime?model=x')
    const { url, headers } = jsonOf(await opened(socket))
    assert.equal(url, '/realtime?model=x')
    assert.equal(JSON.stringify(headers).includes(KEY), false)
    for (const message of ['hello', Buffer.from([0, 255, 1]), 'x'.repeat(100_000)]) {
      const echoed = new Promise<Buffer>((resolve) => socket.once('message', (bytes: Buffer) => resolve(bytes)))
      socket.send(message)
      assert.equal(Buffer.compare(await echoed, Buffer.from(message)), 0)
    }
    const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()))
    socket.close()
    await closed
    await inFlight(0)
  })

  test('is refused without a key, where it is off, and where nobody listens', async () => {
    const statusOf = (socket: WebSocket): Promise<number> =>
      new Promise((resolve) => {
        socket.on('unexpected-response', (_request, response) => resolve(response.statusCode ?? 0))
        socket.on('error', () => resolve(0))
      })
    assert.equal(await statusOf(open('/upstream/raw/x', {})), 401)
    assert.equal(await statusOf(open('/upstream/off/x')), 404)
    assert.equal(await statusOf(open('/v1/chat/completions')), 405)
    assert.ok((await statusOf(open('/upstream/gone/x'))) !== 101)
    assert.equal((await get('/v1/models')).status, 200)
  })
})
