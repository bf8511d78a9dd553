/**
 * What docs/security.md promises of an installation on a real cluster: Pods are restricted, admin ports are closed, each Pod has the tokens it
 * needs and no other, and planted secrets, prompts and answers are shown nowhere. No NetworkPolicy is enforced here: what is closed is closed
 * by the programs themselves.
 */
import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import { isFields } from '../../operator/validate/problem.ts'
import { type AskOptions, ask, type Got } from '../support/client.ts'
import { listAt, textAt, valueAt } from '../support/control-plane/api.ts'
import { eventually } from '../support/eventually.ts'
import { runApp, startApp } from './support/app.ts'
import { clusterHere, kubectl, restrictedNamespace, serviceUrl } from './support/cluster.ts'
import { ASKS, injectingNamespace } from './support/injecting-namespace.ts'
import { type Installation, install } from './support/install.ts'
import { FAILURES, startTellingEngine, toldTo } from './support/telling-engine.ts'

const NAMESPACE = 'llama-swap'
const TEAM = 'team'
const OTHER = 'other'
const cluster = clusterHere()

/** Planted; none of them may be seen anywhere but where it belongs. */
const CANARY = {
  clientKey: 'canary-client-key-4f1c9a7d2b',
  wrongKey: 'canary-wrong-key-88d0c7aa31',
  shortKey: 'canary-short-5e2',
  backendKey: 'canary-backend-key-0b9e6f3c55',
  secondBackendKey: 'canary-backend-key-71aa90d4e2',
  prompt: 'canaryprompt-the-merger-is-on-friday',
  answer: 'canaryanswer-the-price-is-ninety',
} as const
const { prompt: PROMPT, answer: ANSWER, ...KEYS } = CANARY

let installation: Installation
let url: string

before(async () => {
  installation = await install(cluster, { values: { logLevel: 'debug', sidecars: { enabled: true } } })
  await Promise.all([injectingNamespace(cluster, TEAM), restrictedNamespace(cluster, OTHER)])
  url = await serviceUrl(cluster, NAMESPACE, 'llama-swap')
  await Promise.all([startTellingEngine(cluster, { name: 'engine', namespace: TEAM, says: ANSWER }), cluster.apply(ROUTES)])
  await startApp(cluster, { namespace: TEAM, name: 'app', script: 'setInterval(() => {}, 1000)', annotations: ASKS })
  await kubectl(cluster, ['-n', TEAM, 'wait', '--for=condition=Ready', '--timeout=60s', 'lmod/plain', 'lmod/keyed', 'rpol/auto', 'pod/app'])
})

const ROUTES = `
apiVersion: v1
kind: Secret
metadata: {name: upstream, namespace: ${TEAM}}
stringData: {key: ${KEYS.backendKey}, second: ${KEYS.secondBackendKey}}
---
apiVersion: v1
kind: Secret
metadata: {name: client, namespace: ${TEAM}, labels: {llamaswap.dev/api-key: "true"}}
stringData: {key: ${KEYS.clientKey}, short: ${KEYS.shortKey}}
---
apiVersion: llamaswap.dev/v1alpha1
kind: LlamaModel
metadata: {name: plain, namespace: ${TEAM}}
spec: {backends: [{name: own, service: {name: engine, port: {number: 80}}}], retry: {totalAttempts: 1}}
---
apiVersion: llamaswap.dev/v1alpha1
kind: LlamaModel
metadata: {name: keyed, namespace: ${TEAM}}
spec:
  backends:
  - name: own
    service: {name: engine, port: {number: 80}}
    auth: {type: Header, secretRefs: [{name: upstream, key: key}, {name: upstream, key: second}]}
---
apiVersion: llamaswap.dev/v1alpha1
kind: LlamaModel
metadata: {name: broken, namespace: ${TEAM}}
spec: {backends: [{name: own, service: {name: missing, port: {number: 80}}, auth: {type: Header, secretRefs: [{name: upstream, key: nokey}]}}]}
---
apiVersion: llamaswap.dev/v1alpha1
kind: RoutingPolicy
metadata: {name: auto, namespace: ${TEAM}}
spec: {virtualModels: [auto], targets: [{model: keyed}, {model: plain}], fallback: {enabled: true}}
`

