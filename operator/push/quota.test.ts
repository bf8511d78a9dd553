/** Shares of limits on real streams: who is told what, and whose word counts. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { MeterReport } from '../../proxy/routing-table/frames.ts'
import { startPush } from '../../test/support/push-server.ts'
import type { ScriptedProxy } from '../../test/support/scripted-proxy.ts'
import { makeTable } from '../../test/support/table.ts'

const KEY = 'model default/llama requestsPerMinute'
const TABLE = makeTable({
  models: {
    llama: { backends: [{ url: 'http://10.0.0.1' }], limits: { requestsPerMinute: 10, tokensPerDay: 1000 } },
    own: { namespace: 'team-b', backends: [{ url: 'http://10.0.0.2' }], limits: { requestsPerMinute: 10 } },
  },
})

const meter = (more: Partial<MeterReport>): MeterReport => ({
  key: KEY,
  window: 'minute',
  max: 10,
  cap: 0,
  used: 0,
  wanted: 0,
  need: 0,
  ...more,
})

const tell = (proxy: ScriptedProxy, meters: readonly MeterReport[], answered = 0): void =>
  proxy.send({ type: 'quota', answered, fleet: 0, meters, gone: [], complete: true })

/** Passes over orders that only tell the size of the fleet. */
async function capsOf(proxy: ScriptedProxy): Promise<Readonly<Record<string, number>>> {
  for (;;) {
    const { caps } = await proxy.nextOf('quota')
    if (caps.length > 0) return Object.fromEntries(caps)
  }
}

test('what a request lacks is given, and what another has left over is taken back for it first', async (t) => {
  const { synced } = await startPush(t, { table: TABLE, epoch: 1 })
  const [one, two] = [await synced('gateway-1'), await synced('gateway-2')]
  tell(one, [meter({ wanted: 9, need: 9 })])
  tell(two, [])
  assert.deepEqual(await capsOf(one), { [KEY]: 9 })
  tell(one, [meter({ cap: 9, used: 4, wanted: 4 })], 100)
  tell(two, [meter({ wanted: 3, need: 3 })])
  assert.deepEqual(await capsOf(one), { [KEY]: 4 })
  tell(one, [meter({ cap: 4, used: 4, wanted: 4 })], 100)
  assert.deepEqual(await capsOf(two), { [KEY]: 3 })
})

test('of a day nothing is given before it is known what was used of it', async (t) => {
  const { server, synced } = await startPush(t, { table: TABLE, epoch: 1 })
  const proxy = await synced('gateway')
  const key = 'model default/llama tokensPerDay'
  tell(proxy, [meter({ key, window: 'day', max: 1000, wanted: 600, need: 600 }), meter({ wanted: 1, need: 1 })])
  assert.deepEqual(Object.keys(await capsOf(proxy)), [KEY])
  const day = Math.floor(Date.now() / 86_400_000)
  server.restoreDays({ day, names: {}, meters: { [key]: { max: 1000, gone: 300, by: {} } } })
  assert.equal((await capsOf(proxy))[key], 600)
  assert.equal(server.days()?.meters[key]?.gone, 300)
})

test('a sidecar has no say in the limits of models that it does not see, nor in how large one is', async (t) => {
  const { synced } = await startPush(t, { table: TABLE, epoch: 1 })
  const sidecar = await synced('team-b')
  const own = 'model team-b/own requestsPerMinute'
  const others = meter({ wanted: 5, need: 5 })
  const client = meter({ key: 'client default/auto default/app requestsPerMinute', wanted: 5, need: 5 })
  tell(sidecar, [others, client, meter({ key: own, max: 1000, wanted: 500, need: 9 })])
  assert.deepEqual(await capsOf(sidecar), { [own]: 9 })
})
