/**
 * The chart's NetworkPolicies, as their specification says what they mean (network-policy.ts), for every file in ci/: each flow that the
 * installation needs passes, and admin and push ports are closed to all others. No cluster of the tests enforces a NetworkPolicy: what
 * a plugin makes of these is its own affair, what they say is checked here.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { load } from 'js-yaml'
import { isFields } from '../../operator/validate/problem.ts'
import { listAt, textAt, valueAt } from '../support/control-plane/api.ts'
import type { Labels } from '../support/label-selector.ts'
import { type NamedPort, type Outside, type Pod, type Protocol, passes } from './network-policy.ts'
import { CI_CASES, ciFile, kindOf, NAMESPACE, nameOf, objectNamed, render } from './render.ts'

const ADMIN = 8081
const PUSH = 8443
const METRICS = 9090
/** What might listen in a Pod of ours, some day or by mistake. */
const PORTS = [22, 80, 443, 8000, 8080, ADMIN, PUSH, METRICS, 9229, 9443, 10250]

const API_SERVER: Outside = { kind: 'Outside', ip: '192.0.2.10' }
const API_SERVICE: Outside = { kind: 'Outside', ip: '10.96.0.1' }
const STRANGER: Outside = { kind: 'Outside', ip: '203.0.113.9' }
const PROVIDER: Outside = { kind: 'Outside', ip: '203.0.113.1' }
const METADATA: Outside = { kind: 'Outside', ip: '169.254.169.254' }
const NODE_LOCAL_DNS: Outside = { kind: 'Outside', ip: '169.254.20.10' }

/** Who the values of a case let in and where they let out, if not everybody and everywhere. */
interface Chosen {
  /** The only namespace of clients. */
  readonly clients?: NamespaceOf
  /** The only way out of gateways. */
  readonly engines?: NamespaceOf
  readonly monitoring?: true
  readonly apiServer?: true
  /** Who may ask the webhook is closed too. */
  readonly webhook?: true
}
interface NamespaceOf {
  readonly name: string
  readonly labels?: Labels
}
const FRONT: NamespaceOf = { name: 'front', labels: { 'llm-clients': 'true' } }
const CHOSEN: Readonly<Record<string, Chosen>> = {
  ingress: { clients: { name: 'ingress-nginx' } },
  sidecars: { clients: FRONT, webhook: true },
  production: {
    clients: FRONT,
    engines: { name: 'gpus', labels: { 'llm-engines': 'true' } },
    monitoring: true,
    apiServer: true,
  },
}

let nextAddress = 10
function podIn({ name, labels = {} }: NamespaceOf, podLabels: Labels = {}, ports: readonly NamedPort[] = []): Pod {
  const namespaceLabels = { 'kubernetes.io/metadata.name': name, ...labels }
  return { kind: 'Pod', namespace: name, namespaceLabels, labels: podLabels, ip: `10.244.0.${nextAddress++}`, ports }
}

const textMap = (value: unknown): Labels =>
  isFields(value) ? Object.fromEntries(Object.entries(value).map(([key, text]) => [key, String(text)])) : {}

function podOf(deployment: unknown): Pod {
  const template = valueAt(deployment, 'spec', 'template')
  const ports = listAt(template, 'spec', 'containers', 0, 'ports').map((port) => ({
    name: textAt(port, 'name'),
    port: Number(valueAt(port, 'containerPort')),
  }))
  return podIn({ name: NAMESPACE }, textMap(valueAt(template, 'metadata', 'labels')), ports)
}

const SIDECAR = { 'llamaswap.dev/sidecar': 'true' }
const INJECTED: Labels = { 'llamaswap.dev/inject': 'true' }

