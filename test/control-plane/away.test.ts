/** The operator is away, or has never been there: proxies serve what they know, find what has moved, and say why they do not serve. */
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { before, type TestContext, test } from 'node:test'
import { ApiRelay } from '../support/control-plane/api-relay.ts'
import type { Cluster } from '../support/control-plane/cluster.ts'
import { freePorts } from '../support/control-plane/free-ports.ts'
import { requirePrivateNetwork } from '../support/control-plane/network.ts'
import { sharedControlPlane } from '../support/control-plane/shared.ts'
import { eventually } from '../support/eventually.ts'
import { engineAt, type Installation, install, type PodEngine } from '../support/installation.ts'
import { startLoad } from '../support/load.ts'
import type { RunningProxy } from '../support/proxy.ts'
import { metricOf, readinessOf } from '../support/pushed.ts'
import { alias, modelOfService, say, served } from './install-ground.ts'

requirePrivateNetwork()
const EVENTS = 6
let cluster: Cluster
before(async () => {
  cluster = await sharedControlPlane()
})

interface Ground {
  readonly team: string
  readonly installed: Installation
  readonly pushPort: number
  /** Path of a file in the folder of the gateways. */
  file(name: string): string
  gateway(lastKnownGood?: string): Promise<RunningProxy>
}

/** An installation whose operator is always at the same port. */
async function ground(t: TestContext): Promise<Ground> {
  const team = await cluster.namespace()
  const installed = await install(cluster, { namespaces: [team] })
  const [pushPort = 0] = await freePorts(1)
  const folder = mkdtempSync(join(cluster.folder, 'gateways-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const file = (name: string): string => join(folder, name)
  const gateway = (lastKnownGood?: string): Promise<RunningProxy> => {
    const kept = lastKnownGood === undefined ? [] : ['--last-known-good', file(lastKnownGood)]
    return installed.gateway(t, { args: ['--anonymous-namespace', team, ...kept], operators: `wss://127.0.0.1:${pushPort}/push` })
  }
  return { team, installed, pushPort, file, gateway }
}

async function kill({ program }: Pick<RunningProxy, 'program'>): Promise<void> {
  program.child.kill('SIGKILL')
  await program.ended
}

/** As the kernel does, once its table is on disk. */
async function killWithTable(proxy: RunningProxy): Promise<void> {
  await served([proxy], 'llama')
  await eventually(async () => assert.ok(((await metricOf(proxy, 'llama_swap_last_known_good_saved_timestamp_seconds')) ?? 0) > 0))
  await kill(proxy)
}

const isUnready = (proxy: RunningProxy, because: RegExp): Promise<void> =>
  eventually(async () => assert.match(await readinessOf(proxy), because))

test('the operator is gone: a proxy that restarts serves on, also from pods that are moved meanwhile, and a new one says what it lacks', async (t) => {
  const { team, installed, pushPort, gateway } = await ground(t)
  const operator = await installed.operator(t, { pushPort })
  const { pod, engine } = await modelOfService(t, cluster, team, { says: 'gpu-0', events: EVENTS, everyMs: 50 })
  const old = await gateway('good')
  await served([old], 'llama')
  await kill(operator)
  await killWithTable(old)

  const [again, fresh] = [await gateway('good'), await gateway()]
  assert.equal((await say(again, 'llama')).status, 200)
  assert.equal(await readinessOf(again), 'ok\n')
  assert.equal(await metricOf(again, 'llama_swap_table_from_disk'), 1)
  await isUnready(fresh, /^no routing table yet: operator wss:\/\/127\.0\.0\.1:\d+ unreachable/)

  const load = startLoad(t, { urls: [again.url], model: 'llama', perSecond: 20, streams: 2, events: EVENTS })
  const next = await cluster.makePod({ namespace: team, name: 'gpu-1', labels: { app: 'gpu' }, ports: [{ port: 8000 }] })
  const moved = await engineAt(t, next.ip, 8000, { says: 'gpu-1', events: EVENTS, everyMs: 50 })
  await cluster.setPod(team, pod.name, { ready: false })
  await eventually(async () => assert.ok(moved.served() > 0), 3000).catch(() => undefined)
  await cluster.removePod(team, pod.name)
  await drained(engine.server)
  await eventually(async () => assert.ok(moved.served() > 60, String(moved.served())))
  const counts = await load.stop()
  t.diagnostic(JSON.stringify(counts))
  assert.deepEqual([counts.failed, counts.cut], [0, 0], counts.faults.join('\n'))

  await installed.operator(t, { pushPort, name: 'operator-1' })
  await alias(cluster, team, 'news')
  await served([again, fresh], 'news', 20_000)
  assert.equal(await metricOf(again, 'llama_swap_table_from_disk'), 0)
  assert.match((await say(again, 'llama')).text, /gpu-1/)
})

/** Takes no connection any more, and ends those it has when they are idle: what a pod does in its last seconds. */
async function drained(server: PodEngine['server']): Promise<void> {
  const closed = new Promise((resolve) => server.close(resolve))
  server.closeIdleConnections()
  await closed
}

test('a last good table that was changed on disk is set aside: unready until an operator is back', async (t) => {
  const { team, installed, pushPort, file, gateway } = await ground(t)
  const operator = await installed.operator(t, { pushPort })
  await modelOfService(t, cluster, team)
  await killWithTable(await gateway('bad'))
  await operator.close()
  writeFileSync(file('bad'), readFileSync(file('bad'), 'utf8').replaceAll('llama', 'lemma'))

  const proxy = await gateway('bad')
  await isUnready(proxy, /^no routing table yet: operator .* unreachable/)
  assert.equal(await metricOf(proxy, 'llama_swap_last_known_good_failures_total{reason="corrupt"}'), 1)
  assert.ok(statSync(file('bad.corrupt')).isFile())
  await installed.operator(t, { pushPort, name: 'operator-1' })
  await served([proxy], 'llama', 20_000)
  assert.equal(await readinessOf(proxy), 'ok\n')
})

test('the proxy starts first, the operator later, the API server last: each says what it waits for, and then all is served', async (t) => {
  const { team, installed, pushPort, gateway } = await ground(t)
  const first = await installed.operator(t, { pushPort }) // proxies are given its CA
  await modelOfService(t, cluster, team)
  const early = await gateway()
  await served([early], 'llama')
  await first.close()
  await early.close()

  const relay = await ApiRelay.start({ upstream: cluster.url, upstreamCa: cluster.ca })
  t.after(() => relay.close())
  relay.switches.refuse = true
  const caFile = join(mkdtempSync(join(cluster.folder, 'relay-')), 'ca.crt')
  writeFileSync(caFile, relay.ca)

  const proxy = await gateway()
  await isUnready(proxy, /^no routing table yet: operator .* unreachable: .*ECONNREFUSED/)
  const operator = await installed.operator(t, { pushPort, name: 'operator-1', via: { url: relay.url, caFile } })
  const readiness = await fetch(`${operator.metricsUrl}/readyz`)
  assert.deepEqual([readiness.status, await readiness.text()], [503, 'not all of the cluster has been read yet\n'])
  await operator.program.line(({ msg }) => String(msg).startsWith('the leader Lease could not be read'))
  assert.match(await readinessOf(proxy), /^no routing table yet: /)
  relay.allOff()
  const sinceMs = performance.now()
  await served([proxy], 'llama', 20_000)
  t.diagnostic(`served ${Math.round(performance.now() - sinceMs)} ms after the API server was there`)
})
