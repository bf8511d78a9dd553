/**
 * docs/tutorials/sidecar.md, and what its reader does not see: that no sidecar keeps a Pod from starting or ending, whatever is missing; that
 * the webhook's certificate is renewed under way; and sidecars that are no init containers, as before Kubernetes 1.29.
 */
import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { after, before, test } from 'node:test'
import { connect } from 'node:tls'
import { makeAuthority } from '../../operator/push/certificate-authority.ts'
import { OVERLAP_MS, PUSH_CA_NAME } from '../../operator/push/certificates.ts'
import { isFields } from '../../operator/validate/problem.ts'
import { fieldsOf } from '../../operator/validate/raw-fields.ts'
import { listAt, textAt, valueAt } from '../support/control-plane/api.ts'
import type { KubeObject } from '../support/control-plane/objects.ts'
import { eventually } from '../support/eventually.ts'
import { APP_IMAGE, appObjects } from './support/app.ts'
import { clusterHere, kubectl, serviceUrl } from './support/cluster.ts'
import { startEngine } from './support/engine.ts'
import { type Installation, install } from './support/install.ts'
import { openTutorial } from './support/tutorial.ts'
import { startWordsEngine } from './support/words-engine.ts'

const cluster = clusterHere()
/** Of the engine behind the gateway. It must be nowhere else. */
const CLOUD_KEY = 'canary-of-the-cloud-4711'
const tutorial = openTutorial(cluster, 'sidecar', {
  namespace: 'shop',
  substitutions: [
    ['image: node:lts', `image: ${APP_IMAGE}`],
    ['image: node:22', `image: ${APP_IMAGE}`],
    ['cd /tmp && cp /script/app.mjs . && npm install --silent openai && exec node app.mjs', 'exec node /app/script/app.mjs'],
    ['cd /tmp && cp /job/app.mjs . && npm install --silent openai && exec node app.mjs', 'exec node /app/job/app.mjs'],
    ['mountPath: /script', 'mountPath: /app/script'],
    ['mountPath: /job', 'mountPath: /app/job'],
    ['"$CLOUD_KEY"', CLOUD_KEY],
  ],
})
after(() => tutorial.finish())

let installed: Installation
before(async () => {
  installed = await install(cluster)
  await tutorial.run('Turn it on')
  const hosted = startEngine(cluster, { name: 'cloud', namespace: 'shop', args: ['--api-key', CLOUD_KEY] })
  await Promise.all([hosted, startWordsEngine(cluster, { name: 'engine', namespace: 'shop', words: 20, everyMs: 100 })])
})

const PODS = '/api/v1/namespaces/shop/pods'
/** That are not being deleted. */
async function podsOf(app: string): Promise<readonly unknown[]> {
  const list = await cluster.ask('GET', `${PODS}?labelSelector=app%3D${app}`)
  return listAt(list, 'items').filter((pod) => valueAt(pod, 'metadata', 'deletionTimestamp') === undefined)
}

async function podOf(app: string): Promise<unknown> {
  const [pod, another] = await podsOf(app)
  assert.ok(pod !== undefined && another === undefined)
  return pod
}

const namesIn = (pod: unknown, list: 'containers' | 'initContainers'): readonly string[] =>
  listAt(pod, 'spec', list).map((container) => textAt(container, 'name'))
const log = (pod: string, container = 'app'): Promise<string> => kubectl(cluster, ['-n', 'shop', 'logs', pod, '-c', container])

test('a Deployment: the SDK without a setting streams; only the Pod itself reaches the sidecar', async () => {
  await tutorial.run('A model')
  await tutorial.run('A Deployment')
  const pod = await podOf('writer')
  assert.deepEqual([namesIn(pod, 'initContainers'), namesIn(pod, 'containers')], [['llama-swap'], ['app']])
  const ip = textAt(pod, 'status', 'podIP')
  for (const port of [18080, 18081]) await assert.rejects(fetch(`http://${ip}:${port}/v1/models`), `port ${port}`)
  assert.equal((await fetch(`http://${ip}:19090/readyz`)).status, 200)
})

test('it ends after the app: a stream ends whole and a new request is answered while the Pod is being deleted', async () => {
  await tutorial.run('It ends after the application')
})

test('a Job: its init container asks as well, and it completes', async () => {
  await tutorial.run('A Job')
})