async function worldOf(name: string) {
  const values: unknown = load(readFileSync(ciFile(name), 'utf8')) ?? {}
  const chosen = CHOSEN[name] ?? {}
  const objects = await render({ files: [ciFile(name)] })
  const [gateway, operator] = ['gateway', 'operator'].map((part) =>
    podOf(objectNamed(objects, `Deployment ${NAMESPACE}/llama-swap-${part}`)),
  )
  if (gateway === undefined || operator === undefined) throw new Error('two Deployments')
  const webhook = operator.ports.filter(({ name }) => name === 'webhook').map(({ port }) => port)
  const named = listAt(values, 'sidecars', 'namespaces').map((namespace) => ({ name: String(namespace) }))
  const withSidecars = webhook.length > 0 ? [...named, { name: 'opted-in', labels: INJECTED }] : named
  const tester = objects.find((object) => nameOf(object).endsWith('/llama-swap-test'))
  return {
    chosen,
    policies: objects.filter((object) => kindOf(object) === 'NetworkPolicy'),
    gateway,
    operator,
    /** Ports of the webhook: one, or none where sidecars are not injected. */
    webhook,
    sidecars: withSidecars.map((namespace) => podIn(namespace, SIDECAR)),
    neighbours: withSidecars.map((namespace) => podIn(namespace, { app: 'no-sidecar' })),
    tester:
      tester === undefined
        ? undefined
        : podIn({ name: textAt(tester, 'metadata', 'namespace') }, textMap(valueAt(tester, 'metadata', 'labels'))),
    client: podIn(chosen.clients ?? { name: 'shop' }, { app: 'shop' }),
    prometheus: podIn({ name: 'monitoring' }, { app: 'prometheus' }),
    engine: podIn(chosen.engines ?? { name: 'team-a' }, { app: 'engine' }),
    dns: podIn({ name: 'kube-system' }, { 'k8s-app': 'kube-dns' }),
    stranger: podIn({ name: 'elsewhere' }, { app: 'shop' }),
    pretender: podIn({ name: 'elsewhere' }, { ...gateway.labels, ...SIDECAR }),
  }
}
type World = Awaited<ReturnType<typeof worldOf>>
type End = Pod | Outside
type NeededFlow = readonly [from: End, to: End, port: number, protocol?: Protocol]

/** As sentences, so that a failure says what would break. */
function neededFlows(world: World): ReadonlyMap<string, readonly NeededFlow[]> {
  const { gateway, operator, chosen, sidecars, tester, client, prometheus, engine, dns, webhook } = world
  return new Map<string, readonly NeededFlow[]>([
    ['clients ask gateways', [[client, gateway, 8080]]],
    ['clients from outside ask gateways', chosen.clients === undefined ? [[STRANGER, gateway, 8080]] : []],
    ['helm test asks a gateway', tester === undefined ? [] : [[tester, gateway, 8080]]],
    ['sidecars ask gateways for models behind a credential', sidecars.map((sidecar) => [sidecar, gateway, 8080])],
    ['proxies dial operators', [gateway, ...sidecars].map((proxy) => [proxy, operator, PUSH])],
    ['Prometheus scrapes', [gateway, operator].map((pod) => [prometheus, pod, METRICS])],
    ['the API server asks the webhook', webhook.map((port) => [API_SERVER, operator, port])],
    ['operators ask the API server', [[operator, API_SERVER, 6443]]],
    ['… also where its Service is judged', chosen.apiServer ? [] : [[operator, API_SERVICE, 443]]],
    ['gateways ask engines', [[gateway, engine, 8000]]],
    ['gateways ask providers', chosen.engines === undefined ? [[gateway, PROVIDER, 443]] : []],
    ['names are resolved', [gateway, operator].flatMap((pod) => resolving(pod, [dns, NODE_LOCAL_DNS]))],
  ])
}

const resolving = (pod: Pod, servers: readonly End[]): readonly NeededFlow[] =>
  servers.flatMap((server): readonly NeededFlow[] => [
    [pod, server, 53, 'UDP'],
    [pod, server, 53, 'TCP'],
  ])

