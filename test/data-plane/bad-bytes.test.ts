/**
 * What is no proper HTTP: bytes that two servers could read in two ways, heads that are too large, senders that are too slow, sockets that
 * say nothing. Each gets a typed error or a close, in bounded time, and no backend ever sees a request that the client did not plainly make.
 */
import assert from 'node:assert/strict'
import { connect, type Socket } from 'node:net'
import { after, before, describe, test } from 'node:test'
import { ask } from '../support/client.ts'
import { isRawError } from '../support/errors.ts'
import { messagesOf } from '../support/http-text.ts'
import { whole } from '../support/model-server/answers.ts'
import { type ModelServer, type ScriptedBackend, startModelServer } from '../support/model-server/model-server.ts'
import { type RunningProxy, startProxy } from '../support/proxy.ts'
import { rawClient, rawRequest } from '../support/raw.ts'
import { ROUTES } from '../support/routes.ts'
import { oneModel } from '../support/table.ts'

const { chat } = ROUTES
const BODY = JSON.stringify(chat.request('m', false))
const LENGTH = `content-length: ${BODY.length}`
const CHUNKED = `${BODY.length.toString(16)}\r\n${BODY}\r\n0\r\n\r\n`
/** What an attacker would like the backend to see as a request of its own. */
const SMUGGLED = 'POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nx-smuggled: 1\r\n\r\n'

let server: ModelServer
let backend: ScriptedBackend
let proxy: RunningProxy

before(async () => {
  server = startModelServer()
  backend = await server.open(whole(chat.answer(['well'])))
  proxy = await startProxy(oneModel('m', backend.url), { args: ['--body-timeout', '500ms'] })
})
after(async () => {
  await proxy.close()
  await server.close()
})

const post = (headers: readonly string[], body = BODY, version = 'HTTP/1.1'): string =>
  `POST /v1/chat/completions ${version}\r\nhost: x\r\ncontent-type: application/json\r\n${headers.map((line) => `${line}\r\n`).join('')}\r\n${body}`

const AMBIGUOUS: Readonly<Record<string, string>> = {
  'Content-Length and Transfer-Encoding': post([LENGTH, 'transfer-encoding: chunked'], CHUNKED + SMUGGLED),
  'Transfer-Encoding and Content-Length': post(['transfer-encoding: chunked', 'content-length: 4'], CHUNKED + SMUGGLED),
  'two lengths': post([LENGTH, 'content-length: 0'], BODY + SMUGGLED),
  'the same length twice': post([LENGTH, LENGTH]),
  'a list of lengths': post([`${LENGTH}, ${BODY.length}`]),
  'a signed length': post([`content-length: +${BODY.length}`]),
  'a length in hexadecimal': post([`content-length: 0x${BODY.length.toString(16)}`]),
  'a negative length': post(['content-length: -1']),
  'a length beyond all numbers': post(['content-length: 99999999999999999999999']),
  'an encoding that is not quite chunked': post(['transfer-encoding: xchunked'], CHUNKED),
  'chunked, then something else': post(['transfer-encoding: chunked, identity'], CHUNKED),
  'chunked twice': post(['transfer-encoding: chunked', 'transfer-encoding: chunked'], CHUNKED),
  'a space before the colon': post(['transfer-encoding : chunked', LENGTH]),
  'a folded line': post([LENGTH, 'x-folded: a\r\n transfer-encoding: chunked']),
  'line ends without CR': post([LENGTH]).replaceAll('\r\n', '\n'),
  'a header line without CR': post([`${LENGTH}\nx-hidden: 1`]),
  'a lone CR in a header': post([LENGTH, 'x-cr: a\rtransfer-encoding: chunked']),
  'a NUL in a header': post([LENGTH, 'x-nul: a\0b']),
  'a header without a name': post([LENGTH, ': nothing']),
  'a space in a header name': post([LENGTH, 'x bad: 1']),
  'a chunk size that is no number': post(['transfer-encoding: chunked'], `zz\r\n${BODY}\r\n0\r\n\r\n`),
  'a chunk size beyond all numbers': post(['transfer-encoding: chunked'], `fffffffffffffffff\r\n${BODY}\r\n0\r\n\r\n`),
  'a chunk longer than it says': post(['transfer-encoding: chunked'], `3\r\n${BODY}\r\n0\r\n\r\n`),
  'a chunk line without CR': post(['transfer-encoding: chunked'], CHUNKED.replaceAll('\r\n', '\n')),
  'an unknown version': post([LENGTH], BODY, 'HTTP/3.7'),
  'no Host': 'GET /v1/models HTTP/1.1\r\n\r\n',
  'a method that does not exist': 'YELL /v1/models HTTP/1.1\r\nhost: x\r\n\r\n',
  'the beginning of HTTP/2': 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
  'the beginning of TLS': '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03',
  'an expectation that nobody can meet': post([LENGTH, 'expect: wonders']),
}

describe('bytes that could be read in two ways are refused, and end the connection', () => {
  for (const [name, bytes] of Object.entries(AMBIGUOUS)) {
    test(name, async () => {
      const client = rawClient(proxy.port)
      client.send(bytes)
      const { text } = await client.closed()
      assert.match(text, /^HTTP\/1\.1 4\d\d /, name)
      isRawError(text, 'invalid_value')
      assert.equal(messagesOf(text).length, 1, 'one answer, none to what was smuggled')
    })
  }
  test('no backend saw any of it', async () => assert.equal((await backend.seen()).length, 0))
})