test('a model behind a key is reached through the gateway, and the key is not in the Pod', async () => {
  await tutorial.run('A model behind a key')
  const pod = await podOf('writer')
  const name = textAt(pod, 'metadata', 'name')
  const ask = "fetch('http://127.0.0.1:18081/debug/table').then((answer) => answer.text()).then(console.log)"
  const table = await kubectl(cluster, ['-n', 'shop', 'exec', name, '-c', 'app', '--', 'node', '-e', ask])
  assert.match(table, /"shop\/hosted"/)
  assert.ok(!table.includes(CLOUD_KEY))
  assert.match(table, /"credentials": \[\s*\{\s*"id": "pod-token",\s*"value": "\[redacted\]"\s*\}\s*\]/)
})

test('no operator: a Pod is made as ever, without a sidecar, and is told of when one is back', async () => {
  const written = await podOf('writer')
  await tutorial.run('When no operator answers')
  assert.notEqual(textAt(await podOf('writer'), 'metadata', 'uid'), textAt(written, 'metadata', 'uid'))
})

/** As the Pod is now, to be made again: the webhook finds nothing to do. With `change` its sidecar is another. */
function copyOf(pod: unknown, name: string, change: (sidecar: KubeObject) => KubeObject): KubeObject {
  const [metadata, spec] = [valueAt(pod, 'metadata'), valueAt(pod, 'spec')]
  assert.ok(isFields(metadata) && isFields(spec))
  const { nodeName: _, ...rest } = spec
  const initContainers = listAt(pod, 'spec', 'initContainers').map((container) => (isFields(container) ? change(container) : container))
  const labels = { app: name, 'llamaswap.dev/sidecar': 'true' }
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: 'shop', labels, annotations: metadata['annotations'] },
    spec: { ...rest, initContainers, terminationGracePeriodSeconds: 60 },
  }
}

const startedAt = (pod: unknown, list: 'containerStatuses' | 'initContainerStatuses'): number =>
  Date.parse(textAt(pod, 'status', list, 0, 'state', 'running', 'startedAt')) / 1000

async function deleted(name: string): Promise<number> {
  const startMs = performance.now()
  await kubectl(cluster, ['-n', 'shop', 'delete', 'pod', name])
  return (performance.now() - startMs) / 1000
}

/** Of the 60 that the copies have. */
const PROMPT_SECONDS = 20

test('a sidecar that reaches no operator keeps its Pod from starting for five seconds, and not from ending', async (t) => {
  const change = (sidecar: KubeObject): KubeObject => ({
    ...sidecar,
    args: [sidecar['args']].flat().map((arg) => String(arg).replace(/^--operator=.*/, '--operator=wss://192.0.2.200:8443')),
  })
  await cluster.apply(copyOf(await podOf('writer'), 'alone', change))
  await eventually(async () => assert.match(await log('alone'), /no answer: 503/), 60_000)
  const pod = await podOf('alone')
  const waitedSeconds = startedAt(pod, 'containerStatuses') - startedAt(pod, 'initContainerStatuses')
  t.diagnostic(`the app started ${waitedSeconds} s after the sidecar`)
  assert.ok(waitedSeconds >= 5 && waitedSeconds <= 10, String(waitedSeconds))
  assert.ok((await deleted('alone')) < PROMPT_SECONDS)
})

const UNABLE: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  'whose image is not there': { image: 'llama-swap:none', imagePullPolicy: 'Never' },
  'whose probe never passes': { startupProbe: { tcpSocket: { port: 1 }, periodSeconds: 1, failureThreshold: 300 } },
}

for (const [name, fields] of Object.entries(UNABLE)) {
  test(`a Pod can be deleted at once though it has a sidecar ${name}`, async () => {
    const pod = name.split(' ').at(-1) ?? ''
    await cluster.apply(copyOf(await podOf('writer'), pod, (sidecar) => ({ ...sidecar, ...fields })))
    await eventually(async () => {
      const [status] = listAt(await podOf(pod), 'status', 'initContainerStatuses')
      const { reason } = fieldsOf(valueAt(status, 'state', 'waiting'))
      if (reason !== 'ErrImageNeverPull') assert.match(await log(pod, 'llama-swap'), /"listening"/)
    }, 30_000)
    assert.ok((await deleted(pod)) < PROMPT_SECONDS)
  })
}

const ASKS = { 'llamaswap.dev/inject': 'true' }
/** What would come of a Pod that asks. */
async function tried(annotations: Readonly<Record<string, string>> = ASKS, spec: KubeObject = {}): Promise<unknown> {
  const { template } = appObjects({ name: 'tried', namespace: 'shop', script: '', annotations, spec })
  return cluster.ask('POST', `${PODS}?dryRun=All`, { apiVersion: 'v1', kind: 'Pod', ...template })
}

