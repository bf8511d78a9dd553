/** What a proxy does while operators are away, frozen, or replaced: it serves on, from memory and from disk. */
import assert from 'node:assert/strict'
import { readFile, stat, writeFile } from 'node:fs/promises'
import { after, before, type TestContext, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { ask, asking } from '../support/client.ts'
import { isError } from '../support/errors.ts'
import { eventually } from '../support/eventually.ts'
import { chunk, END, streamHead, wait, whole } from '../support/model-server/answers.ts'
import { type ModelServer, type ScriptedBackend, startModelServer } from '../support/model-server/model-server.ts'
import type { ProxyOptions, RunningProxy } from '../support/proxy.ts'
import { makePod, metricOf, type Pod, pushOf, readinessOf } from '../support/pushed.ts'
import { ROUTES, WORDS } from '../support/routes.ts'
import type { ScriptedOperator } from '../support/scripted-operator.ts'
import { makeTable, oneModel } from '../support/table.ts'

const { chat } = ROUTES
const KEY = 'sk-of-team-0123456789-abcdef'
let pod: Pod
let server: ModelServer
let backend: ScriptedBackend
before(async () => {
  pod = await makePod()
  server = startModelServer()
  backend = await server.open(whole(chat.answer(['well'])))
})
after(async () => {
  await server.close()
  await pod.close()
})

const statusOf = async (proxy: RunningProxy, model: string, headers: Readonly<Record<string, string>> = {}): Promise<number> =>
  (await ask(proxy.url, { body: chat.request(model, false), headers })).status

/** A proxy that keeps its table in this file, killed as the kernel does once it has written what the operator gave. */
async function killedWithTable(t: TestContext, operator: ScriptedOperator, file: string, options: ProxyOptions = {}): Promise<void> {
  const proxy = await pod.proxy(t, operator.url, { ...options, args: ['--last-known-good', pod.file(file)] })
  await eventually(async () => assert.ok(((await metricOf(proxy, 'llama_swap_last_known_good_saved_timestamp_seconds')) ?? 0) > 0))
  proxy.program.child.kill('SIGKILL')
  await proxy.program.ended
}

test('killed, and the operator away: it serves the last good table from disk, and takes the difference when one is back', async (t) => {
  const operator = await pod.operator(t, { epoch: 5 })
  const table = makeTable({ models: { m: { backends: [{ url: backend.url }] } }, keys: [{ key: KEY, client: 'default/app' }] })
  const seq = operator.give(table)
  await killedWithTable(t, operator, 'good', { auth: 'Required' })
  assert.equal((await stat(pod.file('good'))).mode & 0o777, 0o600)
  const { port } = operator
  await operator.close()

  const again = await pod.proxy(t, operator.url, { auth: 'Required', args: ['--last-known-good', pod.file('good')] })
  assert.equal(await readinessOf(again), 'ok\n')
  assert.equal(await statusOf(again, 'm', { authorization: `Bearer ${KEY}` }), 200)
  assert.equal(await metricOf(again, 'llama_swap_table_from_disk'), 1)
  assert.equal((await pushOf(again))['fromDisk'], true)

  const back = await pod.operator(t, { port, epoch: 6 })
  back.give(table)
  const hello = await (await back.stream()).next('hello')
  assert.deepEqual([hello.epoch, hello.table], [5, { epoch: 5, seq, hash: back.hash }])
  await eventually(async () => assert.equal(await metricOf(again, 'llama_swap_table_from_disk'), 0))
  assert.equal(
    (await back.stream()).frames.some(({ type }) => type === 'have'),
    false,
  )
})

test('client keys from disk are good for --last-known-good-max-age only, and again when an operator says so', async (t) => {
  const operator = await pod.operator(t)
  const table = makeTable({ models: { m: { backends: [{ url: backend.url }] } }, keys: [{ key: KEY, client: 'default/app' }] })
  operator.give(table)
  await killedWithTable(t, operator, 'aged', { auth: 'Required' })
  const { port } = operator
  await operator.close()
  const args = ['--last-known-good', pod.file('aged'), '--last-known-good-max-age', '1ms']
  const proxy = await pod.proxy(t, operator.url, { auth: 'Required', args })
  const headers = { authorization: `Bearer ${KEY}` }
  assert.match(
    isError(await ask(proxy.url, { body: chat.request('m', false), headers }), 'invalid_api_key')['message'] as string,
    /expired/,
  )
  const back = await pod.operator(t, { port })
  back.give(table)
  await eventually(async () => assert.equal(await statusOf(proxy, 'm', headers), 200))
})

test('a last good table that was tampered with is set aside and said so; nothing of it is served', async (t) => {
  const operator = await pod.operator(t)
  operator.give(oneModel('m', backend.url))
  await killedWithTable(t, operator, 'bad')
  await operator.close()
  const text = await readFile(pod.file('bad'), 'utf8')
  await writeFile(pod.file('bad'), text.replace('"access":{"from":"Same"}', '"access":{"from":"All"}'))
  const proxy = await pod.proxy(t, operator.url, { args: ['--last-known-good', pod.file('bad')] })
  assert.match(await readinessOf(proxy), /^no routing table yet/)
  assert.equal(await metricOf(proxy, 'llama_swap_last_known_good_failures_total{reason="corrupt"}'), 1)
  assert.match(JSON.stringify((await pushOf(proxy))['lastKnownGood']), /checksum/)
  assert.equal((await stat(pod.file('bad.corrupt'))).isFile(), true)
  await assert.rejects(stat(pod.file('bad')), /ENOENT/)
})

test('a frozen operator is given up after 8 s of silence and another one takes over; no request notices', async (t) => {
  const frozen = await pod.operator(t)
  frozen.give(oneModel('m', backend.url))
  const next = await pod.operator(t, { epoch: 2 })
  next.give(oneModel('m', backend.url))
  const proxy = await pod.proxy(t, `${frozen.url},${next.url}`)
  await (await frozen.stream()).next('ack')
  frozen.freeze()
  const since = performance.now()
  let failed = 0
  while (next.streams.length === 0 && performance.now() - since < 20_000) {
    if ((await statusOf(proxy, 'm')) !== 200) failed++
    await delay(50)
  }
  const tookMs = performance.now() - since
  assert.equal(failed, 0)
  assert.ok(tookMs > 7_000 && tookMs < 10_000, `it took ${Math.round(tookMs)} ms`)
  assert.equal((await (await next.stream()).next('ack')).epoch, 2)
  assert.equal(await metricOf(proxy, 'llama_swap_push_reconnects_total{reason="silent"}'), 1)
})

test('streams go on over table swaps and the loss of the operator, which makes nothing unready', async (t) => {
  const { begin, words, finish, sentinel } = chat.events(WORDS)
  const rest = [...words.slice(30), ...finish, ...sentinel]
  const old = await server.open([streamHead(), ...[...begin, ...words.slice(0, 30)].map(chunk), wait('later'), ...rest.map(chunk), END])
  const operator = await pod.operator(t)
  operator.give(oneModel('m', old.url))
  const proxy = await pod.proxy(t, operator.url)
  await (await operator.stream()).next('ack', ({ seq }) => seq > 0)
  const streams = [1, 2, 3].map(() => asking(proxy.url, { body: chat.request('m', true) }))
  await Promise.all(streams.map((stream) => stream.until((body) => body.includes('w29 '))))
  const seq = operator.give(oneModel('other', backend.url))
  await (await operator.stream()).next('ack', (frame) => frame.seq === seq)
  await operator.close()
  await eventually(async () => assert.equal(await metricOf(proxy, 'llama_swap_push_connected'), 0))
  old.go('later')
  for (const stream of streams) {
    const got = await stream.got
    assert.equal(chat.textOfEvents(got.body), WORDS.join(''))
    assert.ok(got.whole)
  }
  assert.equal(await readinessOf(proxy), 'ok\n')
  assert.deepEqual([await statusOf(proxy, 'm'), await statusOf(proxy, 'other')], [404, 200])
})

test('goAway says when to dial again, and a stopped proxy leaves in order with its last report', async (t) => {
  const operator = await pod.operator(t)
  operator.give(oneModel('m', backend.url))
  const proxy = await pod.proxy(t, operator.url)
  const first = await operator.stream()
  await first.next('ack')
  first.send({ type: 'goAway', reason: 'the operator is shutting down', retryAfterMs: 10 })
  assert.equal((await first.closed).code, 1001)
  const second = await operator.stream(1)
  await second.next('ack')
  assert.equal(await metricOf(proxy, 'llama_swap_push_reconnects_total{reason="go_away"}'), 1)
  assert.equal(await statusOf(proxy, 'm'), 200)
  await proxy.close()
  assert.deepEqual(await second.closed, { code: 1001, reason: 'this proxy stops' })
  const reported = second.frames.flatMap((frame) => (frame.type === 'report' ? frame.usage : []))
  assert.equal(
    reported.reduce((sum, { requests }) => sum + requests, 0),
    1,
  )
})
