/** docs/tutorials/engine-dies.md, and the same with a container that is killed under an app with the SDK, and what the cluster says of it. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { textAt, valueAt } from '../support/control-plane/api.ts'
import { eventually } from '../support/eventually.ts'
import { startApp } from './support/app.ts'
import { clusterHere, kubectl } from './support/cluster.ts'
import { enginePods, killContainer } from './support/engine.ts'
import { readFirstPage } from './support/first-page.ts'
import { openTutorial, type Tutorial } from './support/tutorial.ts'

const cluster = clusterHere()
const NAMESPACE = 'llama-swap'
const MODEL = `/apis/llamaswap.dev/v1alpha1/namespaces/${NAMESPACE}/llamamodels/smollm2`
const FIRST = { name: 'smollm2', namespace: NAMESPACE }
/** From the end of a container or Pod to the status that says so. */
const TOLD_WITHIN_MS = 5000
let tutorial: Tutorial

before(async () => {
  tutorial = openTutorial(cluster, 'engine-dies', { after: await readFirstPage(cluster) })
  await tutorial.run('A second engine')
})
after(() => tutorial.finish())

test('between two requests: the spare engine answers, an Event tells, and the first one comes back', async () => {
  const told = statusSays('NoEndpoints', 30_000)
  const [, endpoints = ''] = await tutorial.run('Between two requests')
  assert.match(endpoints, /spare/)
  await told
})

test('in the middle of an answer: an error in the stream', async () => {
  const [broken = ''] = await tutorial.run('In the middle of an answer')
  assert.doesNotMatch(broken, /\[DONE\]/)
})

test('in the middle of an answer, with Continue: the answer is whole', async () => {
  const [written = ''] = await tutorial.run('An answer that goes on')
  assert.match(written, /^data: \[DONE\]$/m)
  assert.match(written, /"finish_reason":"length"/)
  assert.match(written, /^: .*spare/m)
})

test('metrics tell both', async () => {
  await tutorial.run('What metrics say')
})

/** Resolves with the milliseconds until the status of the backend `first` gives this reason. Rejects after `withinMs`. */
async function statusSays(reason: string, withinMs: number): Promise<number> {
  const startMs = performance.now()
  const path = `/apis/llamaswap.dev/v1alpha1/namespaces/${NAMESPACE}/llamamodels?watch=1&fieldSelector=metadata.name%3Dsmollm2`
  for await (const event of cluster.lines(path, AbortSignal.timeout(withinMs))) {
    const backends = valueAt(event, 'object', 'status', 'backends')
    assert.ok(Array.isArray(backends))
    if (backends.some((one) => valueAt(one, 'name') === 'first' && valueAt(one, 'reason') === reason)) return performance.now() - startMs
  }
  throw new Error('the watch ended')
}

/** An app that streams a long answer with the SDK and says how it ended. */
const APP = `
import OpenAI, { APIError } from 'openai'
const client = new OpenAI({ maxRetries: 0 })
const messages = [{ role: 'user', content: 'Tell me a long story.' }]
const { data: stream, response } = await client.chat.completions
  .create({ model: 'auto', messages, stream: true, max_tokens: 400, ignore_eos: true }, { headers: { 'x-llama-swap-interrupt': process.env.INTERRUPT } })
  .withResponse()
let pieces = 0
let finish = null
try {
  for await (const { choices: [choice] } of stream) {
    if (choice?.delta.content) pieces += 1
    finish = choice?.finish_reason ?? finish
    if (pieces === 20) console.log('streaming from ' + response.headers.get('x-llama-swap-endpoint'))
  }
  console.log('ended: ' + finish)
} catch (error) {
  console.log('raised: ' + (error instanceof APIError) + ' ' + error.code + ' ' + error.message)
}
`

const ENDS: Readonly<Record<string, RegExp>> = {
  Error: /raised: true upstream_stream_interrupted .*not complete/,
  Continue: /ended: length/,
}

for (const [interrupt, end] of Object.entries(ENDS)) {
  test(`a container is killed under an app that streams, interrupt: ${interrupt}; the status tells within ${TOLD_WITHIN_MS} ms`, async () => {
    await firstIsBack()
    const key = Buffer.from(
      await kubectl(cluster, ['-n', NAMESPACE, 'get', 'secret', 'llama-swap-first-key', '-o', 'jsonpath={.data.key}']),
      'base64',
    )
    const env = { OPENAI_BASE_URL: `http://llama-swap.${NAMESPACE}.svc/v1`, OPENAI_API_KEY: key.toString(), INTERRUPT: interrupt }
    const app = await startApp(cluster, { namespace: NAMESPACE, script: APP, env })
    assert.match(await app.line(/^streaming/), /first\//)
    const [pod] = await enginePods(cluster, FIRST)
    assert.ok(pod !== undefined)
    const told = statusSays('NoEndpoints', TOLD_WITHIN_MS)
    killContainer(pod)
    const { output, exitCode } = await app.ended
    assert.equal(exitCode, 0, output)
    assert.match(output, end)
    await told
    await firstIsBack()
    assert.equal((await enginePods(cluster, FIRST)).find(({ name }) => name === pod.name)?.restarts, pod.restarts + 1)
  })
}

/** The status says that both backends have an endpoint that takes requests, and no longer Degraded. */
async function firstIsBack(): Promise<void> {
  await eventually(async () => {
    const model = await cluster.ask('GET', MODEL)
    assert.equal(textAt(model, 'status', 'summary', 'endpoints'), '2/2')
    assert.doesNotMatch(JSON.stringify(valueAt(model, 'status', 'conditions')), /"Degraded"/)
  }, 60_000)
}
