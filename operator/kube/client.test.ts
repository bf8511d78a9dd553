import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, beforeEach, test } from 'node:test'
import { KubeConfig } from '@kubernetes/client-node'
import { listenOn } from '../../test/support/ports.ts'
import { ApiError } from './api-error.ts'
import { KubeClient, type RequestRecord } from './client.ts'

let answer: (request: IncomingMessage, response: ServerResponse) => void = (_, response) => void response.end('{}')
const server: Server = createServer((request, response) => answer(request, response))
const port = await listenOn(server)
const folder = mkdtempSync(join(tmpdir(), 'llama-swap-kube-'))
const tokenFile = join(folder, 'token')
const records: RequestRecord[] = []
const client = new KubeClient({ load, onRequest: (record) => records.push(record) })

function load(): KubeConfig {
  const config = new KubeConfig()
  const cluster = { name: 'c', server: `http://127.0.0.1:${port}/behind/`, skipTLSVerify: false }
  config.loadFromClusterAndUser(cluster, { name: 'u', authProvider: { name: 'tokenFile', config: { tokenFile } } })
  return config
}

/** Of each test alone: many files are loaded long before their turn comes. */
let signal: AbortSignal
beforeEach(() => {
  signal = AbortSignal.timeout(20_000)
  writeFileSync(tokenFile, 'first\n')
  records.length = 0
})

after(async () => {
  await client.close()
  server.closeAllConnections()
  server.close()
  rmSync(folder, { recursive: true })
})

const json = (response: ServerResponse, status: number, body: unknown, headers = {}): void =>
  void response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body))

test('path, query, token and user agent arrive as they should', async () => {
  const { promise, resolve } = Promise.withResolvers<IncomingMessage>()
  answer = (request, response) => {
    resolve(request)
    json(response, 200, {})
  }
  await client.get('/api/v1/pods', { signal, query: { labelSelector: 'a=b', limit: 5, continue: undefined } })
  const { url, headers } = await promise
  assert.equal(url, '/behind/api/v1/pods?labelSelector=a%3Db&limit=5')
  assert.equal(headers.authorization, 'Bearer first')
  assert.equal(headers['user-agent'], 'llama-swap')
})

test('a token that is refused is read again, once', async () => {
  const tokens: (string | undefined)[] = []
  answer = ({ headers }, response) => {
    tokens.push(headers.authorization)
    json(response, headers.authorization === 'Bearer third' ? 200 : 401, { message: 'Unauthorized', reason: 'Unauthorized' })
  }
  await assert.rejects(client.get('/x', { signal }), { status: 401, reason: 'Unauthorized' })
  writeFileSync(tokenFile, 'third')
  await client.get('/x', { signal })
  assert.deepEqual(tokens, ['Bearer first', 'Bearer first', 'Bearer first', 'Bearer third'])
  assert.deepEqual(
    records.map(({ code, method, host }) => `${code} ${method} ${host}`),
    ['401', '401', '401', '200'].map((code) => `${code} GET 127.0.0.1:${port}`),
  )
})

test('a refusal says status, reason, words and how long to wait', async () => {
  answer = (_, response) => json(response, 429, { message: 'slow down', reason: 'TooManyRequests' }, { 'retry-after': '7' })
  await assert.rejects(client.update('/x', {}, { signal }), {
    name: 'ApiError',
    status: 429,
    reason: 'TooManyRequests',
    retryAfterMs: 7000,
    message: 'PUT /x: slow down',
  })
  answer = (_, response) => void response.writeHead(502).end('<html>bad gateway</html>')
  await assert.rejects(client.get('/x', { signal }), { status: 502, message: 'GET /x: the API server answered 502' })
})

test('what is no object is no answer', async () => {
  answer = (_, response) => void response.end('<html>')
  await assert.rejects(client.get('/x', { signal }), { status: 0, reason: 'BadAnswer' })
})

test('no answer in time is an error of ours, an abort is the reason of who aborted', async () => {
  answer = () => undefined
  await assert.rejects(client.get('/x', { signal, timeoutMs: 50 }), { status: 0, reason: 'Timeout' })
  const mine = new Error('mine')
  const controller = new AbortController()
  const asked = client.get('/x', { signal: controller.signal })
  controller.abort(mine)
  await assert.rejects(asked, mine)
})

test('a connection that breaks is an error that says so', async () => {
  answer = ({ socket }) => void socket.destroy()
  await assert.rejects(client.get('/x', { signal }), { status: 0, reason: 'Unreachable' })
  assert.deepEqual(
    records.map(({ code }) => code),
    ['<error>'],
  )
})

test('an apply goes out as one', async () => {
  const { promise, resolve } = Promise.withResolvers<IncomingMessage>()
  answer = (request, response) => {
    resolve(request)
    json(response, 200, {})
  }
  await client.serverSideApply('/x', { a: 1 }, { signal, fieldManager: 'me', subresource: 'status' })
  const { method, url, headers } = await promise
  assert.deepEqual(
    [method, url, headers['content-type']],
    ['PATCH', '/behind/x/status?fieldManager=me&force=false', 'application/apply-patch+yaml'],
  )
})

test('a stream gives lines as they come, and breaks with an ApiError', async () => {
  answer = (_, response) => {
    response.write('{"a":1}\n{"b":')
    response.write('2}\n', () => response.socket?.destroy())
  }
  const lines: string[] = []
  const reading = async (): Promise<void> => {
    for await (const line of await client.stream('/x', {}, signal)) lines.push(line)
  }
  await assert.rejects(reading(), (error) => error instanceof ApiError && error.reason === 'Unreachable')
  assert.deepEqual(lines, ['{"a":1}', '{"b":2}'])
})

test('hundred streams that stay open keep no call waiting', async () => {
  const controller = new AbortController()
  answer = ({ url }, response) => {
    if (url?.includes('watch') === true) response.writeHead(200).flushHeaders()
    else json(response, 200, { well: true })
  }
  await Promise.all(Array.from({ length: 100 }, async () => client.stream('/watch', {}, controller.signal)))
  assert.deepEqual(await client.get('/x', { signal, timeoutMs: 1000 }), { well: true })
  controller.abort()
})
