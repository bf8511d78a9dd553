/** A pushed table, from the proxy's side: a real proxy process, an operator that speaks docs/wire.md over real TLS. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { tableEntries } from '../../proxy/routing-table/entries.ts'
import { ask } from '../support/client.ts'
import { isError } from '../support/errors.ts'
import { eventually } from '../support/eventually.ts'
import { whole } from '../support/model-server/answers.ts'
import { type ModelServer, type ScriptedBackend, startModelServer } from '../support/model-server/model-server.ts'
import { closedPort } from '../support/ports.ts'
import type { RunningProxy } from '../support/proxy.ts'
import { makePod, metricOf, type Pod, pushOf, readinessOf } from '../support/pushed.ts'
import { ROUTES } from '../support/routes.ts'
import { type LooseEntry, ScriptedOperator, testAuthority } from '../support/scripted-operator.ts'
import { type ModelLines, makeTable } from '../support/table.ts'

const { chat } = ROUTES
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

const models = (...names: readonly string[]): Record<string, ModelLines> =>
  Object.fromEntries(names.map((name) => [name, { backends: [{ url: backend.url }] }]))
const statusOf = async (proxy: RunningProxy, model: string): Promise<number> =>
  (await ask(proxy.url, { body: chat.request(model, false) })).status

test('without an operator it is not ready and says why, answers 503, and takes the table as soon as one leads', async (t) => {
  const port = await closedPort()
  const proxy = await pod.proxy(t, `wss://127.0.0.1:${port}`, { auth: 'Required' })
  await eventually(async () =>
    assert.match(await readinessOf(proxy), /^no routing table yet: operator wss:\/\/127\.0\.0\.1:\d+ unreachable: .*ECONNREFUSED/),
  )
  const early = await ask(proxy.url, { body: chat.request('m', false), headers: { authorization: 'Bearer whatever-it-may-be-0123456789' } })
  isError(early, 'no_routing_table')
  assert.equal(early.headers['retry-after'], '1')

  const operator = await pod.operator(t, { port })
  operator.give(makeTable({ models: models('m'), keys: [{ key: 'sk-of-team-0123456789-abc', client: 'default/app' }] }))
  await eventually(async () => assert.equal(await readinessOf(proxy), 'ok\n'))
  const headers = { authorization: 'Bearer sk-of-team-0123456789-abc' }
  assert.equal((await ask(proxy.url, { body: chat.request('m', false), headers })).status, 200)
})

test('an empty table makes it ready; a change is in force at once; what it is told is what the operator knows of it', async (t) => {
  const operator = await pod.operator(t, { epoch: 7 })
  const proxy = await pod.proxy(t, operator.url)
  const stream = await operator.stream()
  const hello = await stream.next('hello')
  assert.equal(stream.authorization, 'Bearer first-token')
  assert.deepEqual([hello.reads, hello.mode, hello.epoch, hello.table], [[1], 'Gateway', 0, undefined])
  await stream.next('ack')
  assert.equal(await readinessOf(proxy), 'ok\n')

  const first = operator.give(makeTable({ models: models('a', 'b') }))
  assert.deepEqual(await stream.next('ack', ({ seq }) => seq === first), { type: 'ack', epoch: 7, seq: first, kept: [] })
  assert.deepEqual([await statusOf(proxy, 'a'), await statusOf(proxy, 'b'), await statusOf(proxy, 'c')], [200, 200, 404])
  const second = operator.give(makeTable({ models: models('b', 'c') }))
  await stream.next('ack', ({ seq }) => seq === second)
  assert.deepEqual([await statusOf(proxy, 'a'), await statusOf(proxy, 'b'), await statusOf(proxy, 'c')], [404, 200, 200])

  const used = await stream.next('report', ({ usage }) => usage.some(({ ref }) => ref === 'default/c'))
  assert.deepEqual(
    used.usage.find(({ ref }) => ref === 'default/c'),
    { ref: 'default/c', requests: 1, errors: 0, inputTokens: 7, outputTokens: 1 },
  )
  const push = await pushOf(proxy)
  assert.deepEqual([push['connected'], push['epoch'], push['seq'], push['namespace']], [true, 7, second, 'llama-swap'])
  assert.equal(await metricOf(proxy, 'llama_swap_push_connected'), 1)
  assert.equal(await metricOf(proxy, 'llama_swap_table_epoch'), 7)
  assert.equal(await metricOf(proxy, 'llama_swap_table_seq'), second)
})

test('one bad entry keeps its last good value, or is left out, and harms no other; its repair takes it up', async (t) => {
  const operator = await pod.operator(t)
  const proxy = await pod.proxy(t, operator.url)
  const stream = await operator.stream()
  operator.give(makeTable({ models: models('kept', 'other') }))
  await eventually(async () => assert.equal(await statusOf(proxy, 'kept'), 200))

  const entries: LooseEntry[] = [...tableEntries(makeTable({ models: models('kept', 'new', 'fine') }))]
  const broken = entries.map((entry) =>
    entry.key === 'default/kept' || entry.key === 'default/new' ? { ...entry, value: { ...Object(entry.value), weight: -1 } } : entry,
  )
  const seq = operator.give([...broken, { kind: 'quota', key: 'default/q', value: { tokens: 1 } }])
  const nack = await stream.next('nack', (frame) => frame.seq === seq)
  assert.deepEqual(nack.kept, [
    { kind: 'model', ref: 'default/kept', generation: 1 },
    { kind: 'model', ref: 'default/new', generation: 0 },
  ])
  assert.deepEqual(
    nack.errors.map(({ ref, pointer, reason }) => [ref, pointer, reason]),
    [
      ['default/kept', '/weight', 'invalid'],
      ['default/new', '/weight', 'invalid'],
      ['default/q', '', 'unknownKind'],
    ],
  )
  const status = await Promise.all(['kept', 'other', 'new', 'fine'].map((model) => statusOf(proxy, model)))
  assert.deepEqual(status, [200, 404, 404, 200])
  assert.match(JSON.stringify((await pushOf(proxy))['errors']), /must be a number from 0/)
  assert.equal(await metricOf(proxy, 'llama_swap_table_kept_entries'), 3)

  const repaired = operator.give(entries)
  assert.deepEqual((await stream.next('ack', (frame) => frame.seq === repaired)).kept, [])
  assert.equal(await statusOf(proxy, 'new'), 200)
})

test('a hash that does not fit changes nothing; the whole table comes again and is taken', async (t) => {
  const operator = await pod.operator(t)
  const proxy = await pod.proxy(t, operator.url)
  const stream = await operator.stream()
  operator.give(makeTable({ models: models('m') }))
  await eventually(async () => assert.equal(await statusOf(proxy, 'm'), 200))
  stream.send({ type: 'change', set: [], remove: [{ kind: 'model', key: 'default/m' }] }, operator.commit('0'.repeat(32)))
  const nack = await stream.next('nack')
  assert.deepEqual([nack.errors[0]?.reason, nack.errors[0]?.ref], ['hashMismatch', undefined])
  await stream.next('have')
  const last = operator.give(makeTable({ models: models('m', 'n') }))
  await stream.next('ack', ({ seq }) => seq === last)
  assert.deepEqual([await statusOf(proxy, 'm'), await statusOf(proxy, 'n')], [200, 200])
})

test('on a new connection it says what it holds and is sent the difference; what was refused is told again', async (t) => {
  const operator = await pod.operator(t)
  const proxy = await pod.proxy(t, operator.url)
  const first = await operator.stream()
  const entries: LooseEntry[] = [...tableEntries(makeTable({ models: models('m') }))]
  const seq = operator.give([...entries, { kind: 'model', key: 'default/bad', value: {} }])
  await first.next('nack', (frame) => frame.seq === seq)
  first.cut()
  const second = await operator.stream(1)
  const hello = await second.next('hello')
  assert.deepEqual([hello.epoch, hello.table?.epoch, hello.table?.seq], [1, 1, seq])
  assert.deepEqual((await second.next('have')).entries.map(([, key]) => key).toSorted(), ['default/m', 'default/m b0'])
  assert.match(JSON.stringify(await second.next('nack')), /"ref":"default\/bad"/)
  assert.equal(await metricOf(proxy, 'llama_swap_push_reconnects_total{reason="closed"}'), 1)
})

test('an older epoch is not listened to: a leader that can heals it, one that cannot changes nothing', async (t) => {
  const operator = await pod.operator(t, { epoch: 9, stubborn: true })
  const proxy = await pod.proxy(t, operator.url)
  operator.give(makeTable({ models: models('m') }))
  await eventually(async () => assert.equal(await statusOf(proxy, 'm'), 200))
  operator.script = { epoch: 3, stubborn: true }
  ;(await operator.stream()).cut()
  const stale = await operator.stream(1)
  assert.deepEqual(await stale.next('staleEpoch'), { type: 'staleEpoch', have: 9 })
  operator.give(makeTable({ models: models('other') }))
  await stale.next('staleEpoch', () => true, 3)
  assert.deepEqual([await statusOf(proxy, 'm'), await statusOf(proxy, 'other')], [200, 404])

  operator.script = { epoch: 3 }
  stale.cut()
  const healed = await operator.stream(2)
  assert.equal((await healed.next('ack')).epoch, 10)
  assert.deepEqual([await statusOf(proxy, 'm'), await statusOf(proxy, 'other')], [404, 200])
})

test('a standby sends it on to who leads; who refuses is told in the readiness text', async (t) => {
  const leader = await pod.operator(t)
  leader.give(makeTable({ models: models('m') }))
  const standby = await pod.operator(t, { standby: { leader: leader.url } })
  const proxy = await pod.proxy(t, `${standby.url},${leader.url}`)
  await eventually(async () => assert.equal(await readinessOf(proxy), 'ok\n'))
  assert.equal(standby.dialled, 1)
  assert.equal(await metricOf(proxy, 'llama_swap_push_reconnects_total{reason="not_leader"}'), 1)

  const strict = await pod.operator(t, { refuse: { status: 403, code: 'not_a_gateway', message: 'this account is none' } })
  const refused = await pod.proxy(t, strict.url)
  await eventually(async () => assert.match(await readinessOf(refused), /refuses this proxy: HTTP 403 not_a_gateway: this account is none/))
})

test('an operator of another authority is not trusted, and a broken frame ends the connection with a reason', async (t) => {
  const stranger = await ScriptedOperator.start(await testAuthority())
  t.after(() => stranger.close())
  const proxy = await pod.proxy(t, stranger.url)
  await eventually(async () => assert.match(await readinessOf(proxy), /unreachable: .*(self-signed|unable to verify|certificate)/i))
  assert.equal(stranger.dialled, 0)

  const operator = await pod.operator(t)
  operator.give(makeTable({ models: models('m') }))
  const other = await pod.proxy(t, operator.url)
  const stream = await operator.stream()
  await stream.next('ack')
  stream.send({ type: 'a type of a later version' })
  stream.sendText('{"type":"commit"}')
  const { code, reason } = await stream.closed
  assert.deepEqual([code, reason], [4008, 'commit /epoch: is missing'])
  await (await operator.stream(1)).next('ack')
  assert.equal(await statusOf(other, 'm'), 200)
})
