/**
 * docs/tutorials/upgrade.md with both helms, under load: from the first chart that there was to this one and back, an upgrade that fails, and an
 * uninstall, which leaves what belongs to the user.
 */
import assert from 'node:assert/strict'
import { dirname, join } from 'node:path'
import { before, type TestContext, test } from 'node:test'
import { HELMS } from '../../scripts/fetch-kube-tools.ts'
import { listAt, textAt } from '../support/control-plane/api.ts'
import { eventually } from '../support/eventually.ts'
import { ROOT } from '../support/program.ts'
import { clusterHere, kubectl, restrictedNamespace, runProgram, serviceUrl } from './support/cluster.ts'
import { CHART, install } from './support/install.ts'
import { type Load, startLoad } from './support/load.ts'
import { openTutorial } from './support/tutorial.ts'
import { startWordsEngine } from './support/words-engine.ts'

const NAMESPACE = 'llama-swap'
/** Three seconds a stream. */
const WORDS = { words: 15, everyMs: 200 }
const cluster = clusterHere()
/** Its image is that of this checkout: there is no other in the cluster. */
const FIXTURE = join(ROOT, 'test', 'charts', 'fixtures', 'llama-swap-0.1.0.tgz')

let atFirst: ReadonlySet<string>
before(async () => {
  await restrictedNamespace(cluster, NAMESPACE)
  await startWordsEngine(cluster, { name: 'smollm2', namespace: NAMESPACE, ...WORDS })
  atFirst = await objects()
})

for (const version of [3, 4] as const) {
  test(`helm ${version}: ${version === 4 ? 'upgrade, rollback and a failed upgrade' : 'upgrade and rollback'} cut and fail nothing; uninstall leaves the definitions and what users made`, async (t) => {
    const installed = await install(cluster, { chart: FIXTURE, helmVersion: version })
    await cluster.apply(MODEL)
    await kubectl(cluster, ['-n', NAMESPACE, 'wait', '--for=condition=Ready', '--timeout=60s', 'lmod/smollm2'])
    const tutorial = openTutorial(cluster, 'upgrade')
    t.after(() => tutorial.shell.close())
    await tutorial.shell.run(`export PATH=${dirname(HELMS[version])}:$PATH`)
    const load = await startBoth(installed.key)
    t.after(() => Promise.all(load.map((one) => one.stop())))

    await tutorial.run('Look before')
    const before = await gateways()
    await tutorial.run('Upgrade')
    await eventually(async () => assert.ok((await gateways()).every((name) => !before.includes(name))), 60_000)
    await tutorial.run('When an upgrade fails')
    await tutorial.run('Go back')
    if (version === 4) await failedUpgrade(t)
    await eventually(async () => assert.equal((await gateways()).length, 2), 60_000)
    await allWell(t, load)

    await tutorial.run('Uninstall')
    await eventually(async () => assert.deepEqual([...(await objects())].filter((name) => !atFirst.has(name)).toSorted(), KEPT), 40_000)
    await tutorial.finish()
  })
}

/** To an image that is not there: helm says which Pods do not get ready, and goes back when told. */
async function failedUpgrade(t: TestContext): Promise<void> {
  const helm = (...args: readonly string[]) => runProgram(cluster, HELMS[4], ['-n', NAMESPACE, ...args])
  const wait = ['--wait', '--timeout=15s']
  const failed = await helm('upgrade', 'llama-swap', CHART, '--reset-then-reuse-values', '--set', 'image.tag=none', ...wait)
  assert.notEqual(failed.code, 0)
  t.diagnostic(failed.stderr.trim().slice(-200))
  assert.match(failed.stderr, /Deployment\/llama-swap\/llama-swap-(gateway|operator) not ready/)
  const back = await helm('rollback', 'llama-swap', '--wait', '--timeout=2m')
  assert.equal(back.code, 0, back.stderr)
}

/** Names of their Pods, those included that are ending. */
async function gateways(): Promise<readonly string[]> {
  const selector = encodeURIComponent('app.kubernetes.io/component=gateway')
  const pods = await cluster.ask('GET', `/api/v1/namespaces/${NAMESPACE}/pods?labelSelector=${selector}`)
  return listAt(pods, 'items').map((pod) => textAt(pod, 'metadata', 'name'))
}

/** Clients that keep connections and clients that do not, by the Service that both charts have. */
async function startBoth(key: string): Promise<readonly Load[]> {
  const url = await serviceUrl(cluster, NAMESPACE, 'llama-swap-gateway')
  const to = { url, key, model: 'smollm2' }
  return [startLoad({ ...to, perSecond: 5, streamsPerSecond: 3 }), startLoad({ ...to, perSecond: 3, fresh: true })]
}

async function allWell(t: TestContext, loads: readonly Load[]): Promise<void> {
  for (const counts of await Promise.all(loads.map((load) => load.stop()))) {
    t.diagnostic(JSON.stringify(counts))
    const { failed, refused, cut, inBand, faults } = counts
    assert.deepEqual({ failed, refused, cut, inBand }, { failed: 0, refused: 0, cut: 0, inBand: 0 }, faults.join('\n'))
  }
}

/** "kind namespace/name" of everything in the cluster, but for what comes and goes by itself. */
async function objects(): Promise<ReadonlySet<string>> {
  const kinds = (await kubectl(cluster, ['api-resources', '--verbs=list', '-o', 'name']))
    .split('\n')
    .filter((kind) => !/^(events|apiservices)/.test(kind))
  const columns = 'custom-columns=NS:.metadata.namespace,NAME:.metadata.name'
  const listed = kinds.map(async (kind) => {
    const lines = await kubectl(cluster, ['get', kind, '-A', '--no-headers', '-o', columns])
    return lines.split('\n').flatMap((line) => {
      const [namespace = '', name] = line.trim().split(/\s+/)
      return name === undefined || namespace === 'kube-node-lease' ? [] : [`${kind} ${namespace === '<none>' ? '' : namespace}/${name}`]
    })
  })
  return new Set((await Promise.all(listed)).flat())
}

const MODEL = `
apiVersion: llamaswap.dev/v1alpha1
kind: LlamaModel
metadata: {name: smollm2, namespace: ${NAMESPACE}}
spec:
  backends: [{name: local, service: {name: smollm2, port: {name: http}}}]
`

/** What an uninstall leaves. */
const KEPT = [
  'customresourcedefinitions.apiextensions.k8s.io /llamamodels.llamaswap.dev',
  'customresourcedefinitions.apiextensions.k8s.io /routingpolicies.llamaswap.dev',
  'leases.coordination.k8s.io default/llama-swap-scope',
  'llamamodels.llamaswap.dev llama-swap/smollm2',
]
