/**
 * A LlamaModel is written by a tenant, and a gateway stands where a tenant does not: backends may be public, or Pods and Services of the
 * model's own namespace, and nothing else, whatever way leads there. Each way here is refused with a reason, and what it leads to is asked
 * nothing; then the installation allows one address and denies another.
 */
import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import { ask } from '../support/client.ts'
import { listAt, textAt, valueAt } from '../support/control-plane/api.ts'
import type { KubeObject } from '../support/control-plane/objects.ts'
import { eventually } from '../support/eventually.ts'
import { clusterHere, kubectl, restrictedNamespace, serviceUrl } from './support/cluster.ts'
import { enginePods } from './support/engine.ts'
import { type Installation, install } from './support/install.ts'
import { FAILURES, startTellingEngine, TELLING_PORT, toldTo } from './support/telling-engine.ts'

const NAMESPACE = 'llama-swap'
const TEAM = 'team'
const OTHER = 'other'
const MODELS = `/apis/llamaswap.dev/v1alpha1/namespaces/${TEAM}/llamamodels`
const WITHIN_MS = 30_000
const cluster = clusterHere()

let installation: Installation
let url: string
/** Addresses of Pods. */
let own: string
let victim: string

before(async () => {
  await Promise.all([TEAM, OTHER].map((namespace) => restrictedNamespace(cluster, namespace)))
  const engine = { name: 'engine', namespace: TEAM, says: 'own' }
  const another = { name: 'victim', namespace: OTHER, says: 'stolen' }
  const [installed] = await Promise.all([install(cluster), startTellingEngine(cluster, engine), startTellingEngine(cluster, another)])
  installation = installed
  url = await serviceUrl(cluster, NAMESPACE, 'llama-swap')
  ;[own = '', victim = ''] = await Promise.all([engine, another].map(async (one) => (await enginePods(cluster, one))[0]?.ip ?? ''))
  await cluster.apply(KEY)
})

const KEY = `
apiVersion: v1
kind: Secret
metadata: {name: client, namespace: ${TEAM}, labels: {llamaswap.dev/api-key: "true"}}
stringData: {key: a-key-of-the-team-0123456789}
`
const HEADERS = { authorization: 'Bearer a-key-of-the-team-0123456789' }

const service = (name: string, more: object = {}): object => ({ service: { name, port: { number: 80 }, ...more } })
const at = (host: string): object => ({ url: `http://${host}/v1` })

async function applyModels(models: Readonly<Record<string, object>>): Promise<void> {
  const objects = Object.entries(models).map(
    ([name, backend]): KubeObject => ({
      apiVersion: 'llamaswap.dev/v1alpha1',
      kind: 'LlamaModel',
      metadata: { name, namespace: TEAM },
      spec: { backends: [{ name: 'b', ...backend }] },
    }),
  )
  for (const object of objects) await cluster.apply(object)
}

/** "True Accepted", "False AddressForbidden" */
async function accepted(name: string): Promise<string> {
  const model = await cluster.ask('GET', `${MODELS}/${name}`)
  const condition = listAt(model, 'status', 'conditions').find((one) => valueAt(one, 'type') === 'Accepted')
  return `${textAt(condition, 'status')} ${textAt(condition, 'reason')}`
}

async function statusOf(model: string, prompt = 'hello'): Promise<number> {
  const body = { model: `${TEAM}/${model}`, messages: [{ role: 'user', content: prompt }] }
  return (await ask(url, { headers: { ...HEADERS, 'x-llama-swap-timeout': '5s' }, body })).status
}

const toldVictim = () => toldTo(cluster, { name: 'victim', namespace: OTHER })

test("a model's own namespace is its own: by Service, by the Service's name and address, and by Pod", async () => {
  const { host } = new URL(await serviceUrl(cluster, TEAM, 'engine'))
  const ways = {
    'own-service': service('engine'),
    'own-cluster-ip': service('engine', { resolution: 'ClusterIP' }),
    'own-name': at(`engine.${TEAM}.svc`),
    'own-address': at(host),
    'own-pod': at(`${own}:${TELLING_PORT}`),
    'own-pods': { pods: { selector: { matchLabels: { app: 'engine' } }, port: { number: TELLING_PORT } } },
  }
  await applyModels(ways)
  for (const name of Object.keys(ways)) await eventually(async () => assert.equal(await statusOf(name), 200, name), WITHIN_MS)
})

/** Judged when the model is read. */
async function forbidden(node: string): Promise<Readonly<Record<string, object>>> {
  const another = new URL(await serviceUrl(cluster, OTHER, 'victim')).host
  return {
    loopback: at('127.0.0.1:8081'),
    'loopback-by-name': at('localhost:8081'),
    'loopback-in-decimal': at('2130706433:8081'),
    'loopback-v6': at('[::1]:8081'),
    'loopback-mapped': at('[::ffff:127.0.0.1]:8081'),
    unspecified: at('0.0.0.0:8081'),
    metadata: at('169.254.169.254'),
    'metadata-v6': at('[fd00:ec2::254]'),
    'metadata-by-name': at('metadata.google.internal'),
    'api-server': { url: 'https://10.96.0.1/v1' },
    'api-server-by-name': { url: 'https://kubernetes.default.svc/v1' },
    'api-server-itself': { url: `https://${node}:6443/v1` },
    kubelet: { url: `https://${node}:10250/v1` },
    'another-pod': at(`${victim}:${TELLING_PORT}`),
    'another-service': at(another),
    'another-service-by-name': at(`victim.${OTHER}.svc`),
    'another-service-in-full': at(`victim.${OTHER}.svc.cluster.local.`),
    'the-gateway': at(new URL(url).host),
    'external-name': service('outward'),
    'external-name-metadata': service('to-metadata'),
    'slice-by-hand': service('stray'),
    'slice-by-hand-behind-an-address': service('stray', { resolution: 'ClusterIP' }),
    'slice-by-hand-at-the-api-server': service('stray-api'),
  }
}

