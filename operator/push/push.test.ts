/** What travels, and when: a whole table, a change, nothing. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { IGNORABLE_FIELDS, type RoutingTable } from '../../proxy/routing-table/v1.ts'
import { valueAt } from '../../test/support/control-plane/api.ts'
import { type Running, startPush, until } from '../../test/support/push-server.ts'
import { startRecordingRelay } from '../../test/support/recording-relay.ts'
import { ScriptedProxy, type Taken } from '../../test/support/scripted-proxy.ts'
import { type ModelLines, makeTable, type TableLines } from '../../test/support/table.ts'

const LINES: TableLines = {
  models: {
    llama: { backends: [{ url: 'http://10.0.0.1:8000' }] },
    other: { namespace: 'team-b', backends: [{ url: 'http://10.0.0.2:8000' }] },
  },
  policies: { auto: { targets: ['llama'] } },
}

const names = ({ set }: Taken): readonly string[] => set.map(({ kind, key }) => `${kind} ${key}`)

function withModel(name: string, lines: Partial<ModelLines>): RoutingTable {
  const before = LINES.models?.[name]
  return makeTable({ ...LINES, models: { ...LINES.models, [name]: { backends: [], ...before, ...lines } } })
}

test('a gateway gets the whole table, what is pointed at first, and its acknowledgement counts', async (t) => {
  const { server, dial } = await startPush(t, { table: makeTable(LINES) })
  const proxy = await dial('gateway')
  proxy.hello()
  const welcome = { type: 'welcome', epoch: 7, tableVersion: 1, mode: 'Gateway', namespace: 'llama-swap', ignorable: IGNORABLE_FIELDS }
  assert.deepEqual(await proxy.nextOf('welcome'), welcome)
  await proxy.tellHeld()
  const taken = await proxy.follow()
  assert.deepEqual(names(taken), [
    'endpoints default/llama b0',
    'endpoints team-b/other b0',
    'model default/llama',
    'model team-b/other',
    'policy default/auto',
  ])
  assert.deepEqual([taken.commit.epoch, taken.commit.seq], [7, 1])
  await until(() => server.programming().get('LlamaModel default/llama')?.acked === 1, 'acknowledged')
  assert.deepEqual(server.programming().get('RoutingPolicy default/auto'), { gateways: 1, acked: 1, rejected: [] })
})

test('a proxy that comes back with the same table gets a commit and no entries', async (t) => {
  const { dial, synced } = await startPush(t, { table: makeTable(LINES) })
  const before = await synced('gateway')
  before.close()
  const proxy = await dial('gateway')
  proxy.hello({ epoch: 7, table: { epoch: 7, seq: 1, hash: before.hash } })
  await proxy.nextOf('welcome')
  assert.equal((await proxy.nextOf('commit')).hash, before.hash)
})

test('a proxy that comes back with an older table gets what differs', async (t) => {
  const { server, dial, synced } = await startPush(t, { table: makeTable(LINES) })
  const before = await synced('gateway')
  before.close()
  server.publish(withModel('llama', { weight: 5 }), Date.now())
  const proxy = await dial('gateway')
  for (const [name, entry] of before.held) proxy.held.set(name, entry)
  proxy.hello({ epoch: 7, table: { epoch: 7, seq: 1, hash: before.hash } })
  await proxy.nextOf('welcome')
  await proxy.tellHeld()
  assert.deepEqual(names(await proxy.follow()), ['model default/llama'])
})

test('only what changed travels, and what is gone is removed', async (t) => {
  const { server, synced } = await startPush(t, { table: makeTable(LINES) })
  const proxy = await synced('gateway')
  server.publish(withModel('llama', { weight: 5 }), Date.now())
  assert.deepEqual(names(await proxy.follow()), ['model default/llama'])
  server.publish(makeTable({ models: { other: LINES.models?.['other'] ?? { backends: [] } } }), Date.now())
  const last = await proxy.follow()
  assert.deepEqual(names(last), [])
  assert.deepEqual(last.removed, ['policy default/auto', 'model default/llama', 'endpoints default/llama b0'])
})

test('new endpoints travel without their model', async (t) => {
  const { server, synced } = await startPush(t, { table: makeTable(LINES) })
  const proxy = await synced('gateway')
  server.publish(withModel('llama', { backends: [{ url: ['http://10.0.0.1:8000', 'http://10.0.0.9:8000'] }] }), Date.now())
  assert.deepEqual(names(await proxy.follow()), ['endpoints default/llama b0'])
})

test('an equal table, made anew, sends nothing', async (t) => {
  const { server, synced } = await startPush(t, { table: makeTable(LINES) })
  const proxy = await synced('gateway')
  assert.equal(server.publish(makeTable(LINES), Date.now()), 'unchanged')
  server.publish(withModel('llama', { weight: 5 }), Date.now())
  assert.equal((await proxy.follow()).commit.seq, 2)
})

test('while one commit is under way nothing else is sent; then the newest state alone', async (t) => {
  const { server, synced } = await startPush(t, { table: makeTable(LINES) })
  const proxy = await synced('gateway')
  server.publish(withModel('llama', { weight: 2 }), Date.now())
  const second = await proxy.take()
  for (const weight of [3, 4, 5]) server.publish(withModel('llama', { weight }), Date.now())
  assert.deepEqual(proxy.waiting, [])
  proxy.ack(second)
  const last = await proxy.follow()
  assert.equal(last.commit.seq, 5)
  assert.equal(last.set.length, 1)
})

test('a table that comes before the epoch, or the other way round, waits for both', async (t) => {
  const { server, dial } = await startPush(t, { leads: false, table: makeTable(LINES) })
  server.setLeading(true)
  const proxy = await dial('gateway')
  proxy.hello({ epoch: 41 })
  await until(() => server.highestGatewayEpoch() === 41, 'the epoch of the gateway is known')
  server.setEpoch(42)
  assert.equal((await proxy.nextOf('welcome')).epoch, 42)
  await proxy.tellHeld()
  assert.equal((await proxy.follow()).commit.epoch, 42)
})

test('an empty table is a table, and no table is none', async (t) => {
  const { server, dial } = await startPush(t, { limits: { heartbeatMs: 50 } })
  const proxy = await dial('gateway')
  proxy.hello()
  await proxy.nextOf('welcome')
  await proxy.heartbeat()
  assert.deepEqual(proxy.waiting, [])
  server.publish(makeTable({}), Date.now())
  await proxy.tellHeld()
  assert.deepEqual((await proxy.follow()).set, [])
})

const TYPICAL: ModelLines = {
  names: ['llama-70b', 'gpt-4o', 'llama3'],
  aliases: [{ name: 'gpt-4o' }, { name: 'llama3' }],
  access: { from: 'Namespaces', namespaces: ['team-a', 'team-b', 'team-c'] },
  retry: { sameEndpoint: 1, totalAttempts: 6, budgetPercent: 20 },
  backends: ['gpu', 'rented'].map((name) => ({
    name,
    url: `http://${name}.default.svc.cluster.local:8000`,
    engine: 'vLLM' as const,
    upstreamModel: 'meta-llama/Llama-3.1-70B-Instruct',
    capabilities: ['chat', 'completions', 'tools', 'jsonSchema'] as const,
    contextWindowTokens: 131_072,
    maxOutput: { tokens: 4096, onExceed: 'Clamp' as const },
    health: { path: '/health', intervalMs: 5_000, timeoutMs: 2_000 },
    timeouts: { connectMs: 1_000, firstTokenMs: 30_000, streamIdleMs: 20_000, totalMs: 600_000 },
    keys: ['sk-some-key'],
    headers: [{ name: 'x-team', value: 'platform' }],
  })),
}

/** Everything that goes to the proxy for one change, TLS and all. */
async function bytesOf(t: Parameters<typeof startPush>[0], running: Running, change: () => void): Promise<number> {
  const relay = await startRecordingRelay(running.port)
  t.after(() => relay.close())
  const proxy = await ScriptedProxy.dial({ ...running.dialling, port: Number(new URL(relay.url).port), token: 'gateway' })
  t.after(() => proxy.close())
  proxy.hello()
  await proxy.nextOf('welcome')
  await proxy.tellHeld()
  await proxy.follow()
  const before = relay.connections[0]?.response.length ?? 0
  change()
  await proxy.follow()
  return (relay.connections[0]?.response.length ?? 0) - before
}

