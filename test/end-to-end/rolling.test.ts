/** docs/tutorials/rolling.md, with three gateways, of which one is left, while clients stream over connections that they keep: none notices. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { listAt, textAt } from '../support/control-plane/api.ts'
import { eventually } from '../support/eventually.ts'
import { clusterHere, kubectl, serviceUrl } from './support/cluster.ts'
import { install } from './support/install.ts'
import { startLoad } from './support/load.ts'
import { openTutorial } from './support/tutorial.ts'
import { startWordsEngine } from './support/words-engine.ts'

const NAMESPACE = 'llama-swap'
const GATEWAYS = 'app.kubernetes.io/component=gateway'
/** Three seconds a stream. */
const WORDS = { words: 15, everyMs: 200 }

test('a rolling restart of gateways and operator, then three gateways become one: no stream is cut, no request fails', async (t) => {
  const cluster = clusterHere()
  const installed = await install(cluster, { values: { gateway: { replicas: 3 } } })
  await startWordsEngine(cluster, { name: 'smollm2', namespace: NAMESPACE, replicas: 1, ...WORDS })
  await cluster.apply(MODEL)
  await kubectl(cluster, ['-n', NAMESPACE, 'wait', '--for=condition=Ready', '--timeout=60s', 'lmod/smollm2'])

  const tutorial = openTutorial(cluster, 'rolling')
  t.after(() => tutorial.shell.close())
  const url = await serviceUrl(cluster, NAMESPACE, 'llama-swap')
  const load = startLoad({ url, key: installed.key, model: 'smollm2', perSecond: 6, streamsPerSecond: 4 })
  const fresh = startLoad({ url, key: installed.key, model: 'smollm2', perSecond: 3, fresh: true })
  t.after(() => Promise.all([load.stop(), fresh.stop()]))
  await answered(20)

  const before = await gateways()
  await tutorial.run('Restart')
  await eventually(async () => assert.ok((await gateways()).every((name) => !before.includes(name))), 60_000)
  const restarted = load.counts()
  await answered(20)

  await tutorial.run('Scale')
  await eventually(async () => assert.equal((await gateways()).length, 1), 60_000)
  await answered(20)

  const [kept, each] = [await load.stop(), await fresh.stop()]
  t.diagnostic(`${restarted.streams} streams and ${restarted.whole} whole answers until all were restarted`)
  for (const counts of [kept, each]) t.diagnostic(JSON.stringify(counts))
  for (const { failed, refused, cut, inBand, faults } of [kept, each])
    assert.deepEqual({ failed, refused, cut, inBand }, NOTHING_AMISS, faults.join('\n'))
  await tutorial.finish()

  /** So many streams more have ended. */
  async function answered(more: number): Promise<void> {
    const from = load.counts().streams
    await eventually(async () => assert.ok(load.counts().streams >= from + more, load.counts().faults.join('\n')), 30_000)
  }
  /** Names of their Pods, those included that are ending. */
  async function gateways(): Promise<readonly string[]> {
    const pods = await cluster.ask('GET', `/api/v1/namespaces/${NAMESPACE}/pods?labelSelector=${encodeURIComponent(GATEWAYS)}`)
    return listAt(pods, 'items').map((pod) => textAt(pod, 'metadata', 'name'))
  }
})

const NOTHING_AMISS = { failed: 0, refused: 0, cut: 0, inBand: 0 }

const MODEL = `
apiVersion: llamaswap.dev/v1alpha1
kind: LlamaModel
metadata: {name: smollm2, namespace: ${NAMESPACE}}
spec:
  backends: [{name: local, service: {name: smollm2, port: {name: http}}}]
`