const isOpen = (world: World, [from, to, port, protocol]: NeededFlow, blocksHavePods: boolean): boolean =>
  passes(world.policies, { from, to, port, ...(protocol !== undefined && { protocol }) }, blocksHavePods)

/** Ports of `to` that `from` reaches in at least one reading. */
const reached = (world: World, from: End, to: Pod): readonly number[] => PORTS.filter((port) => isOpen(world, [from, to, port], true))

for (const name of CI_CASES) {
  test(`${name}: every flow that is needed passes`, async () => {
    const world = await worldOf(name)
    for (const [sentence, flows] of neededFlows(world))
      for (const flow of flows) assert.ok(isOpen(world, flow, false), `${sentence}: ${JSON.stringify(flow)}`)
  })

  test(`${name}: a kubelet's probes and port-forwards come from the Pod's own node, which no policy keeps away`, async () => {
    const { policies, gateway, operator } = await worldOf(name)
    for (const to of [gateway, operator]) assert.ok(passes(policies, { from: { kind: 'OwnNode' }, to, port: METRICS }, false))
  })

  test(`${name}: nobody reaches an admin port, and only proxies the push`, async () => {
    const world = await worldOf(name)
    if (world.policies.length === 0) return assert.equal(name, 'load-balancer', 'its values switch them off')
    assert.equal(world.policies.length, 2)
    const { gateway, operator, chosen, sidecars, tester, client, prometheus, engine, dns, stranger, pretender, neighbours } = world
    const others: readonly End[] = [client, prometheus, engine, dns, stranger, pretender, ...neighbours, STRANGER, API_SERVER]
    const metrics = (from: End): readonly number[] => (chosen.monitoring && from !== prometheus ? [] : [METRICS])
    const http = (from: End): readonly number[] => (chosen.clients && from !== client ? [] : [8080])
    const webhook = (from: End): readonly number[] => (chosen.webhook && from !== API_SERVER ? [] : world.webhook)
    for (const from of others) {
      const who = JSON.stringify(from)
      assert.deepEqual(reached(world, from, gateway), [...http(from), ...metrics(from)], `gateway from ${who}`)
      assert.deepEqual(reached(world, from, operator), [...metrics(from), ...webhook(from)], `operator from ${who}`)
    }
    for (const from of [gateway, ...sidecars]) assert.deepEqual(reached(world, from, operator), [PUSH, ...metrics(from), ...webhook(from)])
    const ours: readonly End[] = [gateway, operator, ...sidecars, ...(tester === undefined ? [] : [tester])]
    for (const from of ours) for (const to of [gateway, operator]) assert.ok(!reached(world, from, to).includes(ADMIN))
  })

  test(`${name}: gateways do not reach metadata addresses, operators nothing but the API server and names`, async () => {
    const world = await worldOf(name)
    if (world.policies.length === 0) return
    const { gateway, operator, engine, chosen, stranger } = world
    assert.deepEqual(
      PORTS.filter((port) => isOpen(world, [gateway, METADATA, port], true)),
      [],
    )
    for (const to of [engine, stranger, gateway, PROVIDER]) {
      const open = [80, 443, 6443, 8000, 8080, 11434].filter((port) => isOpen(world, [operator, to, port], true))
      assert.deepEqual(open, chosen.apiServer || to === gateway ? [] : [443, 6443], JSON.stringify(to))
    }
  })
}

test('values that choose nothing else let clients in from everywhere, and those that do from nowhere else', async () => {
  const [open, closed] = await Promise.all([worldOf('default'), worldOf('production')])
  assert.ok(isOpen(open, [open.stranger, open.gateway, 8080], false))
  assert.ok(!isOpen(closed, [closed.stranger, closed.gateway, 8080], true))
  assert.ok(!isOpen(closed, [closed.gateway, PROVIDER, 443], true), 'its values let gateways go to engines only')
})
