/**
 * Two operators of one installation, and all that may happen to the one that leads. Each time: no client notices, what changes after the fault
 * is in force at every proxy within 20 s, and no proxy ever goes back to an older table. All programs are real.
 */
import assert from 'node:assert/strict'
import { mkdtempSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { before, type TestContext, test } from 'node:test'
import { textAt, valueAt } from '../support/control-plane/api.ts'
import { ApiRelay } from '../support/control-plane/api-relay.ts'
import type { Cluster } from '../support/control-plane/cluster.ts'
import { freePorts } from '../support/control-plane/free-ports.ts'
import { requirePrivateNetwork } from '../support/control-plane/network.ts'
import { sharedControlPlane } from '../support/control-plane/shared.ts'
import { eventually } from '../support/eventually.ts'
import { type Installation, install, type RunningOperator } from '../support/installation.ts'
import { startLoad } from '../support/load.ts'
import type { RunningProxy } from '../support/proxy.ts'
import { alias, leads, modelOfService, served, stateOf, watchStamps } from './install-ground.ts'

requirePrivateNetwork()
const TAKEOVER_WITHIN_MS = 20_000
const EVENTS = 6
let cluster: Cluster
before(async () => {
  cluster = await sharedControlPlane()
})

/** One of two replicas: its port stays, and it reaches the API server through a relay of its own. */
class Replica {
  readonly relay: ApiRelay
  readonly #t: TestContext
  readonly #installed: Installation
  readonly #name: string
  readonly #port: number
  readonly #caFile: string
  #started = 0

  static async make(t: TestContext, installed: Installation, name: string): Promise<Replica> {
    const relay = await ApiRelay.start({ upstream: cluster.url, upstreamCa: cluster.ca })
    t.after(() => relay.close())
    const [port = 0] = await freePorts(1)
    return new Replica(t, installed, { relay, name, port })
  }

  private constructor(t: TestContext, installed: Installation, { relay, name, port }: { relay: ApiRelay; name: string; port: number }) {
    this.#t = t
    this.#installed = installed
    this.relay = relay
    this.#name = name
    this.#port = port
    this.#caFile = join(mkdtempSync(join(cluster.folder, 'relay-')), 'ca.crt')
    writeFileSync(this.#caFile, relay.ca)
  }

  start(): Promise<RunningOperator> {
    const via = { url: this.relay.url, caFile: this.#caFile }
    return this.#installed.operator(this.#t, { name: `${this.#name}-${++this.#started}`, pushPort: this.#port, via })
  }

  /** Writes of statuses and Events so far. */
  get writes(): number {
    return ['PATCH', 'POST'].reduce((sum, method) => sum + (this.relay.seen.get(method) ?? 0), 0)
  }
}

const isLeading = (operator: RunningOperator): Promise<void> => eventually(async () => assert.ok(await leads(operator)), TAKEOVER_WITHIN_MS)
const isStandby = (operator: RunningOperator): Promise<void> =>
  eventually(async () => {
    assert.equal(await leads(operator), false)
    assert.deepEqual((await stateOf(operator))['proxies'], { Gateway: 0, Sidecar: 0 })
  }, 5000)

/** The one that leads, and the other. */
async function oneLeads(a: RunningOperator, b: RunningOperator): Promise<readonly [RunningOperator, RunningOperator]> {
  return eventually(async () => {
    const [first, second] = await Promise.all([leads(a), leads(b)])
    assert.notEqual(first, second)
    return first ? [a, b] : [b, a]
  })
}

test('whatever happens to the leader, another one leads within 20 s, no table goes back and no request fails', async (t) => {
  const team = await cluster.namespace()
  const installed = await install(cluster, { namespaces: [team] })
  const leasePath = `/apis/coordination.k8s.io/v1/namespaces/${installed.namespace}/leases/llama-swap-operator`
  const [placeA, placeB] = [await Replica.make(t, installed, 'a'), await Replica.make(t, installed, 'b')]
  let a = await placeA.start()
  await isLeading(a)
  const b = await placeB.start()
  const args = ['--anonymous-namespace', team]
  const gateways = await Promise.all([1, 2].map(() => installed.gateway(t, { args })))
  const proxies = [...gateways, await installed.sidecar(t, team, { args })]
  t.after(() => {
    if (!t.passed) for (const { program } of proxies) t.diagnostic(JSON.stringify(program.lines().filter(({ msg }) => msg !== 'request')))
  })
  await modelOfService(t, cluster, team, { events: EVENTS, everyMs: 150 })
  await served(proxies, 'llama')
  const stamps = watchStamps(t, proxies)
  const load = startLoad(t, { urls: proxies.map(({ url }) => url), model: 'llama', perSecond: 20, streams: 3, events: EVENTS })

  let faults = 0
  /** From the fault until what was changed after it is in force everywhere. */
  const takeover = async (what: string, fault: () => unknown): Promise<void> => {
    const name = `after-${++faults}`
    const sinceMs = performance.now()
    await fault()
    await alias(cluster, team, name)
    await served(proxies, name, TAKEOVER_WITHIN_MS - (performance.now() - sinceMs))
    t.diagnostic(`${what}: ${Math.round(performance.now() - sinceMs)} ms`)
  }

  await takeover('killed', () => a.program.child.kill('SIGKILL'))
  assert.ok(await leads(b))
  a = await placeA.start()

  await takeover('parted from the API server', () => {
    placeB.relay.switches.swallow = true
  })
  assert.ok(await leads(a))
  await isStandby(b)
  placeB.relay.allOff()
  placeB.relay.cutConnections()
  await eventually(async () => assert.match(String((await stateOf(b))['leader']), /^a-/))

  await takeover('frozen', () => a.program.child.kill('SIGSTOP'))
  await thaw({ frozen: a, place: placeA, leader: b, leasePath })

  await takeover('its Lease deleted', async () => {
    await cluster.ask('DELETE', leasePath)
    await eventually(() => cluster.ask('GET', leasePath))
  })
  const [leader, standby] = await oneLeads(a, b)
  await takeover('ended in order', () => leader.program.signal('SIGTERM'))
  assert.ok(await leads(standby))
  assert.equal(await leader.program.ended, 0)

  const last = await (leader === a ? placeA : placeB).start()
  // One that has not read the Lease yet begins at epoch 1: gateways raise it, but a sidecar takes it (docs/wire.md, "Epochs").
  await eventually(async () => assert.equal((await stateOf(last))['leader'], (await stateOf(standby))['identity']))
  await takeover('ended just after its Lease was deleted', async () => {
    await cluster.ask('DELETE', leasePath)
    standby.program.signal('SIGTERM')
  })
  assert.ok(await leads(last))

  const counts = await load.stop()
  await stamps.stop()
  t.diagnostic(JSON.stringify({ ...counts, stamps: stamps.seen.map((each) => each.length), last: stamps.seen.map((each) => each.at(-1)) }))
  assert.deepEqual(stamps.setBacks, [])
  assert.deepEqual([counts.failed, counts.cut], [0, 0], counts.faults.join('\n'))
  assert.ok(counts.whole > 500 && counts.streams > 50, JSON.stringify(counts))
})

interface Thawing {
  readonly frozen: RunningOperator
  readonly place: Replica
  readonly leader: RunningOperator
  readonly leasePath: string
}

/** It wakes up after another has taken over: it steps down and writes nothing, the Lease stays the other's, and no proxy hears of it. */
async function thaw({ frozen, place, leader, leasePath }: Thawing): Promise<void> {
  const standing = async (): Promise<unknown[]> => {
    const lease = await cluster.ask('GET', leasePath)
    return ['holderIdentity', 'leaseTransitions'].map((field) => valueAt(lease, 'spec', field))
  }
  const [before, writes, { epoch }] = [await standing(), place.writes, await stateOf(leader)]
  assert.match(String(before[0]), /^b-/)
  frozen.program.child.kill('SIGCONT')
  await frozen.program.line(({ msg }) => msg === 'this replica has lost the Lease')
  await isStandby(frozen)
  await eventually(async () => assert.match(String((await stateOf(frozen))['leader']), /^b-/))
  assert.deepEqual([await standing(), place.writes], [before, writes])
  const now = await stateOf(leader)
  assert.deepEqual([now['leads'], now['epoch'], now['proxies']], [true, epoch, { Gateway: 2, Sidecar: 1 }])
}

test('a second installation that is to serve the same namespace does not lead, says whose it is, and takes over when that one is gone', async (t) => {
  const [shared, own] = [await cluster.namespace(), await cluster.namespace()]
  const [first, second] = [await install(cluster, { namespaces: [shared] }), await install(cluster, { namespaces: [shared, own] })]
  const holder = await first.operator(t)
  await isLeading(holder)
  const refused = await second.operator(t)
  const gateways: RunningProxy[] = [await second.gateway(t, { args: ['--anonymous-namespace', shared] })]
  const line = await refused.program.line(({ msg }) => msg === 'this installation does not lead')
  assert.match(String(line['because']), new RegExp(`${first.namespace}/llama-swap-operator serves ${shared} already`))
  const state = await stateOf(refused)
  assert.deepEqual([state['leads'], state['notLeadingBecause']], [false, line['because']])
  await eventually(async () => assert.match(await (await fetch(`${gateways[0]?.metricsUrl}/readyz`)).text(), /standby|does not lead/))
  assert.ok(await leads(holder))

  await holder.close()
  const path = `/apis/coordination.k8s.io/v1/namespaces/${shared}/leases/llama-swap-scope`
  assert.equal(textAt(await cluster.ask('GET', path), 'spec', 'holderIdentity'), `${first.namespace}/llama-swap-operator`)
  await cluster.ask('DELETE', path)
  await isLeading(refused)
  await modelOfService(t, cluster, shared)
  await served(gateways, 'llama')
})