async function podsOf(namespace: string): Promise<readonly unknown[]> {
  return listAt(await cluster.ask('GET', `/api/v1/namespaces/${namespace}/pods`), 'items')
}

const nameOf = (object: unknown): string => textAt(object, 'metadata', 'name')
const labelOf = (pod: unknown, label: string): unknown => valueAt(pod, 'metadata', 'labels', label)
const containersOf = (pod: unknown): readonly unknown[] => [...listAt(pod, 'spec', 'containers'), ...listAt(pod, 'spec', 'initContainers')]

/** The part of an installation that a Pod's container is; undefined: it is somebody else's. */
function partOf(pod: unknown, container: unknown): 'operator' | 'gateway' | 'sidecar' | undefined {
  if (textAt(container, 'name') === 'llama-swap') return 'sidecar'
  const component = labelOf(pod, 'app.kubernetes.io/component')
  return component === 'operator' || component === 'gateway' ? component : undefined
}

interface Part {
  readonly part: 'operator' | 'gateway' | 'sidecar'
  readonly namespace: string
  readonly pod: unknown
  readonly container: string
}

/** Each container of ours that runs. */
async function parts(): Promise<readonly Part[]> {
  const pods = [...(await podsOf(NAMESPACE)), ...(await podsOf(TEAM))]
  return pods.flatMap((pod) =>
    containersOf(pod).flatMap((container) => {
      const part = partOf(pod, container)
      return part === undefined
        ? []
        : [{ part, namespace: textAt(pod, 'metadata', 'namespace'), pod, container: textAt(container, 'name') }]
    }),
  )
}

/** Runs an ES module in a container of ours, which has Node and nothing else. */
const inside = ({ namespace, pod, container }: Part, script: string): Promise<string> =>
  kubectl(cluster, ['-n', namespace, 'exec', nameOf(pod), '-c', container, '--', '/usr/bin/node', '--input-type=module', '--eval', script])

test('all Pods run in namespaces that enforce the restricted standard, with admission on', async () => {
  for (const namespace of [NAMESPACE, TEAM]) {
    const labels = valueAt(await cluster.ask('GET', `/api/v1/namespaces/${namespace}`), 'metadata', 'labels')
    assert.ok(isFields(labels) && labels['pod-security.kubernetes.io/enforce'] === 'restricted')
    const spec = { containers: [{ name: 'a', image: 'localhost/app:1', securityContext: { privileged: true } }] }
    const refused = await cluster.request('POST', `/api/v1/namespaces/${namespace}/pods?dryRun=All`, { metadata: { name: 'a' }, spec })
    assert.equal(refused.status, 403)
    assert.match(textAt(refused.body, 'message'), /violates PodSecurity "restricted/)
  }
  assert.deepEqual((await parts()).map(({ part }) => part).sort(), ['gateway', 'gateway', 'operator', 'operator', 'sidecar'])
})

test('each has the tokens it needs: one for the push, a sidecar one for gateways, the operator its own of the API server', async () => {
  const expected = {
    operator: [['https://kubernetes.default.svc.cluster.local']],
    gateway: [['llama-swap-push']],
    sidecar: [['llama-swap-client'], ['llama-swap-push']],
  }
  for (const one of await parts()) {
    assert.deepEqual((await tokensOf(one)).map(audiencesOf), expected[one.part], one.part)
    assert.notEqual(valueAt(one.pod, 'spec', 'automountServiceAccountToken'), one.part !== 'operator')
  }
})

/** Every token in a container's file systems. */
const TOKEN_TEXTS = `
import { readdirSync, readFileSync, statSync } from 'node:fs'
const mounts = readFileSync('/proc/mounts', 'utf8').split('\\n').map((line) => line.split(' ')[1] ?? '').filter((path) => /^\\/(var|run|tmp)\\//.test(path))
const files = mounts.flatMap((mount) => readdirSync(mount).sort().map((name) => mount + '/' + name)).filter((path) => statSync(path).isFile())
const texts = files.map((path) => readFileSync(path, 'utf8').trim()).filter((text) => /^eyJ[\\w-]+\\.[\\w-]+\\.[\\w-]+$/.test(text))
console.log(JSON.stringify(texts))
`

/** Of a token. */
function audiencesOf(token: string): unknown {
  const claims: unknown = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString())
  return valueAt(claims, 'aud')
}

