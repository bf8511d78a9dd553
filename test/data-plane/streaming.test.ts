/** Streams through the proxy: bytes, event boundaries, writes, back-pressure and memory. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { ask, asking } from '../support/client.ts'
import { CLOSE, chunk, END, send, stream, streamHead, wait, whole, wholeHead } from '../support/model-server/answers.ts'
import { type ModelServer, type ScriptedBackend, startModelServer } from '../support/model-server/model-server.ts'
import type { Answer } from '../support/model-server/script.ts'
import { type RunningProxy, startProxy } from '../support/proxy.ts'
import { chunksOf, rawClient, rawRequest } from '../support/raw.ts'
import { ROUTES, streamOf, WORDS } from '../support/routes.ts'
import { makeTable } from '../support/table.ts'

const { chat } = ROUTES
const MODELS = ['chunks', 'endings', 'held', 'flood', 'usage', 'large'] as const
type Name = (typeof MODELS)[number]

let server: ModelServer
let proxy: RunningProxy
const backends = new Map<Name, ScriptedBackend>()

before(async () => {
  server = startModelServer()
  for (const name of MODELS) backends.set(name, await server.open([]))
  const lines = MODELS.map(
    (name) => [name, { backends: [{ url: backends.get(name)?.url ?? '', timeouts: { streamIdleMs: 300 } }] }] as const,
  )
  proxy = await startProxy(makeTable({ models: Object.fromEntries(lines) }))
})
after(async () => {
  await proxy.close()
  await server.close()
})

async function scripted(name: Name, ...answers: readonly Answer[]): Promise<ScriptedBackend> {
  const backend = backends.get(name)
  assert.ok(backend !== undefined)
  await backend.script(...answers)
  return backend
}

const asksForUsage = (model: string): unknown => ({ ...chat.request(model, true), stream_options: { include_usage: true } })

test('one write per upstream chunk, with all its complete events and nothing else', async () => {
  const { begin, words, finish, sentinel } = chat.events(WORDS)
  const [w1 = '', w2 = '', w3 = '', w4 = '', w5 = '', w6 = ''] = words
  const sent = [
    begin.join('') + w1,
    w2 + w3 + w4.slice(0, 9),
    w4.slice(9) + w5,
    w6.slice(0, 20),
    w6.slice(20),
    finish.join('') + sentinel.join(''),
  ]
  const expected = [begin.join('') + w1, w2 + w3, w4 + w5, w6, finish.join('') + sentinel.join('')]
  const gates = ['1', '2', '3', '4', '5']
  const answer = [streamHead(), ...sent.flatMap((text, index) => (index === 0 ? [chunk(text)] : [wait(String(index)), chunk(text)])), END]
  const backend = await scripted('chunks', answer)
  const client = rawClient(proxy.port)
  client.send(rawRequest(chat.path, asksForUsage('chunks')))
  for (const [index, gate] of gates.entries()) {
    const writes = Math.min(index + 1, index >= 3 ? index : index + 1) // the fourth chunk completes no event
    await client.until((text) => chunksOf(text).length >= writes)
    backend.go(gate)
  }
  const text = await client.until((received) => received.endsWith('0\r\n\r\n'))
  assert.deepEqual(chunksOf(text), expected)
  client.destroy()
})

test('every byte of a stream passes as it came, whatever ends its lines, comments and unknown fields included', async () => {
  const lf = streamOf(chat, ['Grüße ', '🦙 ', 'x'])
  const odd = [': a comment\n\n', 'id: 7\nretry: 10\n\n', ...lf]
  const variants = [odd.join(''), odd.join('').replaceAll('\n', '\r\n'), odd.join('').replaceAll('\n', '\r')]
  for (const text of variants) {
    const bytes = Buffer.from(text)
    const pieces = Array.from({ length: Math.ceil(bytes.length / 7) }, (_, index) => bytes.subarray(index * 7, index * 7 + 7))
    const steps = pieces.map(
      (piece) =>
        ({
          do: 'sendBytes',
          base64: Buffer.concat([Buffer.from(`${piece.length.toString(16)}\r\n`), piece, Buffer.from('\r\n')]).toString('base64'),
        }) as const,
    )
    await scripted('endings', [streamHead(), ...steps, END])
    const got = await ask(proxy.url, { body: asksForUsage('endings') })
    assert.equal(got.body, text)
    assert.equal(got.whole, true)
  }
})

test('the usage event is taken out for whoever did not ask for it, and stays for whoever did', async () => {
  const events = streamOf(chat, ['a', 'b'])
  const backend = await scripted('usage', stream(events))
  const without = await ask(proxy.url, { body: chat.request('usage', true) })
  const withUsage = await ask(proxy.url, { body: asksForUsage('usage') })
  assert.equal(without.body, events.filter((event) => !event.includes('"usage"')).join(''))
  assert.equal(withUsage.body, events.join(''))
  const [first] = await backend.seen()
  const sent = JSON.stringify(chat.request('usage', true))
  assert.equal(first?.body, `${sent.slice(0, -1)},"stream_options":{"include_usage":true}}`, 'the only change to the body')
  for (const got of [without, withUsage]) {
    const line = await proxy.accessLine(String(got.headers['x-request-id']))
    assert.deepEqual([line['input_tokens'], line['output_tokens']], [7, 2])
  }
})

test('a stream carries what keeps proxies between from buffering it', async () => {
  await scripted('usage', stream(streamOf(chat, ['a'])))
  const got = await ask(proxy.url, { body: chat.request('usage', true) })
  assert.match(String(got.headers['content-type']), /^text\/event-stream/)
  assert.deepEqual([got.headers['cache-control'], got.headers['x-accel-buffering']], ['no-cache', 'no'])
  assert.equal(got.headers['content-length'], undefined)
})

test('nothing goes out before the first content; then all of it', async () => {
  const { begin, words, finish, sentinel } = chat.events(['late'])
  const backend = await scripted('held', [
    streamHead(),
    ...begin.map(chunk),
    wait('content'),
    ...[...words, ...finish, ...sentinel].map(chunk),
    END,
  ])
  const before = (await backend.seen()).length
  const client = rawClient(proxy.port)
  client.send(rawRequest(chat.path, chat.request('held', true)))
  await backend.received(before + 1)
  assert.equal(client.text(), '')
  backend.go('content')
  const text = await client.until((received) => received.endsWith('0\r\n\r\n'))
  assert.equal(chunksOf(text)[0], begin.join('') + words.join(''))
  client.destroy()
})

test('a client that does not read pauses the upstream; memory stays bounded; then every byte comes', async () => {
  const { begin, words, finish, sentinel } = chat.events(['x'.repeat(60_000)])
  const [word = ''] = words
  const times = 1500
  const backend = await scripted('flood', [
    streamHead(),
    ...begin.map(chunk),
    { do: 'flood', text: word, times },
    ...[...finish, ...sentinel].map(chunk),
    END,
  ])
  const rssBefore = await proxy.rssBytes()
  const client = asking(proxy.url, { body: asksForUsage('flood') })
  const response = await client.head
  response.pause()
  let highest = 0
  for (const untilMs = Date.now() + 1200; Date.now() < untilMs; ) highest = Math.max(highest, await proxy.rssBytes())
  assert.equal((await backend.seen()).at(-1)?.doneAtMs, undefined, 'the backend was paused, for longer than its idle deadline')
  assert.ok(highest - rssBefore < 64 * 1024 * 1024, `grew by ${highest - rssBefore} bytes`)
  let received = 0
  const ended = new Promise<void>((resolve) => response.on('end', resolve))
  response.removeAllListeners('data')
  response.on('data', (bytes: Buffer) => {
    received += bytes.length
  })
  response.resume()
  await ended
  assert.equal(received, Buffer.byteLength([...begin, ...finish, ...sentinel].join('')) + times * Buffer.byteLength(word))
})

test('a whole answer too large to hold is passed on as it comes; cut off, it looks cut off', async () => {
  const answer = chat.answer(['x'.repeat(9 * 1024 * 1024)])
  const text = JSON.stringify(answer)
  const backend = await scripted('large', whole(answer), [wholeHead(text.length), send(text.slice(0, -100)), CLOSE])
  const got = await ask(proxy.url, { body: chat.request('large', false) })
  assert.deepEqual([got.status, got.whole, got.body === text], [200, true, true])
  const cut = await ask(proxy.url, { body: chat.request('large', false) })
  assert.deepEqual([cut.status, cut.whole], [200, false])
  assert.equal((await proxy.accessLine(String(cut.headers['x-request-id'])))['code'], 'upstream_stream_interrupted')
  assert.equal((await backend.seen()).length, 2, 'nothing is tried again once bytes are out')
})

test('memory stays as it was over many streams', async () => {
  await scripted('usage', stream(streamOf(chat, WORDS)))
  const many = async (count: number): Promise<void> => {
    for (let batch = 0; batch < count / 20; batch++) {
      const got = await Promise.all(Array.from({ length: 20 }, () => ask(proxy.url, { body: chat.request('usage', true) })))
      for (const { body } of got) assert.ok(body.endsWith('data: [DONE]\n\n'))
    }
  }
  await many(400)
  const before = await proxy.rssBytes()
  await many(1600)
  assert.ok((await proxy.rssBytes()) - before < 48 * 1024 * 1024)
})
