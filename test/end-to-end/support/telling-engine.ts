/**
 * An engine that remembers who asked it with what, and whose failures repeat all they were told, credential and prompt, as real ones do. In: a
 * name, and what it answers. Out: a Deployment and a Service to apply, and what it got.
 */
import { listAt } from '../../support/control-plane/api.ts'
import type { Cluster } from '../../support/control-plane/cluster.ts'
import type { KubeObject } from '../../support/control-plane/objects.ts'
import { enginePods, engineReady, RESTRICTED_CONTAINER, RESTRICTED_POD } from './engine.ts'

export interface TellingOptions {
  /** Of Deployment, Service, ConfigMap and label `app`. */
  readonly name: string
  readonly namespace: string
  /** The text of its answers. */
  readonly says: string
}

/** One request. */
export interface Told {
  readonly path: string
  readonly authorization: string
}

const IMAGE = 'localhost/app:1'
export const TELLING_PORT = 8080

/** What a prompt must hold to make it fail in that way. */
export const FAILURES = {
  unauthorized: 'FAIL-401',
  broken: 'FAIL-500',
  bad: 'FAIL-400',
  cut: 'FAIL-CUT',
  elsewhere: 'GO-ELSEWHERE=',
} as const

/** The Service's port is 80. Resolves when its Pod is ready. */
export async function startTellingEngine(cluster: Cluster, options: TellingOptions): Promise<void> {
  await cluster.apply(tellingObjects(options))
  await engineReady(cluster, options)
}

/** All that it was asked, but for its health. The test's process reaches Pods. */
export async function toldTo(cluster: Cluster, { name, namespace }: Pick<TellingOptions, 'name' | 'namespace'>): Promise<readonly Told[]> {
  const pods = await enginePods(cluster, { name, namespace })
  const told = await Promise.all(pods.map(async ({ ip }): Promise<unknown> => (await fetch(`http://${ip}:${TELLING_PORT}/told`)).json()))
  return told.flatMap((list) => listAt({ list }, 'list')).map(parseTold)
}

function parseTold(written: unknown): Told {
  return { path: '', authorization: '', ...(typeof written === 'object' && written) }
}

function tellingObjects({ name, namespace, says }: TellingOptions): readonly KubeObject[] {
  const metadata = { name, namespace, labels: { app: name } }
  const container = {
    name: 'engine',
    image: IMAGE,
    imagePullPolicy: 'IfNotPresent',
    command: ['node', '/script/engine.mjs', says, JSON.stringify(FAILURES), String(TELLING_PORT)],
    ports: [{ name: 'http', containerPort: TELLING_PORT }],
    readinessProbe: { httpGet: { path: '/health', port: 'http' }, periodSeconds: 1 },
    resources: { requests: { cpu: '20m', memory: '64Mi' }, limits: { memory: '256Mi' } },
    securityContext: RESTRICTED_CONTAINER,
    volumeMounts: [{ name: 'script', mountPath: '/script' }],
  }
  const spec = {
    automountServiceAccountToken: false,
    terminationGracePeriodSeconds: 1,
    securityContext: RESTRICTED_POD,
    containers: [container],
    volumes: [{ name: 'script', configMap: { name } }],
  }
  const template = { metadata: { labels: { app: name } }, spec }
  return [
    { apiVersion: 'v1', kind: 'ConfigMap', metadata, data: { 'engine.mjs': SCRIPT } },
    { apiVersion: 'apps/v1', kind: 'Deployment', metadata, spec: { selector: { matchLabels: { app: name } }, template } },
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata,
      spec: { selector: { app: name }, ports: [{ name: 'http', port: 80, targetPort: 'http' }] },
    },
  ]
}

const SCRIPT = `
import { createServer } from 'node:http'
const [says, failures, port] = process.argv.slice(2)
const { unauthorized, broken, bad, cut, elsewhere } = JSON.parse(failures)
const told = []
const event = (delta, finish_reason = null) =>
  'data: ' + JSON.stringify({ id: 'c', object: 'chat.completion.chunk', model: 'm', choices: [{ index: 0, delta, finish_reason }] }) + '\\n\\n'
const whole = JSON.stringify({ id: 'c', object: 'chat.completion', model: 'm', usage: { prompt_tokens: 3, completion_tokens: 1, total_tokens: 4 },
  choices: [{ index: 0, message: { role: 'assistant', content: says }, finish_reason: 'stop' }] })
const json = (response, status, text) => response.writeHead(status, { 'content-type': 'application/json' }).end(text)
createServer(async (request, response) => {
  if (request.url === '/health') return response.end('ok')
  if (request.url === '/told') return json(response, 200, JSON.stringify(told))
  let body = ''
  for await (const part of request.setEncoding('utf8')) body += part
  const authorization = String(request.headers.authorization)
  told.push({ path: request.url, authorization })
  const failure = (type) => JSON.stringify({ error: { message: 'You said ' + authorization + ' and ' + body, type, code: type } })
  if (request.method !== 'POST') return json(response, 404, failure('not_found'))
  if (body.includes(unauthorized)) return json(response, 401, failure('invalid_api_key'))
  if (body.includes(broken)) return json(response, 500, failure('server_error'))
  if (body.includes(bad)) return json(response, 400, failure('invalid_request_error'))
  if (body.includes(elsewhere)) {
    response.writeHead(307, { location: body.split(elsewhere)[1].split('"')[0] })
    return response.end()
  }
  if (JSON.parse(body).stream !== true) return json(response, 200, whole)
  response.setHeader('content-type', 'text/event-stream')
  for (const word of says.split(/(?= )/)) response.write(event({ content: word }))
  if (body.includes(cut)) return setTimeout(() => response.destroy(), 50)
  response.end(event({}, 'stop') + 'data: [DONE]\\n\\n')
}).listen(Number(port))
`