test('the account of gateways may do nothing', async () => {
  const may = (account: string): Promise<string> =>
    kubectl(cluster, ['auth', 'can-i', '--list', '--no-headers', '-n', NAMESPACE, `--as=system:serviceaccount:${account}`])
  assert.equal(await may(`${NAMESPACE}:llama-swap-gateway`), await may(`${NAMESPACE}:default`))
})

test('the operator never asks for what it may not', async () => {
  for (const { part, pod } of await parts()) {
    if (part !== 'operator') continue
    const metrics = await (await fetch(`http://${textAt(pod, 'status', 'podIP')}:9090/metrics`)).text()
    assert.match(metrics, /^rest_client_requests_total\{code="200"/m)
    assert.doesNotMatch(metrics, /^rest_client_requests_total\{code="(401|403)"/m)
  }
})

test('admin ports answer in their own Pod only, and there to local names only', async () => {
  const open = { operator: [8443, 9090, 9443], gateway: [8080, 9090], sidecar: [19090] }
  const ours = await parts()
  const targets = ours.map(({ part, pod }) => ({ part, ip: textAt(pod, 'status', 'podIP') }))
  const { output } = await runApp(cluster, { namespace: OTHER, script: KNOCK, env: { TARGETS: JSON.stringify(targets) } })
  const found: unknown = JSON.parse(output)
  for (const [index, { part }] of targets.entries()) assert.deepEqual(listAt({ found }, 'found')[index], open[part], part)
  for (const one of ours) {
    const answers: unknown = JSON.parse(
      await inside(one, LOCALLY(one.part === 'sidecar' ? 18081 : 8081, one.part === 'operator' ? 'state' : 'table')),
    )
    assert.deepEqual(answers, [200, 403, 403], one.part)
  }
})

/** Which ports of each target take a connection. */
const KNOCK = `
import { connect } from 'node:net'
const PORTS = [8080, 8081, 8443, 9090, 9229, 9443, 18080, 18081, 19090]
const takes = (host, port) => new Promise((resolve) => {
  const socket = connect({ host, port, timeout: 2000 }, () => { socket.destroy(); resolve(true) })
  socket.on('error', () => resolve(false)).on('timeout', () => { socket.destroy(); resolve(false) })
})
const open = async ({ ip }) => (await Promise.all(PORTS.map(async (port) => [port, await takes(ip, port)]))).filter(([, is]) => is).map(([port]) => port)
console.log(JSON.stringify(await Promise.all(JSON.parse(process.env.TARGETS).map(open))))
`

/** Statuses of the admin port asked by its own name, by another Host, and by a page of another Origin. */
const LOCALLY = (port: number, page: string): string => `
import { request } from 'node:http'
const status = (headers) => new Promise((resolve) => request({ port: ${port}, path: '/debug/${page}', headers }, (answer) => { resolve(answer.statusCode); answer.resume() }).end())
console.log(JSON.stringify([await status({}), await status({ host: 'rebound.example:${port}' }), await status({ origin: 'https://page.example' })]))
`

test('planted keys, prompts and answers are shown nowhere', async (t) => {
  const toClients = await everything()
  await t.test('no client sees a key, nor an answer in an error', () => {
    hides(toClients.map(({ body, rawHeaders }) => [...rawHeaders, body].join('\n')).join('\n'), Object.values(KEYS))
    const errors = toClients.filter(({ status }) => status >= 400).map(({ body }) => body)
    assert.ok(errors.length >= 6, String(errors.length))
    hides(errors.join('\n'), [ANSWER])
  })
  const secrets = [...Object.values(CANARY), ...(await tokens()), await pushKey(), installation.key]
  for (const [what, { text, has }] of Object.entries(await shown()))
    await t.test(what, () => {
      assert.match(text, has)
      hides(text, secrets)
    })
})

test('the search finds what is shown, also in base64', () => {
  assert.throws(() => hides(`a ${PROMPT} b`, [PROMPT]), /is shown/)
  assert.throws(() => hides(btoa(KEYS.backendKey), Object.values(KEYS)), /is shown/)
  hides('nothing', Object.values(CANARY))
})

function hides(text: string, secrets: readonly string[]): void {
  for (const secret of secrets) {
    const forms = [secret, Buffer.from(secret).toString('base64').replace(/=+$/, '').slice(0, -2), encodeURIComponent(secret)]
    for (const form of forms) {
      const at = text.indexOf(form)
      assert.equal(at, -1, `${secret.slice(0, 16)}… is shown: ${text.slice(Math.max(0, at - 200), at + 60)}`)
    }
  }
}

/** All ways in which requests end, each with the prompt; at a gateway, and through the sidecar. */
async function everything(): Promise<readonly Got[]> {
  const messages = (more: string): unknown => [{ role: 'user', content: `${PROMPT} ${more}` }]
  const chat = (model: string, more = '', fields: object = {}): AskOptions => ({ body: { model, messages: messages(more), ...fields } })
  const key = { authorization: `Bearer ${KEYS.clientKey}` }
  const debug = { ...key, 'x-llama-swap-debug': '1' }
  const asked: readonly AskOptions[] = [
    { ...chat('keyed'), headers: debug },
    { ...chat('keyed', '', { stream: true }), headers: debug },
    { ...chat('plain', FAILURES.cut, { stream: true }), headers: key },
    { ...chat('keyed', FAILURES.unauthorized), headers: key },
    { ...chat('auto', FAILURES.unauthorized), headers: debug },
    { ...chat('plain', FAILURES.broken), headers: key },
    { ...chat('plain', FAILURES.bad), headers: key },
    { ...chat('broken'), headers: key },
    { ...chat('missing'), headers: key },
    { ...chat('plain', '', { temperature: { not: 'a number' } }), headers: key },
    { ...chat('keyed'), headers: { authorization: `Bearer ${KEYS.wrongKey}` } },
    { ...chat('keyed'), headers: { 'x-api-key': KEYS.shortKey } },
    { ...chat('auto'), path: '/v1/route:explain', headers: debug },
    { path: '/v1/messages', headers: { 'x-api-key': KEYS.clientKey }, body: { model: 'keyed', max_tokens: 9, messages: messages('') } },
    { path: '/v1/chat/completions', headers: key, body: `{"model": "plain", "messages": "${PROMPT}` },
    { path: `/v1/elsewhere?key=${KEYS.wrongKey}`, headers: key, body: { model: 'keyed', input: PROMPT } },
  ]
  const { broken, cut, unauthorized } = FAILURES
  const [plain, keyed, , , absent] = await throughSidecar([
    ['plain', ''],
    ['keyed', ''],
    ['plain', broken],
    ['plain', cut],
    ['missing', ''],
  ])
  assert.deepEqual([plain, keyed, absent], ['200', '200', '404'])
  const answers: Got[] = []
  for (const one of asked) answers.push(await ask(url, one))
  assert.equal(answers[0]?.status, 200)
  await throughSidecar([['keyed', unauthorized]])
  const credentials = new Set((await toldTo(cluster, { name: 'engine', namespace: TEAM })).map(({ authorization }) => authorization))
  assert.deepEqual([...credentials].sort(), [`Bearer ${KEYS.backendKey}`, `Bearer ${KEYS.secondBackendKey}`, 'undefined'])
  return answers
}

/** The app's own container asks, without a key: each model, with more in its prompt. Resolves with the statuses. */
async function throughSidecar(cases: readonly (readonly [model: string, more: string])[]): Promise<readonly string[]> {
  const script = `
    for (const [model, more] of ${JSON.stringify(cases)}) {
      const messages = [{ role: 'user', content: '${PROMPT} ' + more }]
      const answer = await fetch(process.env.OPENAI_BASE_URL + '/chat/completions', {
        method: 'POST', headers: { 'content-type': 'application/json', 'x-llama-swap-debug': '1' }, body: JSON.stringify({ model, messages, stream: true }) })
      await answer.text().catch(() => '')
      console.log(answer.status)
    }`
  const exec = ['-n', TEAM, 'exec', 'app', '-c', 'app', '--', 'node', '--input-type=module', '--eval', script]
  return (await kubectl(cluster, exec)).split('\n')
}

interface Shown {
  readonly text: string
  /** What tells that it is the right text, and whole. */
  readonly has: RegExp
}

/** All that people and programs get to see of an installation, but for Secrets themselves. */
async function shown(): Promise<Readonly<Record<string, Shown>>> {
  const ours = await parts()
  const ofEach = async (seen: (part: Part) => Promise<string>): Promise<string> => (await Promise.all(ours.map(seen))).join('\n')
  const asked = async (...paths: readonly string[]): Promise<string> =>
    JSON.stringify(await Promise.all(paths.map((path) => cluster.ask('GET', path))))
  await eventually(async () =>
    assert.match(await asked('/apis/events.k8s.io/v1/events'), /ResolvedRefs|SecretNotFound|BackendNotFound|ServiceNotFound/),
  )
  return {
    logs: { text: await ofEach(logsOf), has: /"msg":"request"/ },
    metrics: { text: await ofEach(metricsOf), has: /^llama_swap_requests_total\{/m },
    'admin pages': { text: await ofEach(pagesOf), has: /"team\/keyed"/ },
    Pods: { text: JSON.stringify(ours.map(({ pod }) => pod)), has: /"llama-swap-operator"/ },
    events: { text: await asked('/api/v1/events', '/apis/events.k8s.io/v1/events'), has: /"broken"/ },
    'conditions of models and policies': {
      text: await asked('/apis/llamaswap.dev/v1alpha1/llamamodels', '/apis/llamaswap.dev/v1alpha1/routingpolicies'),
      has: /"Programmed"/,
    },
    'ConfigMaps and Leases': {
      text: await asked(`/api/v1/namespaces/${NAMESPACE}/configmaps`, '/apis/coordination.k8s.io/v1/leases'),
      has: /"llama-swap-push-ca"[\s\S]*"llama-swap-scope"/,
    },
    'what helm prints': { text: `${installation.notes}\n${await installation.helm('get', 'notes')}`, has: /llama-swap-first-key/ },
  }
}

const logsOf = ({ namespace, pod, container }: Part): Promise<string> =>
  kubectl(cluster, ['-n', namespace, 'logs', nameOf(pod), '-c', container])

const metricsOf = async ({ part, pod }: Part): Promise<string> =>
  (await fetch(`http://${textAt(pod, 'status', 'podIP')}:${part === 'sidecar' ? 19090 : 9090}/metrics`)).text()

function pagesOf(one: Part): Promise<string> {
  const pages = one.part === 'operator' ? ['state'] : ['table', 'endpoints']
  const port = one.part === 'sidecar' ? 18081 : 8081
  return inside(one, pages.map((page) => `console.log(await (await fetch('http://127.0.0.1:${port}/debug/${page}')).text())`).join('\n'))
}

/** As they lie in the Pods' file systems at the moment. */
async function tokens(): Promise<readonly string[]> {
  const all = (await Promise.all((await parts()).map(tokensOf))).flat()
  assert.equal(all.length, 2 + 2 + 2)
  return all
}

async function tokensOf(one: Part): Promise<readonly string[]> {
  const texts: unknown = JSON.parse(await inside(one, TOKEN_TEXTS))
  return listAt({ texts }, 'texts').map(String)
}

/** A line in the middle of the key of the push's authority. */
async function pushKey(): Promise<string> {
  const secret = await cluster.ask('GET', `/api/v1/namespaces/${NAMESPACE}/secrets/llama-swap-push-ca`)
  const texts = Object.values(Object(valueAt(secret, 'data'))).map((data) => Buffer.from(String(data), 'base64').toString())
  const [, line] = /PRIVATE KEY-----\n(.+)\n/.exec(texts.join('\n').replaceAll('\\n', '\n')) ?? []
  assert.ok(line !== undefined && line.length > 40)
  return line
}