/** Services that lead out of their namespace, as a tenant may write them. */
const strays = (node: string): string => `
apiVersion: v1
kind: Service
metadata: {name: outward, namespace: ${TEAM}}
spec: {type: ExternalName, externalName: victim.${OTHER}.svc.cluster.local, ports: [{port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: to-metadata, namespace: ${TEAM}}
spec: {type: ExternalName, externalName: metadata.google.internal, ports: [{port: 80}]}
---
${strayService('stray', victim, TELLING_PORT)}
---
${strayService('stray-api', node, 6443)}
`

const strayService = (name: string, address: string, port: number): string => `
apiVersion: v1
kind: Service
metadata: {name: ${name}, namespace: ${TEAM}}
spec: {ports: [{name: http, port: 80, targetPort: ${port}}]}
---
${sliceOf(name, address, port)}`

/** As nobody's controller makes one. */
const sliceOf = (service: string, address: string, port: number): string => `
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: ${service}-by-hand, namespace: ${TEAM}, labels: {kubernetes.io/service-name: ${service}}}
addressType: IPv4
endpoints: [{addresses: [${address}]}]
ports: [{name: http, port: ${port}}]`

test('nothing else is: each way out is refused with a reason, and nobody there is asked', async () => {
  const node = await nodeAddress()
  await cluster.apply(strays(node))
  const ways = await forbidden(node)
  await applyModels(ways)
  for (const name of Object.keys(ways)) {
    await eventually(async () => assert.equal(await accepted(name), 'False AddressForbidden', name), WITHIN_MS)
    assert.ok((await statusOf(name)) >= 400, name)
  }
  assert.deepEqual(await toldVictim(), [])
})

test('a Service that leads out as well as home is asked at home only', async () => {
  await cluster.apply(sliceOf('engine', victim, TELLING_PORT))
  await eventually(async () => assert.equal(await accepted('own-service'), 'False AddressForbidden'), WITHIN_MS)
  await eventually(async () => assert.equal(await accepted('own-cluster-ip'), 'False AddressForbidden'), WITHIN_MS)
  for (let asked = 0; asked < 20; asked++) assert.equal(await statusOf('own-service'), 200)
  assert.ok((await statusOf('own-cluster-ip')) >= 400)
  assert.deepEqual(await toldVictim(), [])
})

test('names are judged again by what they resolve to, when they are connected to', async () => {
  const ways = {
    'by-search-domain': at(`victim.${OTHER}`),
    'by-alias': at(`outward.${TEAM}`),
    'api-server-by-search-domain': { url: 'https://kubernetes.default/v1' },
  }
  await applyModels(ways)
  for (const name of Object.keys(ways)) {
    await eventually(async () => assert.equal(await accepted(name), 'True Accepted', name), WITHIN_MS)
    await eventually(async () => assert.equal(await statusOf(name), 502), WITHIN_MS)
    await eventually(async () => assert.match(await gatewayLines(name), /EADDRDENIED/, name)) // access lines are written a moment later
  }
  assert.deepEqual(await toldVictim(), [])
})

test('an answer that leads elsewhere is not followed', async () => {
  const status = await statusOf('own-pod', `${FAILURES.elsewhere}http://${victim}:${TELLING_PORT}/v1/chat/completions`)
  assert.ok(status >= 300, String(status))
  assert.deepEqual(await toldVictim(), [])
})

test('an installation allows one address and denies another, and that is in force everywhere', async () => {
  await installation.upgrade({ values: { addresses: { allow: [`${victim}/32`], deny: [`${own}/32`] } } })
  await eventually(async () => assert.equal(await accepted('another-pod'), 'True Accepted'), WITHIN_MS)
  await eventually(async () => assert.equal(await statusOf('another-pod'), 200), WITHIN_MS)
  assert.ok((await toldVictim()).length > 0)
  for (const name of ['own-pod', 'own-pods', 'another-service']) {
    await eventually(async () => assert.equal(await accepted(name), 'False AddressForbidden', name), WITHIN_MS)
    assert.ok((await statusOf(name)) >= 400, name)
  }
})

/** Where the API server and the kubelet listen. */
async function nodeAddress(): Promise<string> {
  const slice = await cluster.ask('GET', '/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/kubernetes')
  return textAt(slice, 'endpoints', 0, 'addresses', 0)
}

/** What gateways wrote of requests for this model. */
async function gatewayLines(model: string): Promise<string> {
  const logs = await kubectl(cluster, ['-n', NAMESPACE, 'logs', '-l', 'app.kubernetes.io/component=gateway', '--tail=-1'])
  return logs
    .split('\n')
    .filter((line) => line.includes(`"asked":"${TEAM}/${model}"`))
    .join('\n')
}
