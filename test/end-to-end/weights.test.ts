/** docs/tutorials/weights.md, and the same under load: shares follow the weights and who is there, and no request fails. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { eventually } from '../support/eventually.ts'
import { clusterHere, kubectl, serviceUrl } from './support/cluster.ts'
import { engineReady, scaleEngine } from './support/engine.ts'
import { readFirstPage } from './support/first-page.ts'
import { type Load, type LoadCounts, startLoad } from './support/load.ts'
import { openTutorial, type Tutorial } from './support/tutorial.ts'

const cluster = clusterHere()
const NAMESPACE = 'llama-swap'
const OTHER = { name: 'other', namespace: NAMESPACE }
const SMOLLM2 = { name: 'smollm2', namespace: NAMESPACE }
let tutorial: Tutorial
let load: Load

before(async () => {
  tutorial = openTutorial(cluster, 'weights', { after: await readFirstPage(cluster) })
})
after(async () => {
  await load?.stop()
  await tutorial.finish()
})

test('two models by weight, one scaled to zero and back: as the page says', async () => {
  for (const heading of ['Two models', 'Who answers', 'Scaled to zero', 'And back', 'More of the same model']) await tutorial.run(heading)
})

/** Requests of each measurement: `smollm2` answers 2 of 3, give or take 4.42 standard deviations of a binomial; 1 of 2 would be out of that. */
const MEASURED = 200
/** Both sides together: a right program fails a measurement once in 100,000. */
const SIGMAS = 4.42

test('under load the shares are 10 to 5', async () => {
  await settled()
  const key = Buffer.from(
    await kubectl(cluster, ['-n', NAMESPACE, 'get', 'secret', 'llama-swap-first-key', '-o', 'jsonpath={.data.key}']),
    'base64',
  )
  const url = await serviceUrl(cluster, NAMESPACE, 'llama-swap')
  // Fresh connections: kube-proxy deals them to both gateways.
  load = startLoad({
    url,
    key: key.toString(),
    model: 'auto',
    perSecond: 8,
    streamsPerSecond: 2,
    fresh: true,
    maxInFlight: 12,
    body: { max_tokens: 1 },
  })
  expectShares(await measured())
})

test('one is scaled to zero: the other answers everything', async () => {
  await scaleEngine(cluster, OTHER, 0)
  await condition('lmod/other', 'Ready=False')
  const before = load.counts()
  await eventually(async () => assert.ok(answered(load.counts()) >= answered(before) + 40), 60_000)
  assert.equal(load.counts().byModel['other'], before.byModel['other'])
})

test('and comes back: the shares are as before', async () => {
  await scaleEngine(cluster, OTHER, 1)
  await condition('lmod/other', 'Ready')
  await settled()
  expectShares(await measured())
})

test('an engine is scaled up and down, and is restarted Pod by Pod', async () => {
  await scaleEngine(cluster, SMOLLM2, 3)
  await engineReady(cluster, SMOLLM2)
  await scaleEngine(cluster, SMOLLM2, 1)
  await kubectl(cluster, ['-n', NAMESPACE, 'rollout', 'restart', 'deployment/other'])
  await engineReady(cluster, OTHER)
  await kubectl(cluster, ['-n', NAMESPACE, 'wait', '--for=jsonpath={.status.summary.endpoints}=1/1', '--timeout=60s', 'lmod/smollm2'])
})

test('no request of all that failed', async () => {
  // Skipped is what the engines' one processor has no room for: those requests were never sent.
  const { whole, streams, byModel: _models, latency: _times, skipped: _skipped, ...faults } = await load.stop()
  assert.ok(whole + streams > 2 * MEASURED)
  assert.deepEqual(faults, { refused: 0, failed: 0, cut: 0, inBand: 0, faults: [] })
})

const condition = (object: string, wanted: string): Promise<string> =>
  kubectl(cluster, ['-n', NAMESPACE, 'wait', `--for=condition=${wanted}`, '--timeout=60s', object], { timeoutMs: 70_000 })

const answered = ({ whole, streams }: Pick<LoadCounts, 'whole' | 'streams'>): number => whole + streams

/** Answers by model of the next `MEASURED` requests. */
async function measured(): Promise<Readonly<Record<string, number>>> {
  const before = load.counts()
  await eventually(async () => assert.ok(answered(load.counts()) >= answered(before) + MEASURED), 120_000)
  const { byModel } = load.counts()
  return Object.fromEntries(Object.entries(byModel).map(([model, count]) => [model, count - (before.byModel[model] ?? 0)]))
}

function expectShares({ smollm2 = 0, other = 0 }: Readonly<Record<string, number>>): void {
  const all = smollm2 + other
  const bound = SIGMAS * Math.sqrt(all * (10 / 15) * (5 / 15))
  assert.ok(Math.abs(smollm2 - (all * 10) / 15) <= bound, `${smollm2} : ${other}, more than ${bound.toFixed(1)} from 10 : 5`)
}

/** No endpoint ramps any more, at any gateway. */
async function settled(): Promise<void> {
  const pods = await kubectl(cluster, [
    '-n',
    NAMESPACE,
    'get',
    'pods',
    '-l',
    'app.kubernetes.io/component=gateway',
    '-o',
    'jsonpath={.items[*].status.podIP}',
  ])
  await eventually(async () => {
    for (const ip of pods.split(' ')) {
      const metrics = await (await fetch(`http://${ip}:9090/metrics`)).text()
      const states = [...metrics.matchAll(/^llama_swap_circuit_state\{(.*)\} 1$/gm)].map(([, labels = '']) => labels)
      assert.equal(states.length, 4) // of each model the Pod, and the Service's own address as the last resort
      assert.ok(
        states.every((labels) => labels.includes('state="closed"')),
        states.join('\n'),
      )
    }
  }, 60_000)
}
