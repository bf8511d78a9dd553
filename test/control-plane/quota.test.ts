/** Limits hold over three real proxies together: load that is spread, a burst at one, limits too small to split, an operator that is lost. */
import assert from 'node:assert/strict'
import { before, type TestContext, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { textAt } from '../support/control-plane/api.ts'
import type { Cluster } from '../support/control-plane/cluster.ts'
import { freePorts } from '../support/control-plane/free-ports.ts'
import { requirePrivateNetwork } from '../support/control-plane/network.ts'
import { sharedControlPlane } from '../support/control-plane/shared.ts'
import { eventually } from '../support/eventually.ts'
import { engineAt, type Installation, install, type PodEngine, type RunningOperator } from '../support/installation.ts'
import type { RunningProxy } from '../support/proxy.ts'
import { metricOf } from '../support/pushed.ts'
import { say, served } from './install-ground.ts'

requirePrivateNetwork()
let cluster: Cluster
before(async () => {
  cluster = await sharedControlPlane()
})

interface Ground {
  readonly team: string
  readonly installed: Installation
  readonly engine: PodEngine
  readonly operator: RunningOperator
  readonly proxies: readonly [RunningProxy, RunningProxy, RunningProxy]
  /** Another replica in the operator's place. */
  operatorAgain(name: string): Promise<RunningOperator>
  gateway(): Promise<RunningProxy>
}

/** An operator and three gateways that serve the models "free" and, one for each limit, `limited`. */
async function ground(t: TestContext, limited: Readonly<Record<string, string>>, args: readonly string[] = []): Promise<Ground> {
  const team = await cluster.namespace()
  const installed = await install(cluster, { namespaces: [team] })
  const [pushPort = 0] = await freePorts(1)
  const operatorAgain = (name: string): Promise<RunningOperator> => installed.operator(t, { pushPort, name })
  const operator = await operatorAgain('operator-0')
  const pod = await cluster.makePod({ namespace: team, name: 'gpu-0', labels: { app: 'gpu' }, ports: [{ port: 8000 }] })
  const engine = await engineAt(t, pod.ip, 8000)
  await cluster.apply(`
apiVersion: v1
kind: Service
metadata: {name: gpu, namespace: ${team}}
spec: {selector: {app: gpu}, ports: [{port: 80, targetPort: 8000}]}
`)
  for (const [name, limits] of Object.entries({ free: '', ...limited }))
    await cluster.apply(`
apiVersion: llamaswap.dev/v1alpha1
kind: LlamaModel
metadata: {name: ${name}, namespace: ${team}}
spec:
  backends: [{name: gpu, service: {name: gpu, port: {number: 80}}}]
${limits === '' ? '' : `  limits: ${limits}`}
`)
  const operators = `wss://127.0.0.1:${pushPort}/push`
  const gateway = (): Promise<RunningProxy> => installed.gateway(t, { args: ['--anonymous-namespace', team, ...args], operators })
  const proxies = [await gateway(), await gateway(), await gateway()] as const
  await served(proxies, 'free', 20_000)
  await eventually(async () => {
    for (const proxy of proxies) assert.equal(await metricOf(proxy, 'llama_swap_quota_fleet'), 3)
  }, 20_000)
  return { team, installed, engine, operator, proxies, operatorAgain, gateway }
}

/** How many of `count` requests, so many at a time, this proxy answers with 200; no answer is anything else but 429. */
async function admitted(proxy: RunningProxy, model: string, count: number, atATime = 8): Promise<number> {
  let [left, ok] = [count, 0]
  const work = async (): Promise<void> => {
    while (left-- > 0) {
      const { status, text } = await say(proxy, model)
      if (status === 200) ok++
      else assert.equal(status, 429, text)
    }
  }
  await Promise.all(Array.from({ length: atATime }, work))
  return ok
}

const total = (counts: readonly number[]): number => counts.reduce((sum, one) => sum + one, 0)

test('a burst at one proxy has the whole limit at once, and nothing is left for the others', async (t) => {
  const { proxies, engine } = await ground(t, { llama: '{requestsPerMinute: 200}' })
  const before = engine.served()
  const sinceMs = performance.now()
  const burst = await admitted(proxies[0], 'llama', 210, 4)
  const tookMs = performance.now() - sinceMs
  const others = await Promise.all([admitted(proxies[1], 'llama', 2, 2), admitted(proxies[2], 'llama', 2, 2)])
  t.diagnostic(`${burst} in ${Math.round(tookMs)} ms, then ${others.join(' and ')}`)
  assert.ok(burst >= 196 && burst <= 200, String(burst))
  assert.ok(burst + total(others) <= 200)
  assert.equal(engine.served() - before, burst + total(others))
})

test('a limit too small to split is granted request by request, wherever they come', async (t) => {
  const { proxies } = await ground(t, { llama: '{requestsPerMinute: 5}', other: '{requestsPerMinute: 1}' })
  const statuses: number[] = []
  for (let asked = 0; asked < 7; asked++) statuses.push((await say(proxies[asked % 3] ?? proxies[0], 'llama')).status)
  assert.deepEqual(statuses, [200, 200, 200, 200, 200, 429, 429])
  const one = await Promise.all(proxies.map((proxy) => admitted(proxy, 'other', 1)))
  assert.equal(total(one), 1)
})

/** The first half of a minute uses a limit up; so each whole minute has one such half, whenever it begins. */
const DEMAND = 2

test('load that is spread has 98 % of the limit each minute and no more; so it is while the operator is lost, and when another comes', async (t) => {
  const max = 300
  const { proxies, operator, operatorAgain } = await ground(t, { llama: `{requestsPerMinute: ${max}}` })
  const times: number[] = []
  const stop = new AbortController()
  t.after(() => stop.abort())
  const everyMs = (60_000 / (max * DEMAND)) * proxies.length
  const ask = async (proxy: RunningProxy): Promise<void> => {
    const { status } = await say(proxy, 'llama')
    if (status === 200) times.push(performance.now()) // it may have waited before
  }
  const asking = new Set<Promise<void>>()
  const load = proxies.map(async (proxy) => {
    while (!stop.signal.aborted) {
      const asked = ask(proxy).finally(() => asking.delete(asked))
      asking.add(asked)
      await delay(everyMs, undefined, { signal: stop.signal }).catch(() => undefined)
    }
  })
  const startMs = performance.now()
  await delay(20_000)
  operator.program.child.kill('SIGKILL')
  await operator.program.ended
  await delay(5000)
  await operatorAgain('operator-1')
  await delay(70_000)
  stop.abort()
  await Promise.all([...load, ...asking])
  const endMs = performance.now()
  times.sort((a, b) => a - b)
  const inMinute = (fromMs: number): number => times.filter((at) => at >= fromMs && at < fromMs + 60_000).length
  const most = Math.max(...times.map(inMinute))
  const last = inMinute(endMs - 60_000)
  t.diagnostic(`${times.length} in ${Math.round((endMs - startMs) / 1000)} s, at most ${most} in a minute, ${last} in the last`)
  assert.ok(most <= max * 1.02, String(most))
  assert.ok(last >= max * 0.98, String(last))
})

test('what was used of a day is known after the operator and a proxy were restarted', async (t) => {
  const { team, proxies, operator, operatorAgain, gateway, installed } = await ground(t, { llama: '{tokensPerDay: 100000}' })
  const key = `model ${team}/llama tokensPerDay`
  const [first] = proxies
  assert.equal(await admitted(first, 'llama', 20), 20)
  const days = `/api/v1/namespaces/${installed.namespace}/configmaps/llama-swap-operator-days`
  const usedOf = async (): Promise<number> => {
    const meter: unknown = Reflect.get(Reflect.get(JSON.parse(textAt(await cluster.ask('GET', days), 'data', 'days.json')), 'meters'), key)
    const by = Object.values(Object(Reflect.get(Object(meter), 'by')))
    return Number(Reflect.get(Object(meter), 'gone')) + total(by.map((pair) => Number(Array.isArray(pair) ? pair[0] : 0)))
  }
  await first.close()
  let used = 0
  await eventually(async () => {
    used = await usedOf()
    assert.ok(used > 0)
  }, 10_000)
  operator.program.child.kill('SIGKILL')
  await operator.program.ended
  await operatorAgain('operator-1')
  const again = await gateway()
  await served([again], 'free', 20_000)
  await eventually(async () => assert.equal((await say(again, 'llama')).status, 200), 30_000)
  await again.close()
  await eventually(async () => assert.ok((await usedOf()) > used, `${await usedOf()} after ${used}`), 10_000)
})
