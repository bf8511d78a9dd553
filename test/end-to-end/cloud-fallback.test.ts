/**
 * docs/tutorials/cloud-fallback.md: a quota near its end shifts traffic to a simulated commercial API, which this process is, on an address of
 * documentation: with TLS of an authority of its own, and a key that nobody else may see.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer, type Server } from 'node:https'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { after, before, test } from 'node:test'
import { clusterHere, kubectl } from './support/cluster.ts'
import { readFirstPage } from './support/first-page.ts'
import { gatewayPods } from './support/gateways.ts'
import { openTutorial, type Tutorial } from './support/tutorial.ts'

const NAMESPACE = 'llama-swap'
const HOST = '192.0.2.10'
const KEY = 'a-key-that-the-provider-gave-us'
const cluster = clusterHere()
/** What asked the API: path, credential, model. */
const told: { readonly path: string; readonly authorization: string; readonly model: unknown }[] = []
let tutorial: Tutorial
let api: Server

before(async () => {
  const first = await readFirstPage(cluster)
  tutorial = openTutorial(cluster, 'cloud-fallback', { after: first })
  await tutorial.shell.run(AUTHORITY)
  api = await serveApi(tutorial.shell.folder)
})
after(async () => {
  api.closeAllConnections()
  api.close()
  await tutorial.finish()
})

/** Signs a certificate for the address. */
const AUTHORITY = `
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -days 1 -subj /CN=authority -keyout ca.key -out ca.crt
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -days 1 -subj /CN=api -CA ca.crt -CAkey ca.key \\
  -addext subjectAltName=IP:${HOST} -addext basicConstraints=critical,CA:FALSE -keyout api.key -out api.crt
`

async function serveApi(folder: string): Promise<Server> {
  const [cert, key] = ['api.crt', 'api.key'].map((name) => readFileSync(join(folder, name)))
  const server = createServer({ cert, key }, (request, response) => void answer(request, response))
  server.listen(443, HOST)
  await once(server, 'listening')
  return server
}

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const asked = JSON.parse((await text(request)) || '{}')
  const { authorization = '' } = request.headers
  told.push({ path: request.url ?? '', authorization, model: asked.model })
  const good = authorization === `Bearer ${KEY}`
  response.writeHead(good ? 200 : 401, { 'content-type': 'application/json' }).end(JSON.stringify(good ? ANSWER : { error: {} }))
}

const ANSWER = {
  id: 'chatcmpl-1',
  object: 'chat.completion',
  created: 1,
  model: 'large',
  choices: [{ index: 0, message: { role: 'assistant', content: 'From far away.' }, finish_reason: 'stop' }],
  usage: { prompt_tokens: 1, completion_tokens: 4, total_tokens: 5 },
}

test('an address that the installation has not allowed is refused, and asked nothing', async () => {
  await tutorial.run('A rented API')
  assert.deepEqual(told, [])
})

test('allowed, and with its authority known, the model is Ready', async () => {
  await tutorial.run('Allowed by the installation')
})

test('a quota near its end shifts traffic there and back; no request fails, and every one carries the key', async (t) => {
  await tutorial.run('A quota, and a way out')
  const [written = ''] = await tutorial.run('Watch it shift')
  t.diagnostic(written)
  const answered = new Map([...written.matchAll(/^ *(\d+) (smollm2|rented)$/gm)].map(([, count, model]) => [model, Number(count)]))
  const [local, rented] = [answered.get('smollm2') ?? 0, answered.get('rented') ?? 0]
  assert.equal(local + rented, 90)
  // One gateway has all requests here: the whole quota, or, until the operator has seen that, its half.
  assert.ok(local >= 10 && local <= 41, `${local} of the model with a quota of 40`)
  assert.match(written, /^fallback 1/m)
  const asked = told.filter(({ path }) => path === '/v1/chat/completions')
  assert.ok(asked.length >= rented, `${asked.length} requests reached the API`)
  assert.deepEqual(new Set(asked.map(({ model }) => model)), new Set(['large']))
  assert.deepEqual(new Set(told.map(({ authorization }) => authorization)), new Set([`Bearer ${KEY}`]))
})

test('the key stands in no log, status, Event or metric', async () => {
  const logs = ['llama-swap-gateway', 'llama-swap-operator'].map((name) =>
    kubectl(cluster, ['-n', NAMESPACE, 'logs', `deployment/${name}`, '--all-pods', '--tail=-1']),
  )
  const objects = kubectl(cluster, ['-n', NAMESPACE, 'get', 'lmod,rpol,events,configmaps', '-o', 'yaml'])
  const metrics = (await gatewayPods(cluster, NAMESPACE)).map(async ({ ip }) => (await fetch(`http://${ip}:9090/metrics`)).text())
  const said = await Promise.all([...logs, objects, ...metrics])
  assert.ok(said.every((text) => text.length > 100))
  // The manifest that a user applied is not ours to hide: kubectl keeps it in an annotation of the Secret, which is not read here.
  assert.equal(said.filter((text) => text.includes(KEY)).length, 0)
})
