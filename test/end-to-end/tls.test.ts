/** docs/tutorials/tls.md: HTTPS for clients by values of the chart, and a Secret that is renewed, and spoilt, while clients stream. */
import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { Agent, request } from 'node:https'
import { after, before, test } from 'node:test'
import { connect, type TLSSocket } from 'node:tls'
import { eventually } from '../support/eventually.ts'
import { type KeptClients, startKeptClients } from '../support/kept-clients.ts'
import { type RunningApp, startApp } from './support/app.ts'
import { clusterHere, kubectl, serviceUrl } from './support/cluster.ts'
import { gatewayPods, metricOf } from './support/gateways.ts'
import { type Installation, install } from './support/install.ts'
import { isWholeStream, startQuickModel } from './support/quick-model.ts'
import { openTutorial } from './support/tutorial.ts'

const NAME = 'llama-swap.llama-swap.svc'
const CLIENTS = 20
const EXPIRY = 'llama_swap_tls_certificate_expiry_seconds'
const cluster = clusterHere()
const tutorial = openTutorial(cluster, 'tls', { substitutions: [['registry.example.com/app:1', 'localhost/app:1']] })
let installation: Installation
let address = ''
let port = 0
let ca = ''

before(async () => {
  installation = await install(cluster, { values: { gateway: { shutdown: { longestStreamSeconds: 60 } } } })
  await startQuickModel(cluster, installation.namespace)
})
after(() => tutorial.finish())

/** The certificate that each of some new connections to the Service is shown. */
async function shown(): Promise<ReadonlySet<string>> {
  const each = Array.from({ length: 8 }, async () => {
    const socket: TLSSocket = connect({ host: address, port, servername: NAME, ca })
    await once(socket, 'secureConnect')
    const certificate = socket.getPeerX509Certificate()?.fingerprint256 ?? ''
    socket.destroy()
    return certificate
  })
  return new Set(await Promise.all(each))
}

const inSecret = async (entry: string): Promise<string> => {
  const path = `jsonpath={.data.${entry.replace('.', '\\.')}}`
  const args = ['-n', installation.namespace, 'get', 'secret', 'llama-swap-gateway-tls', '-o', path]
  return Buffer.from(await kubectl(cluster, args), 'base64').toString()
}
const ofSecret = async (): Promise<X509Certificate> => new X509Certificate(await inSecret('tls.crt'))

test('by values of the chart: the Service speaks HTTPS, and a Pod with the official SDK streams', async () => {
  await tutorial.run('A certificate')
  await tutorial.run('Turning it on')
  await tutorial.run('An application')
  const url = new URL(await serviceUrl(cluster, installation.namespace, 'llama-swap'))
  address = url.hostname
  port = Number(url.port === '' ? 80 : url.port)
  assert.equal(port, 443)
  ca = await kubectl(cluster, ['-n', installation.namespace, 'get', 'configmap', 'app', '-o', 'jsonpath={.data.ca\\.crt}'])
  assert.deepEqual(await shown(), new Set([(await ofSecret()).fingerprint256]))
  await assert.rejects(fetch(`http://${address}:${port}/v1/models`), 'plain HTTP is not spoken')
})

let clients: KeptClients
let app: RunningApp

test('a renewed Secret is in use at every gateway; no stream fails and no connection is dropped', async (t) => {
  const before = await ofSecret()
  const agents = Array.from({ length: CLIENTS }, () => new Agent({ keepAlive: true, maxSockets: 1, ca, servername: NAME }))
  clients = startKeptClients(t, {
    agents,
    url: `https://${address}:${port}/v1/chat/completions`,
    headers: { authorization: `Bearer ${installation.key}`, host: NAME },
    body: JSON.stringify({ model: 'auto', messages: [{ role: 'user', content: 'Hello' }], stream: true }),
    isWhole: isWholeStream,
    send: request,
  })
  app = await startApp(cluster, {
    namespace: installation.namespace,
    script: STREAMS,
    env: { OPENAI_BASE_URL: `https://${NAME}/v1`, OPENAI_API_KEY: installation.key, NODE_EXTRA_CA_CERTS: '/app/script/ca.crt' },
    files: { 'ca.crt': ca },
    timeoutMs: 120_000,
  })
  await eventually(async () => assert.ok(clients.counts().whole >= 2 * CLIENTS))
  await app.line(/^10 streams/)
  await tutorial.run('Renewing it')
  const renewed = await ofSecret()
  assert.notEqual(renewed.fingerprint256, before.fingerprint256)
  assert.deepEqual(await shown(), new Set([renewed.fingerprint256]))
  for (const pod of await gatewayPods(cluster, installation.namespace))
    assert.equal(await metricOf(pod, EXPIRY), renewed.validToDate.getTime() / 1000)
  const { whole } = clients.counts()
  await eventually(async () => assert.ok(clients.counts().whole >= whole + 2 * CLIENTS))
  const counts = await clients.stop()
  t.diagnostic(`${counts.whole} streams, ${counts.reused} of them on kept connections`)
  assert.deepEqual(counts.faults, [])
  assert.equal(counts.whole - counts.reused, CLIENTS, 'each client has had one connection')
})

test('a Secret that is no good: the last good one stays in use, and log and metric say so', async () => {
  const before = await shown()
  await tutorial.run('One that is no good')
  assert.deepEqual(await shown(), before)
  for (const pod of await gatewayPods(cluster, installation.namespace))
    assert.equal(await metricOf(pod, 'llama_swap_tls_reloads_total', 'result="refused"'), 1)
  const log = await kubectl(cluster, ['-n', installation.namespace, 'logs', 'deployment/llama-swap-gateway'])
  assert.match(log, /"msg":"new certificate refused; the last good one stays".*is no certificate in PEM/)
})

test('the SDK in its Pod has streamed through all of it, without a retry', async (t) => {
  await kubectl(cluster, ['-n', installation.namespace, 'exec', app.name, '--', 'kill', '-TERM', '1'])
  const { output, exitCode } = await app.ended
  t.diagnostic(output.trim().split('\n').at(-1) ?? '')
  assert.equal(exitCode, 0, output)
  assert.match(output, /^0 failed$/m)
})

/** Streams until SIGTERM; a line for ten streams, and at the end one that says how many failed. */
const STREAMS = `
import OpenAI from 'openai'

const client = new OpenAI({ maxRetries: 0 })
let streams = 0
let failed = 0
let stopping = false
process.once('SIGTERM', () => { stopping = true })
while (!stopping) {
  try {
    const stream = await client.chat.completions.create({ model: 'auto', messages: [{ role: 'user', content: 'Hello' }], stream: true })
    let said = ''
    for await (const chunk of stream) said += chunk.choices[0]?.delta.content ?? ''
    if (!said.endsWith('w20 ')) throw new Error(said)
    if (++streams % 10 === 0) console.log(streams + ' streams')
  } catch (error) {
    failed += 1
    console.log(error.name, error.message, error.cause)
  }
}
console.log(streams + ' streams in all')
console.log(failed + ' failed')
`