test('a new weight of a typical model costs at most 2 KB on the wire', async (t) => {
  const typical = (weight: number): RoutingTable =>
    makeTable({ models: { llama: { ...TYPICAL, weight } }, policies: { auto: { targets: ['llama'] } } })
  const running = await startPush(t, { table: typical(1) })
  const bytes = await bytesOf(t, running, () => running.server.publish(typical(10), Date.now()))
  t.diagnostic(`${bytes} bytes`)
  assert.ok(bytes > 500 && bytes <= 2_000, `${bytes} bytes`)
})

test('what was pushed and acknowledged is told, by mode', async (t) => {
  const pushes: { mode: string; bytes: number }[] = []
  const acks: { mode: string; ms: number }[] = []
  const events = { onPush: (push: (typeof pushes)[number]) => pushes.push(push), onAck: (ack: (typeof acks)[number]) => acks.push(ack) }
  const { server, synced } = await startPush(t, { table: makeTable(LINES), events })
  const proxy = await synced('gateway')
  const sidecar = await synced('team-b')
  assert.deepEqual(server.counts(), { Gateway: 1, Sidecar: 1 })
  server.publish(withModel('other', { weight: 3 }), Date.now() - 20)
  await Promise.all([proxy.follow(), sidecar.follow()])
  await until(() => acks.length === 2, 'two acknowledgements')
  assert.deepEqual(acks.map(({ mode }) => mode).toSorted(), ['Gateway', 'Sidecar'])
  assert.ok(acks.every(({ ms }) => ms >= 20 && ms < 5_000))
  assert.equal(pushes.length, 4)
  assert.ok(pushes.every(({ bytes }) => bytes > 100))
})

test('a sidecar hears where gateways are, and of a new address of theirs at once', async (t) => {
  const url = 'http://llama-swap.home.svc'
  const rented: ModelLines = { namespace: 'team-a', backends: [{ url: 'https://api.example.com', keys: ['of-the-backend'] }] }
  const { server, synced } = await startPush(t, { table: makeTable({ models: { rented } }), options: { gateway: { url } } })
  const proxy = await synced('team-a')
  const gateway = await synced('gateway')
  for (const addresses of [['10.96.0.7'], ['10.96.0.8']]) {
    server.setGateway({ url, addresses })
    const { set } = await proxy.follow()
    assert.deepEqual(
      set.map(({ kind, value }) => [kind, valueAt(value, 'endpoints', 0, 'origin'), valueAt(value, 'endpoints', 0, 'addresses')]),
      [['endpoints', url, addresses]],
    )
  }
  assert.equal(gateway.texts.filter((text) => text.includes('"commit"')).length, 1)
})
