/**
 * An engine that says so many words in so many seconds, whatever the machine is busy with: for stories about streams that are long, and whole.
 * It ends as a good engine does: what is under way is answered, and closes its connection; then it goes. In: a name. Out: a Deployment and
 * a Service to apply.
 */
import type { Cluster } from '../../support/control-plane/cluster.ts'
import type { KubeObject } from '../../support/control-plane/objects.ts'
import { APP_IMAGE } from './app.ts'
import { engineReady, RESTRICTED_CONTAINER, RESTRICTED_POD } from './engine.ts'

export interface WordsOptions {
  /** Of Deployment, Service, ConfigMap and label `app`. */
  readonly name: string
  readonly namespace: string
  readonly replicas?: number
  /** Of a stream. */
  readonly words: number
  /** Between two of them; a whole answer comes after five. */
  readonly everyMs: number
}

const PORT = 8080
/** For streams that run when it is told to end. */
const GRACE_SECONDS = 30

/** The Service's port is named "http". Resolves when its Pods are ready. */
export async function startWordsEngine(cluster: Cluster, options: WordsOptions): Promise<void> {
  await cluster.apply(wordsObjects(options))
  await engineReady(cluster, options)
}

function wordsObjects({ name, namespace, replicas = 1, words, everyMs }: WordsOptions): readonly KubeObject[] {
  const metadata = { name, namespace, labels: { app: name } }
  const container = {
    name: 'engine',
    image: APP_IMAGE,
    imagePullPolicy: 'IfNotPresent',
    command: ['node', '/script/engine.mjs', String(words), String(everyMs), String(PORT)],
    ports: [{ name: 'http', containerPort: PORT }],
    // A busy machine is no reason to be unready.
    readinessProbe: { httpGet: { path: '/health', port: 'http' }, periodSeconds: 1, timeoutSeconds: 10, failureThreshold: 10 },
    // Until nobody sends it new connections.
    lifecycle: { preStop: { sleep: { seconds: 3 } } },
    resources: { requests: { cpu: '200m', memory: '64Mi' }, limits: { memory: '256Mi' } },
    securityContext: RESTRICTED_CONTAINER,
    volumeMounts: [{ name: 'script', mountPath: '/script' }],
  }
  const spec = {
    automountServiceAccountToken: false,
    terminationGracePeriodSeconds: GRACE_SECONDS,
    securityContext: RESTRICTED_POD,
    containers: [container],
    volumes: [{ name: 'script', configMap: { name } }],
  }
  const template = { metadata: { labels: { app: name } }, spec }
  return [
    { apiVersion: 'v1', kind: 'ConfigMap', metadata, data: { 'engine.mjs': SCRIPT } },
    { apiVersion: 'apps/v1', kind: 'Deployment', metadata, spec: { replicas, selector: { matchLabels: { app: name } }, template } },
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata,
      spec: { selector: { app: name }, ports: [{ name: 'http', port: PORT, targetPort: 'http' }] },
    },
  ]
}

const SCRIPT = `
import { createServer } from 'node:http'
const [words, everyMs, port] = process.argv.slice(2).map(Number)
const event = (delta, finish_reason = null) =>
  'data: ' + JSON.stringify({ id: 'c', object: 'chat.completion.chunk', model: 'm', choices: [{ index: 0, delta, finish_reason }] }) + '\\n\\n'
const whole = JSON.stringify({ id: 'c', object: 'chat.completion', model: 'm',
  choices: [{ index: 0, message: { role: 'assistant', content: 'done' }, finish_reason: 'stop' }], usage: { prompt_tokens: 3, completion_tokens: 1, total_tokens: 4 } })
const stream = (response) => {
  response.setHeader('content-type', 'text/event-stream')
  response.write(event({ role: 'assistant', content: '' }))
  let said = 0
  const timer = setInterval(() => {
    if (said++ < words) return response.write(event({ content: 'w' + said + ' ' }))
    clearInterval(timer)
    response.end(event({}, 'stop') + 'data: [DONE]\\n\\n')
  }, everyMs)
  response.on('close', () => clearInterval(timer))
}
let ending = false
const server = createServer(async (request, response) => {
  response.once('close', () => ending && request.socket.destroySoon())
  if (request.url === '/health') return response.end('ok')
  if (request.method !== 'POST') return response.writeHead(404).end()
  let body = ''
  for await (const part of request.setEncoding('utf8')) body += part
  if (JSON.parse(body).stream === true) return stream(response)
  setTimeout(() => response.setHeader('content-type', 'application/json').end(whole), 5 * everyMs)
})
server.listen(port)
process.once('SIGTERM', () => {
  ending = true
  server.close(() => process.exit(0))
})
`
