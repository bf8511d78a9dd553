/**
 * Kept connections through a Service, whose address kube-proxy translates once a connection: what docs/operations.md says of them under
 * "Clients and connections", measured. What waits for the 75 s of an idle connection runs beside the rest.
 */
import assert from 'node:assert/strict'
import { Agent, request } from 'node:http'
import { before, type TestContext, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { eventually } from '../support/eventually.ts'
import { type KeptClients, startKeptClients } from '../support/kept-clients.ts'
import { type RunningApp, startApp } from './support/app.ts'
import { clusterHere, kubectl, serviceUrl } from './support/cluster.ts'
import { type GatewayPod, gatewayPods, metricOf } from './support/gateways.ts'
import { type Installation, install } from './support/install.ts'
import { isWholeStream, startQuickModel } from './support/quick-model.ts'

const cluster = clusterHere()
const CLIENTS = 60
/** Of a connection; each draws its own, a tenth more or less. */
const AGE_MS = 30_000
/** What gateways tell in `keep-alive: timeout=75`. */
const IDLE_MS = 75_000
const QUESTION = { model: 'auto', messages: [{ role: 'user', content: 'Hello' }] }

let installation: Installation
let url = ''
let idleApp: RunningApp
let idlePlain: Promise<readonly string[]>

before(async () => {
  const gateway = { maxConnectionAge: `${AGE_MS / 1000}s`, shutdown: { longestStreamSeconds: 60 } }
  installation = await install(cluster, { values: { gateway } })
  await startQuickModel(cluster, installation.namespace)
  url = await serviceUrl(cluster, installation.namespace, 'llama-swap')
  const { namespace } = installation
  const env = { OPENAI_BASE_URL: `${installation.url}/v1`, OPENAI_API_KEY: installation.key }
  idleApp = await startApp(cluster, { namespace, env, script: IDLE_SDK, timeoutMs: 120_000 })
  await idleApp.line(/^warm$/)
  const agents = Array.from({ length: 8 }, keeper)
  for (const { keepAlive } of await Promise.all(agents.map(askOn))) assert.match(keepAlive, /timeout=75/)
  idlePlain = Promise.all(agents.map((agent) => answerAfter(IDLE_MS - 2000, agent)))
})

const headers = (): Record<string, string> => ({ authorization: `Bearer ${installation.key}`, 'content-type': 'application/json' })

interface Answered {
  readonly status: number
  readonly reused: boolean
  readonly keepAlive: string
}

/** Rejects when the connection breaks. */
function askOn(agent: Agent): Promise<Answered> {
  return new Promise((resolve, reject) => {
    const sent = request(`${url}/v1/chat/completions`, { method: 'POST', agent, headers: headers() }, (response) => {
      const { statusCode = 0 } = response
      const keepAlive = response.headers['keep-alive']
      const answered = {
        status: statusCode,
        reused: sent.reusedSocket,
        keepAlive: typeof keepAlive === 'string' ? keepAlive : '',
      }
      response
        .once('error', reject)
        .once('end', () => resolve(answered))
        .resume()
    })
    sent.once('error', reject)
    sent.end(JSON.stringify(QUESTION))
  })
}

/** A client that keeps one connection for as long as the gateway told it to, to the last moment. */
const keeper = (): Agent => new Agent({ keepAlive: true, maxSockets: 1, agentKeepAliveTimeoutBuffer: 0 })

/** The next request after a while: what came of it. */
async function answerAfter(idleMs: number, agent: Agent): Promise<string> {
  await delay(idleMs)
  const got = await askOn(agent).catch((error: unknown) => String(error))
  agent.destroy()
  return typeof got === 'string' ? got : `${got.status} ${got.reused ? 'reused' : 'new'}`
}

const requestsAt = (pod: GatewayPod): Promise<number> => metricOf(pod, 'llama_swap_requests_total')

/** By Pod, what came to it since `before`. */
async function since(pods: readonly GatewayPod[], before: readonly number[] = []): Promise<readonly number[]> {
  const now = await Promise.all(pods.map(requestsAt))
  return now.map((count, index) => count - (before[index] ?? 0))
}

/** The same, once all of `sum` have been counted: a request is, when its answer has ended. */
const counted = (pods: readonly GatewayPod[], before: readonly number[], sum: number): Promise<readonly number[]> =>
  eventually(async () => {
    const counts = await since(pods, before)
    assert.equal(
      counts.reduce((all, count) => all + count, 0),
      sum,
    )
    return counts
  })

test('a kept connection stays with one gateway; connections are spread', async (t) => {
  const pods = await gatewayPods(cluster, installation.namespace)
  assert.equal(pods.length, 2)
  const atFirst = await since(pods)
  const agent = keeper()
  for (let asked = 0; asked < 20; asked += 1) assert.equal((await askOn(agent)).status, 200)
  agent.destroy()
  const kept = await counted(pods, atFirst, 20)
  assert.deepEqual([Math.min(...kept), Math.max(...kept)], [0, 20])
  const before = await since(pods)
  await Promise.all(Array.from({ length: 40 }, () => askOn(new Agent({ keepAlive: false }))))
  const fresh = await counted(pods, before, 40)
  t.diagnostic(`20 requests on one connection: ${kept.join(' and ')}; 40 on one each: ${fresh.join(' and ')}`)
  assert.ok(fresh.every((count) => count >= 5))
})

let newest: GatewayPod

/** Until the end of the test. */
const startClients = (t: TestContext): KeptClients =>
  startKeptClients(t, {
    agents: Array.from({ length: CLIENTS }, () => new Agent({ keepAlive: true, maxSockets: 1 })),
    url: `${url}/v1/chat/completions`,
    headers: headers(),
    body: JSON.stringify({ ...QUESTION, stream: true }),
    isWhole: isWholeStream,
  })

test('after a scale-up the new gateway gets its share once connections have come of age, and no request fails', async (t) => {
  const before = await gatewayPods(cluster, installation.namespace)
  const startMs = performance.now()
  const clients = startClients(t)
  await eventually(async () => assert.ok(clients.counts().whole >= CLIENTS))
  await scale(3)
  newest = await newReadyPod(before)
  const pods = [...before, newest]
  const unused = await since(pods)
  await delay(3000)
  const early = await since(pods, unused)
  assert.ok(performance.now() - startMs < 0.9 * AGE_MS, 'too slow to see what is before that age')
  assert.equal(early[2], 0, 'kept connections do not know it')
  await delay(startMs + 1.1 * AGE_MS + 2000 - performance.now())
  const aged = await since(pods)
  await delay(3000)
  const late = await since(pods, aged)
  t.diagnostic(`requests in 3 s by gateway: ${early.join(', ')}; after ${AGE_MS / 1000} s: ${late.join(', ')}`)
  const share = (late[2] ?? 0) / late.reduce((sum, count) => sum + count, 0)
  assert.ok(share > 0.1 && share < 0.6, `${share}`)
  assert.deepEqual(clients.counts().faults, [])
})

const scale = (replicas: number): Promise<string> =>
  kubectl(cluster, ['-n', installation.namespace, 'scale', 'deployment/llama-swap-gateway', `--replicas=${replicas}`])

/** The one that was not there before, once it is ready. */
function newReadyPod(before: readonly GatewayPod[]): Promise<GatewayPod> {
  return eventually(async () => {
    const [found] = (await gatewayPods(cluster, installation.namespace)).filter(({ name }) => before.every((old) => old.name !== name))
    assert.ok(found?.ready === true)
    return found
  }, 60_000)
}

test('a gateway is deleted while connections are kept, busy and idle: no request fails', async (t) => {
  const others = await gatewayPods(cluster, installation.namespace)
  const clients = startClients(t)
  await eventually(async () => assert.ok(clients.counts().whole >= CLIENTS))
  const idle = Array.from({ length: 30 }, keeper)
  await Promise.all(idle.map(askOn))
  await kubectl(cluster, ['-n', installation.namespace, 'delete', 'pod', newest.name])
  const answers = await Promise.all(idle.map(askOn))
  assert.ok(answers.every(({ status }) => status === 200))
  for (const agent of idle) agent.destroy()
  await newReadyPod(others)
  const counts = await clients.stop()
  const moved = answers.filter((answer) => !answer.reused).length
  t.diagnostic(`${counts.whole} streams, ${counts.reused} on kept connections; of 30 idle connections ${moved} had ended`)
  assert.ok(moved > 0, 'some led to the gateway that has gone')
  assert.deepEqual(counts.faults, [])
})

test('a connection that has been idle is answered until the time that the gateway told', async () => {
  assert.deepEqual(new Set(await idlePlain), new Set(['200 reused']))
})

test('idle connections that end on both sides at once: no request of the official SDK fails, without its retries', async (t) => {
  const { output, exitCode } = await idleApp.ended
  t.diagnostic(output.trim().split('\n').at(-1) ?? '')
  assert.equal(exitCode, 0, output)
  assert.match(output, /^60 of 60 answered$/m)
})

/**
 * Five workers, each with the connections of its own that Node's fetch keeps for it: twelve are used, then idle for 72.5 to 76.5 s, of
 * each worker for a second longer, and used again. The SDK's own retries are off.
 */
const IDLE_SDK = `
import { Worker, isMainThread, parentPort, workerData } from 'node:worker_threads'
import { setTimeout as delay } from 'node:timers/promises'
import OpenAI from 'openai'

const TWELVE = Array.from({ length: 12 })
const ask = (client) => client.chat.completions.create(${JSON.stringify(QUESTION)})
if (isMainThread) {
  const workers = Array.from({ length: 5 }, (_, index) => new Worker(new URL(import.meta.url), { workerData: 72_500 + index * 1000 }))
  let warm = 0
  let answered = 0
  await Promise.all(workers.map((worker) => new Promise((resolve) => worker.on('message', (said) => {
    if (said === 'warm') return ++warm === workers.length && console.log('warm')
    answered += said.answered
    for (const fault of said.faults) console.log(fault)
    resolve()
  }))))
  console.log(answered + ' of ' + workers.length * 12 + ' answered')
} else {
  const client = new OpenAI({ maxRetries: 0 })
  await Promise.all(TWELVE.map(() => ask(client)))
  parentPort.postMessage('warm')
  await delay(workerData)
  const all = await Promise.allSettled(TWELVE.map(() => ask(client)))
  const faults = all.filter(({ status }) => status === 'rejected').map(({ reason }) => workerData + ' ms: ' + reason + ' ' + reason.cause)
  parentPort.postMessage({ answered: 12 - faults.length, faults })
}
`