describe('what is unusual but plain is served', () => {
  const UNUSUAL: Readonly<Record<string, string>> = {
    'a chunked body': post(['transfer-encoding: chunked'], CHUNKED),
    'a chunk extension': post(['transfer-encoding: chunked'], CHUNKED.replace('\r\n', ';name=value\r\n')),
    'a trailer': post(['transfer-encoding: chunked'], CHUNKED.replace('0\r\n\r\n', '0\r\nx-trailer: 1\r\n\r\n')),
    'HTTP/1.0': post([LENGTH], BODY, 'HTTP/1.0'),
    'an offer to go on in HTTP/2': post([
      LENGTH,
      'connection: Upgrade, HTTP2-Settings',
      'upgrade: h2c',
      'http2-settings: AAMAAABkAARAAAAAAAIAAAAA',
    ]),
    'a request to wait for 100 Continue': post([LENGTH, 'expect: 100-continue']),
  }
  for (const [name, bytes] of Object.entries(UNUSUAL)) {
    test(name, async () => {
      const client = rawClient(proxy.port)
      client.send(bytes)
      const text = await client.until((received) => received.includes('"choices"'))
      assert.match(text, /^HTTP\/1\.1 (100 Continue\r\n\r\nHTTP\/1\.1 )?200 OK/)
      client.destroy()
    })
  }

  test('two requests in one write: two answers in order, two requests at the backend', async () => {
    const before = (await backend.seen()).length
    const client = rawClient(proxy.port)
    client.send(
      rawRequest(chat.path, chat.request('m', false), ['x-request-id: one']) +
        rawRequest(chat.path, chat.request('m', false), ['x-request-id: two']),
    )
    const text = await client.until((received) => messagesOf(received).length === 2 && received.endsWith('}'))
    assert.deepEqual(
      messagesOf(text).map(({ headers }) => new Map(headers).get('x-request-id')),
      ['one', 'two'],
    )
    assert.equal((await backend.seen()).length - before, 2)
    client.destroy()
  })
})

describe('heads that are too large', () => {
  const LARGE: Readonly<Record<string, string>> = {
    'one long header': post([LENGTH, `x-long: ${'x'.repeat(70_000)}`]),
    'many headers': post([LENGTH, ...Array.from({ length: 5000 }, (_, index) => `x-${index}: ${'y'.repeat(10)}`)]),
    'a long path': `GET /${'x'.repeat(70_000)} HTTP/1.1\r\nhost: x\r\n\r\n`,
    'a head without end': `GET / HTTP/1.1\r\nhost: x\r\n${'x-more: of the same\r\n'.repeat(40_000)}`,
  }
  for (const [name, bytes] of Object.entries(LARGE)) {
    test(name, async () => {
      const client = rawClient(proxy.port)
      client.send(bytes)
      const { text } = await client.closed()
      isRawError(text, 'headers_too_large')
    })
  }
})

describe('what is too slow ends in bounded time', { concurrency: true }, () => {
  test('a body: 408 after --body-timeout', async () => {
    const client = rawClient(proxy.port)
    client.send(post(['content-length: 1000']))
    const text = await client.until((received) => received.endsWith('}'))
    isRawError(text, 'request_timeout')
    assert.ok((await client.closed(8000)).tookMs < 7000)
  })

  test('a body in drops: the same, as the whole has one deadline', async () => {
    const client = rawClient(proxy.port)
    client.send(post(['content-length: 100000'], '{'))
    const timer = setInterval(() => client.send(' '), 50)
    try {
      isRawError(await client.until((received) => received.endsWith('}')), 'request_timeout')
    } finally {
      clearInterval(timer)
      client.destroy()
    }
  })

  test('a head in drops: 408 within 18 s', async () => {
    const client = rawClient(proxy.port)
    client.send('POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n')
    const timer = setInterval(() => client.send('x-more: x\r\n'), 500)
    try {
      isRawError((await client.closed(18_000)).text, 'request_timeout')
    } finally {
      clearInterval(timer)
    }
  })

  test('2,000 sockets that say nothing: everybody else is served, memory is bounded, they are closed within 18 s', async () => {
    const rssBefore = await proxy.rssBytes()
    const sockets = Array.from({ length: 2000 }, () => connect(proxy.port, '127.0.0.1'))
    const closes = sockets.map(closeOf)
    await Promise.all(sockets.map(connected))
    for (let asked = 0; asked < 20; asked++) {
      const got = await ask(proxy.url, { body: chat.request('m', false) })
      assert.equal(got.status, 200)
      assert.ok(got.tookMs < 1000)
    }
    assert.ok((await proxy.rssBytes()) - rssBefore < 96 * 1024 * 1024)
    const startMs = Date.now()
    await Promise.all(closes)
    assert.ok(Date.now() - startMs < 18_000)
  })
})

const connected = (socket: Socket): Promise<void> => new Promise((resolve) => socket.once('connect', () => resolve()))

function closeOf(socket: Socket): Promise<void> {
  socket.on('error', () => {})
  socket.resume()
  return new Promise((resolve) => socket.once('close', () => resolve()))
}

test('a well-behaved client is served after all of that', async () => {
  assert.equal((await ask(proxy.url, { body: chat.request('m', false) })).status, 200)
})
