/** Forms too large to be kept, while they flow: clients that stop or leave, engines that refuse, answer early or break. */
import assert from 'node:assert/strict'
import { type ClientRequest, createServer, request as httpRequest, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { text } from 'node:stream/consumers'
import { after, before, test } from 'node:test'
import { isError } from '../support/errors.ts'
import { closedPort, listenOn } from '../support/ports.ts'
import { type RunningProxy, startProxy } from '../support/proxy.ts'
import { makeTable } from '../support/table.ts'

const BODY_TIMEOUT_MS = 1000
const BOUNDARY = 'XbX'
const HEAD = [
  `--${BOUNDARY}\r\nContent-Disposition: form-data; name="model"\r\n\r\nsound\r\n`,
  `--${BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n`,
].join('')
const END = `\r\n--${BOUNDARY}--\r\n`
const MEBIBYTE = Buffer.alloc(1024 * 1024, 'x')

type Serve = (request: IncomingMessage, response: ServerResponse) => void

let engine: Server
let proxy: RunningProxy
let serve: Serve = () => {}
let requests = 0

before(async () => {
  engine = createServer((request, response) => {
    requests++
    request.on('error', () => {})
    serve(request, response)
  })
  const url = `http://127.0.0.1:${await listenOn(engine)}`
  const capabilities = ['audio'] as const
  const refusing = { url: `http://127.0.0.1:${await closedPort()}`, capabilities }
  proxy = await startProxy(
    makeTable({
      models: {
        sound: { backends: [{ url, capabilities }] },
        moved: {
          backends: [
            { ...refusing, priority: 0 },
            { url, capabilities, name: 'next', priority: 1 },
          ],
        },
      },
    }),
    { args: ['--body-timeout', `${BODY_TIMEOUT_MS}ms`] },
  )
})
after(async () => {
  await proxy.close()
  engine.closeAllConnections()
  engine.close()
})

const held = async (): Promise<string | undefined> =>
  /^llama_swap_held_bytes (\d+)$/m.exec(await (await fetch(`${proxy.metricsUrl}/metrics`)).text())?.[1]

interface Upload {
  readonly request: ClientRequest
  readonly response: Promise<IncomingMessage>
}

/** Begins a form of `bytes` in all and sends what `send` does. */
function uploading(bytes: number, id: string, model = 'sound'): Upload {
  requests = 0
  const head = HEAD.replace('sound', model)
  const request = httpRequest(`${proxy.url}/v1/audio/transcriptions`, {
    method: 'POST',
    headers: {
      'content-type': `multipart/form-data; boundary=${BOUNDARY}`,
      'content-length': String(head.length + bytes + END.length),
      'x-request-id': id,
    },
  })
  const response = new Promise<IncomingMessage>((resolve, reject) => {
    request.once('response', resolve)
    request.once('error', reject)
  })
  response.catch(() => {})
  request.write(head)
  return { request, response }
}

/** Writes mebibytes as fast as they are taken. */
async function write(request: ClientRequest, mebibytes: number): Promise<void> {
  const closed = new Promise<void>((resolve) => request.once('close', resolve))
  for (let sent = 0; sent < mebibytes && !request.destroyed; sent++)
    if (!request.write(MEBIBYTE)) await Promise.race([new Promise<void>((resolve) => request.once('drain', resolve)), closed])
}

async function gotOf({ response }: Upload): Promise<{ status: number; headers: IncomingMessage['headers']; body: string }> {
  const answer = await response
  return { status: answer.statusCode ?? 0, headers: answer.headers, body: await text(answer) }
}

/** Reads all and tells how much that was. */
const counting: Serve = (request, response) => {
  let bytes = 0
  request.on('data', (chunk: Buffer) => {
    bytes += chunk.length
  })
  request.on('end', () => response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ text: String(bytes) })))
}

test('a large one passes through in memory that does not grow with it', async () => {
  serve = counting
  const before = await proxy.rssBytes()
  const upload = uploading(400 * MEBIBYTE.length, 'large')
  await write(upload.request, 400)
  upload.request.end(END)
  const got = await gotOf(upload)
  assert.deepEqual([got.status, got.body], [200, JSON.stringify({ text: String(HEAD.length + 400 * MEBIBYTE.length + END.length) })])
  // Garbage that nobody has collected yet included.
  assert.ok((await proxy.rssBytes()) - before < 200 * MEBIBYTE.length)
  assert.equal(await held(), '0')
})

test('an engine that refuses the connection has taken nothing: the next one gets all of it', async () => {
  serve = counting
  const upload = uploading(5 * MEBIBYTE.length, 'moved', 'moved')
  await write(upload.request, 5)
  upload.request.end(END)
  assert.equal((await gotOf(upload)).status, 200)
  const { attempts } = await proxy.accessLine('moved')
  assert.deepEqual(Array.isArray(attempts) && attempts.map(({ outcome }) => outcome), ['upstream_connect_failed', 'answered'])
})

test('a client that stops sending gets 408, and the engine is let go', async () => {
  const left = Promise.withResolvers<void>()
  serve = (request) => {
    request.resume()
    request.on('close', () => left.resolve())
  }
  const upload = uploading(50 * MEBIBYTE.length, 'stalled')
  await write(upload.request, 3)
  isError(await gotOf(upload), 'request_timeout')
  await left.promise
  upload.request.destroy()
  assert.equal(requests, 1)
})

test('a client that leaves takes its request along', async () => {
  const left = Promise.withResolvers<void>()
  const came = Promise.withResolvers<void>()
  serve = (request) => {
    request.once('data', () => came.resolve())
    request.resume()
    request.on('close', () => left.resolve())
  }
  const upload = uploading(50 * MEBIBYTE.length, 'left')
  await write(upload.request, 3)
  await came.promise
  upload.request.destroy()
  await left.promise
  const line = await proxy.accessLine('left')
  assert.deepEqual([line['status'], requests], [499, 1])
})

test('an engine that answers before it has all: that answer, and no second try', async () => {
  serve = (_request, response) =>
    response.writeHead(400, { 'content-type': 'application/json' }).end('{"error":{"message":"no such format"}}')
  const upload = uploading(20 * MEBIBYTE.length, 'early')
  const answer = gotOf(upload)
  await write(upload.request, 20)
  upload.request.end(END)
  const got = await answer
  assert.equal(got.status, 400, got.body)
  assert.match(got.body, /no such format/)
  assert.equal(requests, 1)
})

test('an engine that breaks off in the middle: an error, and no second try', async () => {
  serve = (request) => void request.once('data', () => request.socket.destroy())
  const upload = uploading(20 * MEBIBYTE.length, 'broken')
  const answer = gotOf(upload)
  await write(upload.request, 20)
  upload.request.end(END)
  isError(await answer, 'upstream_error')
  assert.equal(requests, 1)
  assert.equal(await held(), '0')
})
