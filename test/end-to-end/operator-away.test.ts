/**
 * docs/tutorials/operator-away.md, under load all the time: engines move, a gateway's rollout is begun, gateways' containers crash, and when the
 * operator is back nothing is missing. AWAY_MINUTES (2) is how long it is away; more than 6 take a larger FILE_MINUTES too.
 */
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import OpenAI from 'openai'
import { eventually } from '../support/eventually.ts'
import { clusterHere, kubectl, serviceUrl } from './support/cluster.ts'
import { crashContainer } from './support/crash.ts'
import { gatewayPods, metricOf } from './support/gateways.ts'
import { install } from './support/install.ts'
import { type Load, startLoad } from './support/load.ts'
import { openTutorial } from './support/tutorial.ts'
import { startWordsEngine } from './support/words-engine.ts'

const NAMESPACE = 'llama-swap'
const AWAY_MS = Number(process.env['AWAY_MINUTES'] ?? '2') * 60_000
/** Between two moves of the engine, for as long as time is left. */
const MOVE_EVERY_MS = 20_000
/** A second a stream. */
const WORDS = { words: 10, everyMs: 100 }

test('the operator is away while engines move and containers of gateways restart: requests are answered, and on return all is as it should be', async (t) => {
  const cluster = clusterHere()
  const { key } = await install(cluster)
  await startWordsEngine(cluster, { name: 'smollm2', namespace: NAMESPACE, ...WORDS })
  await cluster.apply(MODEL)
  await kubectl(cluster, ['-n', NAMESPACE, 'wait', '--for=condition=Ready', '--timeout=60s', 'lmod/smollm2'])
  const url = await serviceUrl(cluster, NAMESPACE, 'llama-swap')
  const tutorial = openTutorial(cluster, 'operator-away')
  t.after(() => tutorial.shell.close())
  const strict = (): Load => startLoad({ url, key, model: 'smollm2', perSecond: 6, streamsPerSecond: 3 })
  const gateways = await gatewayPods(cluster, NAMESPACE)
  await eventually(async () => {
    for (const gateway of gateways) assert.ok((await metricOf(gateway, 'llama_swap_last_known_good_saved_timestamp_seconds')) > 0)
  })

  let load = strict()
  t.after(() => load.stop())
  const goneAtMs = performance.now()
  await tutorial.run('Take it away')
  await tutorial.run('Move the engine')
  await kubectl(cluster, ['-n', NAMESPACE, 'rollout', 'restart', 'deployment/llama-swap-gateway'])
  await tutorial.run('Change something')
  await allWell(t, load, 'the engine moved')

  const sdk = startSdkClient({ baseURL: `${url}/v1`, apiKey: key })
  t.after(() => sdk.stop())
  for (const { name } of gateways) await crashContainer(cluster, NAMESPACE, name)
  const { answered, errors } = await sdk.stop()
  t.diagnostic(`the official SDK while both gateways crashed: ${answered} answered`)
  assert.deepEqual(errors, [])
  for (const gateway of gateways) assert.equal(await metricOf(gateway, 'llama_swap_table_from_disk'), 1)

  load = strict()
  let moves = 0
  while (performance.now() - goneAtMs < AWAY_MS - MOVE_EVERY_MS) {
    await kubectl(cluster, ['-n', NAMESPACE, 'rollout', 'restart', 'deployment/smollm2'])
    await kubectl(cluster, ['-n', NAMESPACE, 'rollout', 'status', 'deployment/smollm2', '--timeout=60s'])
    moves += 1
    await delay(MOVE_EVERY_MS - 10_000)
  }
  const left = (await gatewayPods(cluster, NAMESPACE)).filter(({ ready }) => ready).map(({ name }) => name)
  assert.deepEqual(left.toSorted(), gateways.map(({ name }) => name).toSorted(), 'the rollout waits, and takes none away')
  await delay(Math.max(0, AWAY_MS - (performance.now() - goneAtMs)))

  await tutorial.run('Bring it back')
  await kubectl(cluster, ['-n', NAMESPACE, 'rollout', 'status', 'deployment/llama-swap-gateway', '--timeout=60s'])
  await eventually(async () => assert.equal(await ask(url, key, 'another'), 200))
  await allWell(t, load, `${moves} more moves, the return, and the rollout that had waited`)
  t.diagnostic(`away for ${Math.round((performance.now() - goneAtMs) / 1000)} s in all`)
  await tutorial.finish()
})

async function allWell(t: TestContext, load: Load, when: string): Promise<void> {
  const { failed, refused, cut, inBand, skipped, faults, ...good } = await load.stop()
  t.diagnostic(`${when}: ${JSON.stringify({ ...good, failed, refused, cut, inBand, skipped })}`)
  assert.deepEqual({ failed, refused, cut, inBand }, { failed: 0, refused: 0, cut: 0, inBand: 0 }, faults.join('\n'))
}

interface SdkClient {
  stop(): Promise<{ readonly answered: number; readonly errors: readonly string[] }>
}

/** One app, which asks again and again as SDKs do: a connection that breaks is tried again, more often than twice as its gateways crash. */
function startSdkClient(options: { readonly baseURL: string; readonly apiKey: string }): SdkClient {
  const client = new OpenAI({ ...options, maxRetries: 5 })
  const errors: string[] = []
  let [answered, stopping] = [0, false]
  const asking = async (): Promise<void> => {
    while (!stopping) {
      const asked = client.chat.completions.create({ model: 'smollm2', messages: [{ role: 'user', content: 'Say one word.' }] })
      await asked.then(
        () => answered++,
        (error: unknown) => errors.push(String(error)),
      )
    }
  }
  const running = Promise.all([asking(), asking()])
  return {
    stop: async () => {
      stopping = true
      await running
      return { answered, errors }
    },
  }
}

async function ask(url: string, key: string, model: string): Promise<number> {
  const body = JSON.stringify({ model, messages: [{ role: 'user', content: 'hi' }] })
  const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json' }
  const answer = await fetch(`${url}/v1/chat/completions`, { method: 'POST', headers, body })
  await answer.text()
  return answer.status
}

const MODEL = `
apiVersion: llamaswap.dev/v1alpha1
kind: LlamaModel
metadata: {name: smollm2, namespace: ${NAMESPACE}}
spec:
  backends: [{name: local, service: {name: smollm2, port: {name: http}}}]
`
