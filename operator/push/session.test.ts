/** The life of a stream: epochs, deadlines, slow and broken proxies. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import { CLOSE, MAX_TABLE_BYTES } from '../../proxy/routing-table/frames.ts'
import type { RoutingTable } from '../../proxy/routing-table/v1.ts'
import { startPush, until } from '../../test/support/push-server.ts'
import { makeTable, oneModel } from '../../test/support/table.ts'

const TABLE = oneModel('llama', 'http://10.0.0.1:8000')
const weighing = (weight: number): RoutingTable => makeTable({ models: { llama: { weight, backends: [{ url: 'http://10.0.0.1:8000' }] } } })

test("a gateway's newer epoch raises the leader's, and everyone is welcomed again", async (t) => {
  const raised: number[] = []
  const running = await startPush(t, { table: TABLE, events: { onStaleEpoch: (have) => raised.push(have) } })
  const other = await running.synced('gateway-1')
  const proxy = await running.dial('gateway')
  proxy.hello({ epoch: 40 })
  await proxy.nextOf('welcome')
  proxy.send({ type: 'staleEpoch', have: 40 })
  await until(() => raised.length === 1, 'the lead is told')
  assert.deepEqual([raised, running.server.highestGatewayEpoch()], [[40], 40])
  await proxy.nextOf('sendHave')
  running.server.setEpoch(41)
  assert.equal((await proxy.nextOf('welcome')).epoch, 41)
  await proxy.tellHeld()
  assert.equal((await proxy.follow()).commit.epoch, 41)
  assert.equal((await other.nextOf('welcome')).epoch, 41)
  const again = await other.follow()
  assert.deepEqual([again.commit.epoch, again.set], [41, []])
})

test('a gateway that has the same epoch from another leader gets nothing before it is raised; one that has it from us does', async (t) => {
  const raised: number[] = []
  const running = await startPush(t, { table: TABLE, events: { onStaleEpoch: (have) => raised.push(have) } })
  running.server.setEpoch(7)
  const proxy = await running.dial('gateway')
  proxy.hello({ epoch: 7 })
  await until(() => raised.length === 1, 'the lead is told')
  assert.deepEqual(raised, [7])
  running.server.setEpoch(8)
  assert.equal((await proxy.nextOf('welcome')).epoch, 8)
  const again = await running.dial('gateway')
  again.hello({ epoch: 8 })
  assert.equal((await again.nextOf('welcome')).epoch, 8)
  assert.deepEqual(raised, [7])
})

test('the lead is told again while it has not raised the epoch', async (t) => {
  const told: number[] = []
  const limits = { heartbeatMs: 40, staleAgainMs: 100 }
  const running = await startPush(t, { table: TABLE, limits, events: { onStaleEpoch: (have) => told.push(have) } })
  const proxy = await running.dial('gateway')
  proxy.hello({ epoch: 40 })
  await proxy.nextOf('welcome')
  proxy.send({ type: 'staleEpoch', have: 40 })
  await until(() => told.length >= 2, 'it is told twice')
  running.server.setEpoch(41)
  const before = told.length
  await proxy.nextOf('sendHave')
  await proxy.nextOf('welcome')
  await proxy.tellHeld()
  await proxy.follow()
  await wait(150)
  assert.equal(told.length, before)
})

test('one who finds a commit stale is asked anew what it holds', async (t) => {
  const running = await startPush(t, { table: TABLE })
  const proxy = await running.synced('gateway')
  running.server.publish(weighing(2), Date.now())
  await proxy.take()
  proxy.held.clear()
  proxy.send({ type: 'staleEpoch', have: 90 })
  await until(() => running.server.highestGatewayEpoch() === 90, 'it is told')
  running.server.setEpoch(91)
  await proxy.nextOf('welcome')
  await proxy.tellHeld()
  const taken = await proxy.follow()
  assert.deepEqual([taken.commit.epoch, taken.set.length], [91, 2])
})

test('a sidecar with a newer epoch keeps what it has while gateways may still raise ours, and then takes the raised one', async (t) => {
  const running = await startPush(t, { table: TABLE, limits: { heartbeatMs: 40, sidecarWaitMs: 60_000 } })
  const sidecar = await running.dial('team-a')
  sidecar.hello({ mode: 'Sidecar', epoch: 99 })
  await sidecar.nextOf('welcome')
  sidecar.send({ type: 'staleEpoch', have: 99 })
  await sidecar.nextOf('sendHave')
  await sidecar.heartbeat()
  await sidecar.heartbeat()
  assert.deepEqual(sidecar.waiting, [])
  running.server.setEpoch(100)
  const { epoch, confirmed } = await sidecar.nextOf('welcome')
  assert.deepEqual([epoch, confirmed], [100, undefined])
})

test("a sidecar's newer epoch raises nothing: it is welcomed by a leader that has made sure", async (t) => {
  let asked = 0
  const confirmLeadership = async (): Promise<boolean> => {
    asked++
    return true
  }
  const running = await startPush(t, { table: TABLE, limits: { sidecarWaitMs: 0 }, options: { confirmLeadership } })
  const proxy = await running.dial('team-a')
  proxy.hello({ mode: 'Sidecar', epoch: 99 })
  await proxy.nextOf('welcome')
  proxy.send({ type: 'staleEpoch', have: 99 })
  await proxy.nextOf('sendHave')
  const welcome = await proxy.nextOf('welcome')
  assert.deepEqual([welcome.epoch, welcome.confirmed], [7, true])
  await proxy.tellHeld()
  assert.equal((await proxy.follow()).commit.epoch, 7)
  assert.deepEqual([running.server.highestGatewayEpoch(), asked], [0, 1])
})

test('a leader that cannot make sure sends the sidecar away', async (t) => {
  const running = await startPush(t, { limits: { sidecarWaitMs: 0 }, options: { confirmLeadership: async () => false } })
  const proxy = await running.dial('team-a')
  proxy.hello({ mode: 'Sidecar', epoch: 99 })
  await proxy.nextOf('welcome')
  proxy.send({ type: 'staleEpoch', have: 99 })
  await proxy.nextOf('goAway')
  assert.equal((await proxy.closed).code, CLOSE.goingAway)
})

test('a proxy that finds everything stale for ever is sent away', async (t) => {
  const running = await startPush(t)
  const proxy = await running.dial('gateway')
  proxy.hello()
  for (let i = 0; i < 20; i++) proxy.send({ type: 'staleEpoch', have: 50 + i })
  assert.equal((await proxy.closed).code, CLOSE.protocol)
})

test('the newer stream of a proxy ends the older', async (t) => {
  const running = await startPush(t, { table: TABLE })
  const first = await running.synced('gateway')
  await running.synced('gateway')
  assert.equal((await first.closed).code, CLOSE.superseded)
  await until(() => running.server.counts().Gateway === 1, 'one is left')
  assert.equal(running.server.programming().get('LlamaModel default/llama')?.gateways, 1)
})

test('who is silent is given up, who speaks is not', async (t) => {
  const running = await startPush(t, { limits: { heartbeatMs: 40, deadAfterMs: 400 } })
  const speaks = await running.dial('gateway-1')
  const silent = await running.dial('gateway-2')
  for (const proxy of [speaks, silent]) proxy.hello()
  const speaking = setInterval(() => speaks.send({ type: 'heartbeat' }), 50)
  t.after(() => clearInterval(speaking))
  assert.equal((await silent.closed).code, 1006)
  await until(() => running.server.counts().Gateway === 1, 'one is left')
  await speaks.heartbeat()
})

test('who says no hello is closed', async (t) => {
  const running = await startPush(t, { limits: { heartbeatMs: 40, helloTimeoutMs: 100 } })
  const proxy = await running.dial('gateway')
  assert.deepEqual(await proxy.closed, { code: CLOSE.protocol, reason: 'no hello' })
})

test('an answer that never comes holds up nothing newer', async (t) => {
  const running = await startPush(t, { table: TABLE, limits: { heartbeatMs: 40, deadAfterMs: 300 } })
  const proxy = await running.synced('gateway')
  const speaking = setInterval(() => proxy.send({ type: 'heartbeat' }), 50)
  t.after(() => clearInterval(speaking))
  running.server.publish(weighing(2), Date.now())
  await proxy.take()
  running.server.publish(weighing(3), Date.now())
  assert.equal((await proxy.take()).commit.seq, 3)
})

const BROKEN: Readonly<Record<string, string>> = {
  'no JSON': '{"type"',
  'a list': '[]',
  'a field of another type': '{"type":"ack","epoch":1,"seq":"x","kept":[]}',
  'a second hello': '{"type":"hello","reads":[1],"mode":"Gateway","program":"x","instance":"i","epoch":0}',
  'an answer of an epoch that was never sent': '{"type":"ack","epoch":1000,"seq":1,"kept":[]}',
}

for (const [what, text] of Object.entries(BROKEN)) {
  test(`${what} breaks the protocol`, async (t) => {
    const running = await startPush(t)
    const proxy = await running.dial('gateway')
    proxy.hello()
    await proxy.nextOf('welcome')
    proxy.sendText(text)
    const { code, reason } = await proxy.closed
    assert.equal(code, CLOSE.protocol)
    assert.notEqual(reason, '')
  })
}

test('anything before hello breaks the protocol, and a frame of a later version does not', async (t) => {
  const running = await startPush(t)
  const proxy = await running.dial('gateway')
  proxy.sendText('{"type":"later"}')
  proxy.send({ type: 'heartbeat' })
  assert.deepEqual(await proxy.closed, { code: CLOSE.protocol, reason: 'heartbeat before hello' })
})

test('a sidecar that lists more than it was ever sent is sent away', async (t) => {
  const running = await startPush(t, { table: TABLE })
  const proxy = await running.dial('team-a')
  proxy.hello({ mode: 'Sidecar' })
  await proxy.nextOf('welcome')
  await proxy.nextOf('sendHave')
  const entries = Array.from({ length: 11_000 }, (_, i) => ['model', `team-a/m${i}`, 'a'.repeat(32)] as const)
  proxy.send({ type: 'have', entries, last: false })
  assert.equal((await proxy.closed).code, CLOSE.protocol)
})

test('a proxy that reads no table of ours is sent away', async (t) => {
  const running = await startPush(t)
  const proxy = await running.dial('gateway')
  proxy.hello({ reads: [2, 3] })
  assert.match((await proxy.nextOf('goAway')).reason, /version 1/)
  assert.equal((await proxy.closed).code, CLOSE.goingAway)
})

test('a commit that does not add up is sent again from the beginning', async (t) => {
  const running = await startPush(t, { table: TABLE })
  const proxy = await running.dial('gateway')
  proxy.hello()
  await proxy.nextOf('welcome')
  await proxy.tellHeld()
  const { commit } = await proxy.take()
  proxy.held.clear()
  const error = { pointer: '', reason: 'hashMismatch', message: 'does not add up' } as const
  proxy.send({ type: 'nack', epoch: commit.epoch, seq: commit.seq, kept: [], errors: [error] })
  await proxy.tellHeld()
  assert.equal((await proxy.follow()).set.length, 2)
})

test('a commit that never adds up ends the stream', async (t) => {
  const running = await startPush(t, { table: TABLE })
  const proxy = await running.dial('gateway')
  proxy.hello()
  await proxy.nextOf('welcome')
  const error = { pointer: '', reason: 'hashMismatch', message: 'does not add up' } as const
  for (let i = 0; i < 4; i++) {
    await proxy.tellHeld()
    const { commit } = await proxy.take()
    proxy.send({ type: 'nack', epoch: commit.epoch, seq: commit.seq, kept: [], errors: [error] })
  }
  assert.equal((await proxy.closed).code, CLOSE.protocol)
})

test('an entry that is refused is told with its place, until a good one has come', async (t) => {
  const nacks: string[] = []
  const running = await startPush(t, { table: TABLE, events: { onNack: ({ proxy, reason }) => nacks.push(`${proxy} ${reason}`) } })
  const { server } = running
  const proxy = await running.synced('gateway')
  server.publish(weighing(2), Date.now())
  const { commit } = await proxy.take()
  const bad = { kind: 'model', ref: 'default/llama', pointer: '/weight', reason: 'invalid', message: 'must be odd' } as const
  const kept = [{ kind: 'model', ref: 'default/llama', generation: 1 }] as const
  proxy.send({ type: 'nack', epoch: commit.epoch, seq: commit.seq, kept, errors: [bad] })
  await until(() => nacks.length === 1, 'the nack is told')
  assert.deepEqual(nacks, ['llama-swap/gateway invalid'])
  assert.deepEqual(server.programming().get('LlamaModel default/llama'), {
    gateways: 1,
    acked: 0,
    rejected: [{ proxy: 'llama-swap/gateway', reason: 'invalid', pointer: '/weight', message: 'must be odd', keptGeneration: 1 }],
  })
  server.publish(weighing(3), Date.now())
  await proxy.follow()
  await until(() => server.programming().get('LlamaModel default/llama')?.acked === 1, 'it is in force')
})

test('a gateway that is gone counts for a while, and its facts are told', async (t) => {
  let facts = 0
  const limits = { heartbeatMs: 40, goneGraceMs: 300, factsEveryMs: 10 }
  const { server, synced } = await startPush(t, { table: TABLE, limits, events: { onFacts: () => facts++ } })
  const gateways = (): number | undefined => server.programming().get('LlamaModel default/llama')?.gateways
  const proxy = await synced('gateway')
  await until(() => gateways() === 1 && facts > 0, 'it counts')
  proxy.close()
  await until(() => server.counts().Gateway === 0, 'it is gone')
  assert.equal(gateways(), 1)
  const before = facts
  await until(() => gateways() === 0 && facts > before, 'it counts no more')
})

test('gateways vote on endpoints, sidecars do not; usage adds up for models of the table', async (t) => {
  const { server, synced } = await startPush(t, { table: oneModel('llama', 'http://10.0.0.1:8000') })
  const [one, two, sidecar] = [await synced('gateway-1'), await synced('gateway-2'), await synced('team-a')]
  const usage = { ref: 'default/llama', requests: 2, errors: 1, inputTokens: 10, outputTokens: 20 }
  const foreign = { ...usage, ref: 'default/unknown' }
  one.send({ type: 'report', endpoints: [{ id: 'e1', up: true, inFlight: 3, engine: 'vLLM' }], gone: [], usage: [usage, foreign] })
  two.send({
    type: 'report',
    endpoints: [
      { id: 'e1', up: false, inFlight: 1 },
      { id: 'e2', inFlight: 0 },
    ],
    gone: [],
    usage: [usage],
  })
  sidecar.send({ type: 'report', endpoints: [{ id: 'e1', up: false, inFlight: 9 }], gone: [], usage: [usage] })
  await until(() => server.usage().get('default/llama')?.requests === 4 && server.reports().size === 2, 'the reports have come')
  assert.deepEqual(server.reports().get('e1'), { up: 1, down: 1, inFlight: 4, engine: 'vLLM' })
  assert.deepEqual([...server.usage().keys()], ['default/llama'])
  two.send({ type: 'report', endpoints: [], gone: ['e1'], usage: [] })
  await until(() => server.reports().get('e1')?.down === 0, 'one has forgotten it')
  const again = await synced('gateway-1')
  again.send({ type: 'report', endpoints: [{ id: 'e1', up: true, inFlight: 1 }], gone: [], usage: [] })
  await until(() => server.reports().get('e1')?.inFlight === 1, 'the stream it replaced does not count twice')
  assert.equal(server.reports().get('e1')?.up, 1)
  again.close()
  two.close()
  await until(() => server.reports().size === 0, 'nobody speaks of any endpoint')
})

test('a token that has expired ends the stream, a fresh one in time keeps it', async (t) => {
  const limits = { heartbeatMs: 40 }
  const running = await startPush(t, { table: TABLE, limits })
  const expires = Date.now() + 700
  const kept = await running.synced(`gateway-1~${expires}`)
  const lost = await running.synced(`gateway-2~${expires}`)
  kept.send({ type: 'token', token: 'gateway-1' })
  assert.equal((await lost.closed).code, CLOSE.unauthenticated)
  running.server.publish(weighing(4), Date.now())
  await kept.follow()
})

test("another pod's token, or one that nobody knows, ends the stream", async (t) => {
  const running = await startPush(t)
  for (const token of ['gateway-2', 'nonsense']) {
    const proxy = await running.dial('gateway-1')
    proxy.hello()
    proxy.send({ type: 'token', token })
    assert.equal((await proxy.closed).code, CLOSE.unauthenticated)
  }
})

/** About 80 KB each. */
function large(models: number, weight: number): RoutingTable {
  const backend = {
    url: 'http://10.0.0.1:8000',
    headers: Array.from({ length: 16 }, (_, i) => ({ name: `x-${i}`, value: 'v'.repeat(256) })),
  }
  const backends = Array.from({ length: 16 }, () => backend)
  return makeTable({ models: Object.fromEntries(Array.from({ length: models }, (_, i) => [`m${i}`, { weight, backends }])) })
}