test('the CA is renewed under way: no Pod is missed, and the webhook has a certificate of the new one', async () => {
  const next = await makeAuthority(Date.now() - OVERLAP_MS - 60_000)
  const base64 = (text: string): string => Buffer.from(text).toString('base64')
  const data = { 'next.crt': base64(next.cert), 'next.key': base64(next.key) }
  await cluster.ask('PATCH', `/api/v1/namespaces/llama-swap/secrets/${PUSH_CA_NAME}`, { data }, 'application/merge-patch+json')
  // The leader looks each minute; for a namespace that wants the bundle at once.
  await cluster.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'more', labels: ASKS } })
  const host = new URL(await serviceUrl(cluster, 'llama-swap', 'llama-swap-webhook')).hostname
  await eventually(async () => {
    assert.deepEqual(namesIn(await tried(), 'initContainers'), ['llama-swap'])
    assert.equal(await issuerAt(host), new X509Certificate(next.cert).subject)
  }, 30_000)
  for (let n = 0; n < 20; n += 1) assert.deepEqual(namesIn(await tried(), 'initContainers'), ['llama-swap'])
  const bundle = await kubectl(cluster, ['get', 'mutatingwebhookconfigurations', '-o', 'jsonpath={..caBundle}'])
  assert.equal(Buffer.from(bundle, 'base64').toString().split('BEGIN CERTIFICATE').length, 3)
})

/** Of the certificate that is shown there. */
function issuerAt(host: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port: 443, rejectUnauthorized: false }, () => {
      resolve(socket.getPeerX509Certificate()?.issuer ?? '')
      socket.destroy()
    })
    socket.on('error', reject)
  })
}

test('classic sidecars, by a setting: a rollout renews those that are outdated, and a Job ends if its app says so', async (t) => {
  await installed.upgrade({ values: { sidecars: { mode: 'Classic' } } })

  await t.test('Pods with another sidecar are counted', () =>
    eventually(async () => assert.match(await operatorMetrics(), /^llama_swap_sidecar_pods\{state="outdated"\} 1$/m), 30_000),
  )

  await t.test('it runs beside the app, and takes requests while the app ends', async () => {
    await kubectl(cluster, ['-n', 'shop', 'rollout', 'restart', 'deployment/writer'])
    await kubectl(cluster, ['-n', 'shop', 'rollout', 'status', 'deployment/writer', '--timeout=60s'], { timeoutMs: 70_000 })
    const pod = await eventually(() => podOf('writer'), 30_000)
    assert.deepEqual([namesIn(pod, 'initContainers'), namesIn(pod, 'containers')], [[], ['app', 'llama-swap']])
    const name = textAt(pod, 'metadata', 'name')
    await eventually(async () => assert.match(await log(name), /^[0-9]+ pieces/m), 30_000)
    const following = kubectl(cluster, ['-n', 'shop', 'logs', name, '-c', 'app', '--follow'], { timeoutMs: 60_000 })
    await deleted(name)
    assert.match(await following, /told to end\n[0-9]+ pieces\nthe last: [0-9]+ pieces$/)
  })

  await t.test('a Pod that is to end has none, unless its app ends it', async () => {
    const pod = await tried()
    assert.deepEqual(namesIn(pod, 'containers'), ['app'])
    assert.equal(valueAt(pod, 'metadata', 'annotations', 'llamaswap.dev/not-injected'), 'NeedsNative')
    const annotations = { ...ASKS, 'llamaswap.dev/sidecar-quits': 'true' }
    const { configMap, template } = appObjects({ name: 'quits', namespace: 'shop', script: QUITS, annotations })
    const job = { apiVersion: 'batch/v1', kind: 'Job', metadata: { name: 'quits', namespace: 'shop' }, spec: { backoffLimit: 0, template } }
    await cluster.apply([configMap, job])
    await kubectl(cluster, ['-n', 'shop', 'wait', '--for=condition=Complete', '--timeout=60s', 'job/quits'], { timeoutMs: 70_000 })
  })
})

/** The app may start before the sidecar: it tries more often. */
const QUITS = `
import OpenAI from 'openai'
const messages = [{ role: 'user', content: 'Say one word.' }]
await new OpenAI({ maxRetries: 8 }).chat.completions.create({ model: 'advisor', messages })
await fetch('http://127.0.0.1:18081/quit', { method: 'POST' })
`

/** Of all replicas. */
async function operatorMetrics(): Promise<string> {
  const list = await cluster.ask('GET', '/api/v1/namespaces/llama-swap/pods?labelSelector=app.kubernetes.io%2Fcomponent%3Doperator')
  const ips = listAt(list, 'items').map((pod) => textAt(pod, 'status', 'podIP'))
  return (await Promise.all(ips.map(async (ip) => (await fetch(`http://${ip}:9090/metrics`)).text()))).join('')
}
