/**
 * An engine that costs nothing: it answers chat at once, or as a stream of twenty events that takes half a second. For stories about
 * connections, where a real one would only take the CPU. In: where. Out: objects to apply, a LlamaModel among them.
 */
import type { Cluster } from '../../support/control-plane/cluster.ts'
import type { KubeObject } from '../../support/control-plane/objects.ts'
import { kubectl, stateOf } from './cluster.ts'
import { RESTRICTED_CONTAINER, RESTRICTED_POD } from './engine.ts'

export const STREAM_EVENTS = 20
const EVENT_MS = 25
const NAME = 'quick'
const PORT = 8080

const SCRIPT = `
import { createServer } from 'node:http'
import { setTimeout as pause } from 'node:timers/promises'
const event = (delta, finish_reason = null) =>
  'data: ' + JSON.stringify({ id: 'q', object: 'chat.completion.chunk', created: 0, model: '${NAME}', choices: [{ index: 0, delta, finish_reason }] }) + '\\n\\n'
const whole = JSON.stringify({ id: 'q', object: 'chat.completion', created: 0, model: '${NAME}', usage: { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 },
  choices: [{ index: 0, message: { role: 'assistant', content: 'w' }, finish_reason: 'stop' }] })
const models = JSON.stringify({ object: 'list', data: [{ id: '${NAME}', object: 'model', created: 0, owned_by: 'q' }] })
createServer(async (request, response) => {
  let body = ''
  for await (const bytes of request) body += bytes
  if (request.method === 'GET') return response.setHeader('content-type', 'application/json').end(request.url === '/v1/models' ? models : '{"status":"ok"}')
  if (JSON.parse(body).stream !== true) return response.setHeader('content-type', 'application/json').end(whole)
  response.setHeader('content-type', 'text/event-stream')
  for (let sent = 0; sent < ${STREAM_EVENTS}; sent += 1) {
    response.write(event({ content: 'w' }))
    await pause(${EVENT_MS})
  }
  response.end(event({}, 'stop') + 'data: [DONE]\\n\\n')
}).listen(${PORT})
`

/** Resolves once its Pod is ready and its model too. It is named "quick", and is all of the policy "auto". */
export async function startQuickEngine(cluster: Cluster, namespace: string): Promise<void> {
  await cluster.apply(quickEngineObjects(namespace))
  try {
    await kubectl(cluster, ['-n', namespace, 'rollout', 'status', '--timeout=60s', `deployment/${NAME}`], { timeoutMs: 70_000 })
    await kubectl(cluster, ['-n', namespace, 'wait', '--for=condition=Ready', '--timeout=30s', `llamamodel/${NAME}`, 'routingpolicy/auto'])
  } catch (error) {
    throw new Error(`the engine did not become ready\n${await stateOf(cluster, namespace)}`, { cause: error })
  }
}

function quickEngineObjects(namespace: string): readonly KubeObject[] {
  const metadata = { name: NAME, namespace, labels: { app: NAME } }
  const container = {
    name: 'engine',
    image: 'localhost/node:26',
    imagePullPolicy: 'IfNotPresent',
    command: ['node', '--input-type=module', '--eval', SCRIPT],
    ports: [{ name: 'http', containerPort: PORT }],
    readinessProbe: { httpGet: { path: '/health', port: 'http' }, periodSeconds: 1 },
    resources: { requests: { cpu: '20m', memory: '64Mi' }, limits: { memory: '256Mi' } },
    securityContext: RESTRICTED_CONTAINER,
  }
  const spec = {
    automountServiceAccountToken: false,
    terminationGracePeriodSeconds: 1,
    securityContext: RESTRICTED_POD,
    containers: [container],
  }
  return [
    {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata,
      spec: { selector: { matchLabels: { app: NAME } }, template: { metadata: { labels: { app: NAME } }, spec } },
    },
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata,
      spec: { selector: { app: NAME }, ports: [{ name: 'http', port: PORT, targetPort: 'http' }] },
    },
    {
      apiVersion: 'llamaswap.dev/v1alpha1',
      kind: 'LlamaModel',
      metadata,
      spec: { backends: [{ name: NAME, service: { name: NAME, port: { name: 'http' } }, engine: 'Generic' }] },
    },
    {
      apiVersion: 'llamaswap.dev/v1alpha1',
      kind: 'RoutingPolicy',
      metadata: { name: 'auto', namespace },
      spec: { targets: [{ model: NAME }] },
    },
  ]
}