test('a proxy that does not read costs bounded memory, and has the newest state in the end', async (t) => {
  const running = await startPush(t, { table: large(100, 1) })
  const proxy = await running.dial('gateway')
  proxy.hello()
  await proxy.nextOf('welcome')
  await proxy.tellHeld()
  proxy.pause()
  const before = process.memoryUsage().external
  for (let weight = 2; weight <= 11; weight++) {
    running.server.publish(large(100, weight), Date.now())
    await wait(10)
  }
  const grownBytes = process.memoryUsage().external - before
  t.diagnostic(`${Math.round(grownBytes / 1024)} KiB of buffers for 10 tables of ${Math.round(SENT_BYTES / 1024)} KiB`)
  assert.ok(grownBytes < 2 * SENT_BYTES)
  proxy.resume()
  const [first, second] = [await proxy.follow(), await proxy.follow()]
  assert.ok(first.commit.seq < 3)
  assert.equal(second.commit.seq, 11)
  const newer = await running.synced('gateway-2')
  assert.equal(proxy.hash, newer.hash)
})

/** Of `large(100)`. */
const SENT_BYTES = 8 * 1024 * 1024

test('frames of entries stay below their bound', async (t) => {
  const running = await startPush(t, { table: large(10, 1) })
  const proxy = await running.synced('gateway')
  const lengths = proxy.texts.map((text) => Buffer.byteLength(text))
  assert.ok(lengths.length > 5 && Math.max(...lengths) <= 256 * 1024, String(lengths))
})

test('a table above the bound is not sent, and that is told until it fits', async (t) => {
  const told: (number | undefined)[] = []
  const running = await startPush(t, { table: TABLE, events: { onTooLarge: (bytes) => told.push(bytes) } })
  const proxy = await running.synced('gateway')
  assert.equal(running.server.publish(large(900, 1), Date.now()), 'tooLarge')
  assert.ok((told[0] ?? 0) > MAX_TABLE_BYTES)
  assert.equal(running.server.publish(weighing(2), Date.now()), 'published')
  assert.equal((await proxy.follow()).commit.seq, 2)
  assert.deepEqual(told.slice(1), [undefined])
})
