/** Comments that keep a silent stream alive: with a short interval on the answer itself, and the real fifteen seconds through the proxy. */
import assert from 'node:assert/strict'
import { createServer, type ServerResponse } from 'node:http'
import { describe, type TestContext, test } from 'node:test'
import { messages } from '../../proxy/dialects/messages.ts'
import { ClientAnswer } from '../../proxy/forward/client-answer.ts'
import { ask, asking } from '../support/client.ts'
import { HANG, stream } from '../support/model-server/answers.ts'
import { startModelServer } from '../support/model-server/model-server.ts'
import { listenOn } from '../support/ports.ts'
import { startProxy } from '../support/proxy.ts'
import { ROUTES, streamOf } from '../support/routes.ts'
import { makeTable } from '../support/table.ts'

const INTERVAL_MS = 40
const COMMENT = ': keep-alive\n\n'
const HEAD = ['content-type', 'text/event-stream', 'x-request-id', 'r']
const { chat } = ROUTES

async function answering(t: TestContext, serve: (answer: ClientAnswer, response: ServerResponse) => void): Promise<string> {
  const server = createServer((request, response) => {
    request.resume()
    serve(new ClientAnswer(response, INTERVAL_MS), response)
  })
  const port = await listenOn(server)
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${port}`
}

describe('on the answer itself', () => {
  test('the first comment is the status commit; they go on until the end, which nothing follows', async (t) => {
    const url = await answering(t, (answer) => answer.keepAlive(() => HEAD))
    const client = asking(url, { body: {} })
    assert.equal((await client.head).statusCode, 200)
    await client.until((body) => body === COMMENT.repeat(3))
    client.leave()
  })

  test('where a route has events for it, those are said instead', async (t) => {
    const ping = messages.keepAlive ?? ''
    const url = await answering(t, (answer) => answer.keepAlive(() => HEAD, ping))
    const client = asking(url, { body: {} })
    await client.until((body) => body === ping.repeat(2))
    assert.match(ping, /^event: ping\ndata: .*\n\n$/)
    client.leave()
  })

  test('a write puts the next comment off', async (t) => {
    const url = await answering(t, (answer) => {
      answer.keepAlive(() => HEAD)
      answer.begin(200, HEAD)
      let writes = 0
      const timer = setInterval(() => {
        answer.write(Buffer.from('data: x\n\n'))
        if (++writes < 20) return
        clearInterval(timer)
        answer.end()
      }, INTERVAL_MS / 8)
    })
    const got = await ask(url, { body: {} })
    assert.equal(got.body.replaceAll(COMMENT, ''), 'data: x\n\n'.repeat(20))
    assert.ok(got.body.split(COMMENT).length - 1 <= 2, got.body)
    assert.equal(got.whole, true)
  })

  test('an answer that was sent whole has none', async (t) => {
    const url = await answering(t, (answer) => {
      answer.keepAlive(() => HEAD)
      answer.sendWhole(200, ['content-type', 'application/json', 'content-length', '2'], '{}')
    })
    assert.equal((await ask(url, { body: {} })).body, '{}')
  })
})

describe('through the proxy, in real time', { concurrency: true }, () => {
  test('after 15 s of silence: status 200 and a comment, then the answer of the fallback in the same stream', async (t) => {
    const { url, ask: askFor } = await silentFor(t, true)
    const got = await askFor(url)
    assert.equal(got.status, 200)
    assert.equal(got.body.startsWith(COMMENT), true)
    assert.equal(chat.textOfEvents(got.body), 'well')
    assert.equal(got.headers['x-llama-swap-model'], 'p', 'asked when the head went out')
    assert.match(got.body, /data: \[DONE\]\n\n: x-llama-swap-model f, x-llama-swap-endpoint b0\/\w{10}, x-llama-swap-attempts 2\n\n$/)
  })

  test('after 15 s of silence, with all tries spent: an in-band error, no sentinel', async (t) => {
    const { url, ask: askFor } = await silentFor(t, false)
    const got = await askFor(url)
    assert.equal(got.status, 200)
    assert.equal(got.body.startsWith(COMMENT), true)
    assert.match(got.body, /"code":"upstream_timeout"/)
    assert.equal(got.body.includes('[DONE]'), false)
    assert.equal(got.whole, true)
  })
})

async function silentFor(t: TestContext, withFallback: boolean): Promise<{ url: string; ask: (url: string) => ReturnType<typeof ask> }> {
  const server = startModelServer()
  t.after(() => server.close())
  const [silent, well] = await Promise.all([server.open([HANG]), server.open(stream(streamOf(chat, ['well'])))])
  const models = { p: { backends: [{ url: silent.url, timeouts: { firstTokenMs: 15_400 } }] }, f: { backends: [{ url: well.url }] } }
  const proxy = await startProxy(
    makeTable({ models, policies: { auto: { targets: ['p'], ...(withFallback && { fallback: { targets: ['f'] } }) } } }),
  )
  t.after(() => proxy.close())
  return { url: proxy.url, ask: (url) => ask(url, { body: chat.request('auto', true) }) }
}
