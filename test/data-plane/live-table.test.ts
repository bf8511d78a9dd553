/** A new table while requests run: none is touched, the next one sees it; a broken table changes nothing. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { ask, asking } from '../support/client.ts'
import { chunk, END, streamHead, wait, whole } from '../support/model-server/answers.ts'
import { type ModelServer, startModelServer } from '../support/model-server/model-server.ts'
import { startProxy } from '../support/proxy.ts'
import { ROUTES, WORDS } from '../support/routes.ts'
import { makeTable, oneModel } from '../support/table.ts'

const { chat } = ROUTES
let server: ModelServer
before(() => {
  server = startModelServer()
})
after(() => server.close())

test('streams go on over a swap, even if their model and endpoint are gone; the next request sees the new table', async (t) => {
  const { begin, words, finish, sentinel } = chat.events(WORDS)
  const half = words.slice(0, 30)
  const rest = [...words.slice(30), ...finish, ...sentinel]
  const old = await server.open([streamHead(), ...[...begin, ...half].map(chunk), wait('swapped'), ...rest.map(chunk), END])
  const next = await server.open(whole(chat.answer(['new'])))
  const proxy = await startProxy(oneModel('m', old.url))
  t.after(() => proxy.close())
  const streams = [1, 2, 3].map(() => asking(proxy.url, { body: chat.request('m', true) }))
  await Promise.all(streams.map((stream) => stream.until((body) => body.includes('w29 '))))

  const swapped = await proxy.push(oneModel('other', next.url))
  assert.equal(swapped['msg'], 'routing table taken')
  assert.equal((await ask(proxy.url, { body: chat.request('m', false) })).status, 404)
  assert.equal((await ask(proxy.url, { body: chat.request('other', false) })).status, 200)

  old.go('swapped')
  for (const stream of streams) {
    const got = await stream.got
    assert.equal(chat.textOfEvents(got.body), WORDS.join(''))
    assert.ok(got.whole && got.body.endsWith('data: [DONE]\n\n'))
  }
})

test('a request that waits to try again keeps the table it began with', async (t) => {
  const first = await server.open(
    whole({ error: { message: 'slow' } }, { status: 429, headers: { 'retry-after-ms': 1500 } }),
    whole(chat.answer(['old'])),
  )
  const next = await server.open(whole(chat.answer(['new'])))
  const proxy = await startProxy(oneModel('m', first.url))
  t.after(() => proxy.close())
  const waiting = ask(proxy.url, { body: chat.request('m', false) })
  await first.received()
  await proxy.push(oneModel('m', next.url))
  assert.equal(chat.textOfAnswer((await ask(proxy.url, { body: chat.request('m', false) })).body), 'new')
  assert.equal(chat.textOfAnswer((await waiting).body), 'old')
})

test('a broken table is refused with every reason, and the last good one stays', async (t) => {
  const backend = await server.open(whole(chat.answer(['well'])))
  const proxy = await startProxy(oneModel('m', backend.url))
  t.after(() => proxy.close())
  const good = makeTable({ models: { m: { backends: [{ url: backend.url }] } } })
  const broken = [
    '{"version":1',
    '[]',
    JSON.stringify({ ...good, version: 2 }),
    JSON.stringify({ ...good, surprise: true }),
    JSON.stringify({ ...good, models: [{ ...good.models[0], weight: -1, visibility: 'Hidden' }] }),
    '',
  ]
  for (const text of broken) {
    const line = await proxy.push(text)
    assert.match(String(line['msg']), /refused; the last good one stays/)
    assert.ok(Array.isArray(line['errors']) && line['errors'].length > 0)
    assert.equal((await ask(proxy.url, { body: chat.request('m', false) })).status, 200)
  }
  const last = proxy.program
    .lines()
    .filter(({ msg }) => String(msg).includes('refused'))
    .at(-2)
  assert.match(JSON.stringify(last?.['errors']), /\/models\/0\/visibility.*\/models\/0\/weight/)
  assert.equal((await proxy.push({ ...good, seq: 2 }))['msg'], 'routing table taken')
})

test('a swap under load: no request fails', async (t) => {
  const [one, two] = await Promise.all([1, 2].map(() => server.open(whole(chat.answer(['well'])))))
  assert.ok(one !== undefined && two !== undefined)
  const proxy = await startProxy(oneModel('m', one.url))
  t.after(() => proxy.close())
  let over = false
  let answered = 0
  const load = Array.from({ length: 4 }, async () => {
    while (!over) {
      const got = await ask(proxy.url, { body: chat.request('m', false) })
      assert.equal(got.status, 200, got.body)
      answered++
      await delay(2)
    }
  })
  for (const backend of [two, one, two]) await proxy.push(oneModel('m', backend.url))
  over = true
  await Promise.all(load)
  assert.ok(answered > 50)
  assert.ok((await one.seen()).length > 0 && (await two.seen()).length > 0)
})
