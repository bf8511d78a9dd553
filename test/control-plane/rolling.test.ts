/** The operator is upgraded, the leader changes and the routing table changes a thousand times, all under load: no client sees any of it. */
import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import type { Cluster } from '../support/control-plane/cluster.ts'
import { freePorts } from '../support/control-plane/free-ports.ts'
import { requirePrivateNetwork } from '../support/control-plane/network.ts'
import { sharedControlPlane } from '../support/control-plane/shared.ts'
import { eventually } from '../support/eventually.ts'
import { type Installation, install, type RunningOperator } from '../support/installation.ts'
import { startLoad } from '../support/load.ts'
import type { RunningProxy } from '../support/proxy.ts'
import { pushOf } from '../support/pushed.ts'
import { alias, leads, modelOfService, served, watchStamps } from './install-ground.ts'

requirePrivateNetwork()
/** 20 events 150 ms apart: a stream lasts 3 s. */
const EVENTS = 20
const CHANGES = 1000
const AT_ONCE = 4
const CHANGE_EVERY_MS = 120
let cluster: Cluster
before(async () => {
  cluster = await sharedControlPlane()
})

/** Rewrites the weights of the policy "auto", so many times, as fast as the API server takes it but no faster than 33 a second. */
async function changeWeights(team: string, times: number): Promise<void> {
  const path = `/apis/llamaswap.dev/v1alpha1/namespaces/${team}/routingpolicies/auto`
  const change = async (weight: number): Promise<unknown> => {
    const targets = [{ model: 'llama', weight }, { model: 'other' }]
    return cluster.ask('PATCH', path, { spec: { targets } }, 'application/merge-patch+json')
  }
  let done = 0
  const worker = async (): Promise<void> => {
    while (done < times - 1) await Promise.all([change(1 + (done++ % 99)), delay(CHANGE_EVERY_MS)])
  }
  await Promise.all(Array.from({ length: AT_ONCE }, worker))
  await change(77)
}

const weightAt = async (proxy: RunningProxy): Promise<string> => (await fetch(`${proxy.adminUrl}/debug/table`)).text()

/** One replica after the other: its successor is there before it ends, as a Deployment does it. */
async function replace(old: RunningOperator, start: () => Promise<RunningOperator>): Promise<RunningOperator> {
  const next = await start()
  await eventually(async () => assert.equal((await fetch(`${next.metricsUrl}/readyz`)).status, 200))
  old.program.signal('SIGTERM')
  assert.equal(await old.program.ended, 0)
  return next
}

test('a rolling upgrade, two changes of the leader and a thousand changes of the table: no request fails, no stream is cut', async (t) => {
  const team = await cluster.namespace()
  const installed: Installation = await install(cluster, { namespaces: [team] })
  const ports = await freePorts(4)
  const start = (index: number): Promise<RunningOperator> =>
    installed.operator(t, { name: `operator-${index}`, pushPort: ports[index] ?? 0 })
  const old = [await start(0), await start(1)] as const
  const operators = ports.map((port) => `wss://127.0.0.1:${port}/push`).join(',')
  const args = ['--anonymous-namespace', team]
  const gateways = await Promise.all([1, 2].map(() => installed.gateway(t, { args, operators })))
  await modelOfService(t, cluster, team, { events: EVENTS, everyMs: 150 })
  await cluster.apply(`
apiVersion: llamaswap.dev/v1alpha1
kind: LlamaModel
metadata: {name: other, namespace: ${team}}
spec:
  backends: [{name: gpu, service: {name: gpu, port: {number: 80}}}]
---
apiVersion: llamaswap.dev/v1alpha1
kind: RoutingPolicy
metadata: {name: auto, namespace: ${team}}
spec: {virtualModels: [auto], targets: [{model: llama, weight: 1}, {model: other}]}
`)
  await served(gateways, 'auto')
  const stamps = watchStamps(t, gateways)
  const load = startLoad(t, { urls: gateways.map(({ url }) => url), model: 'auto', perSecond: 20, streams: 8, events: EVENTS })

  const startedMs = performance.now()
  const changing = changeWeights(team, CHANGES)
  changing.catch(() => undefined) // told below
  const first = await replace(old[0], () => start(2))
  const second = await replace(old[1], () => start(3))
  await eventually(async () => assert.equal((await Promise.all([first, second].map(leads))).filter(Boolean).length, 1), 20_000)
  await changing
  const lastMs = performance.now()
  const wanted = (text: string): void => assert.match(text, /"weight":\s*77\b/)
  await Promise.all(gateways.map((gateway) => eventually(async () => wanted(await weightAt(gateway)))))
  t.diagnostic(
    `${CHANGES} changes in ${Math.round(lastMs - startedMs)} ms; the last in force ${Math.round(performance.now() - lastMs)} ms later`,
  )
  await alias(cluster, team, 'news')
  await served(gateways, 'news')

  const counts = await load.stop()
  await stamps.stop()
  t.diagnostic(
    JSON.stringify({ ...counts, stamps: stamps.seen.map((each) => each.length), last: await Promise.all(gateways.map(stampOf)) }),
  )
  assert.deepEqual(stamps.setBacks, [])
  assert.deepEqual([counts.failed, counts.cut], [0, 0], counts.faults.join('\n'))
  assert.ok(counts.whole > 300 && counts.streams > 40, JSON.stringify(counts))
})

async function stampOf(proxy: RunningProxy): Promise<unknown> {
  const { epoch, seq, kept, errors } = await pushOf(proxy)
  return { epoch, seq, kept, errors }
}
