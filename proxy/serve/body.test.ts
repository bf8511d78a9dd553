/** Reads bodies from real sockets. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type IncomingMessage } from 'node:http'
import { test } from 'node:test'
import { listenOn } from '../../test/support/ports.ts'
import { rawClient } from '../../test/support/raw.ts'
import { type BodyLimits, HeldBytes, type ReadBody, readBody } from './body.ts'

const LIMITS: BodyLimits = { maxBytes: 1000, timeoutMs: 5000 }

interface Sent {
  /** Bytes behind the head. */
  readonly parts?: readonly (string | Buffer)[]
  readonly head?: readonly string[]
  readonly limits?: Partial<BodyLimits>
  readonly held?: HeldBytes
  /** Leaves once the server reads. */
  readonly leaves?: true
}

/** What one request's body is read as. */
async function read({ parts = [], head = [], limits = {}, held = new HeldBytes(10_000), leaves }: Sent): Promise<ReadBody> {
  const server = createServer()
  const client = rawClient(await listenOn(server))
  try {
    client.send(['POST / HTTP/1.1', 'host: x', ...head, '', ''].join('\r\n'))
    const [request]: IncomingMessage[] = await once(server, 'request')
    assert.ok(request !== undefined)
    const result = readBody(request, { ...LIMITS, ...limits }, held)
    for (const part of parts) client.send(part)
    if (leaves === true) client.destroy()
    return await result
  } finally {
    client.destroy()
    server.closeAllConnections()
    server.close()
  }
}

const lengthOf = (bytes: number): string => `content-length: ${bytes}`
const errorOf = (result: ReadBody): string => (result.kind === 'error' ? result.error.code : result.kind)
const textOf = (result: ReadBody): string => (result.kind === 'body' ? result.bytes.toString() : errorOf(result))

test('a body of a known length', async () => {
  const held = new HeldBytes(10_000)
  assert.equal(textOf(await read({ head: [lengthOf(6)], parts: ['{"a":', '1}'.slice(0, 1)], held })), '{"a":1')
  assert.equal(held.bytes, 6)
})

test('a body in chunks', async () => {
  const chunks = ['2\r\n{"\r\n', '5\r\na":1}\r\n', '0\r\n\r\n']
  assert.equal(textOf(await read({ head: ['transfer-encoding: chunked'], parts: chunks })), '{"a":1}')
})

test('no body at all', async () => {
  const held = new HeldBytes(10_000)
  assert.equal(textOf(await read({ head: [lengthOf(0)], held })), '')
  assert.equal(held.bytes, 0)
})

test('letters of several bytes, cut between packets', async () => {
  const bytes = Buffer.from('"你好 🚀"')
  assert.equal(textOf(await read({ head: [lengthOf(bytes.length)], parts: [bytes.subarray(0, 2), bytes.subarray(2)] })), '"你好 🚀"')
})

test('bytes that are no UTF-8 are refused, and given back', async () => {
  const held = new HeldBytes(10_000)
  assert.equal(errorOf(await read({ head: [lengthOf(2)], parts: [Buffer.of(0xc3, 0x28)], held })), 'invalid_json')
  assert.equal(held.bytes, 0)
})

test('a body of exactly the limit is read', async () => {
  assert.equal(textOf(await read({ head: [lengthOf(1000)], parts: ['x'.repeat(1000)] })).length, 1000)
})

test('a body that says it is larger is refused before a byte of it has come', async () => {
  assert.equal(errorOf(await read({ head: [lengthOf(1001)] })), 'payload_too_large')
})

test('a body that turns out to be larger is refused there, and given back', async () => {
  const held = new HeldBytes(10_000)
  const chunk = `200\r\n${'x'.repeat(512)}\r\n`
  assert.equal(errorOf(await read({ head: ['transfer-encoding: chunked'], parts: [chunk, chunk], held })), 'payload_too_large')
  assert.equal(held.bytes, 0)
})

test('a sender that does not go on is refused in time', async () => {
  const held = new HeldBytes(10_000)
  assert.equal(errorOf(await read({ head: [lengthOf(10)], parts: ['half'], limits: { timeoutMs: 30 }, held })), 'request_timeout')
  assert.equal(held.bytes, 0)
})

test('a client that leaves in the middle is gone, and what it sent is given back', async () => {
  const held = new HeldBytes(10_000)
  assert.equal(errorOf(await read({ head: [lengthOf(10)], parts: ['half'], leaves: true, held })), 'gone')
  assert.equal(held.bytes, 0)
})

test('when all requests together hold too much, the next one is told to come back', async () => {
  const held = new HeldBytes(100)
  held.take(95)
  const result = await read({ head: [lengthOf(10)], parts: ['x'.repeat(10)], held })
  assert.equal(errorOf(result), 'overloaded')
  assert.ok(result.kind === 'error' && result.error.retryAfterMs === 1000 && result.error.shouldRetry === true)
  assert.equal(held.bytes, 95)
})

test('held bytes: what does not fit is not taken', () => {
  const held = new HeldBytes(10)
  assert.deepEqual([held.take(6), held.take(5), held.take(4), held.bytes], [true, false, true, 10])
  held.give(10)
  assert.equal(held.bytes, 0)
})
