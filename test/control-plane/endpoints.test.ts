/** Where requests go, as Pods come and go and EndpointSlices say so, and where they never go, whatever a tenant writes. All programs are real. */
import assert from 'node:assert/strict'
import { createServer } from 'node:net'
import { before, type TestContext, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { asking } from '../support/client.ts'
import { listAt, textAt } from '../support/control-plane/api.ts'
import type { Cluster } from '../support/control-plane/cluster.ts'
import { requirePrivateNetwork } from '../support/control-plane/network.ts'
import type { Pod, PodSpec } from '../support/control-plane/pods.ts'
import { sharedControlPlane } from '../support/control-plane/shared.ts'
import { eventually } from '../support/eventually.ts'
import { engineAt, install, type RunningOperator } from '../support/installation.ts'
import type { RunningProxy } from '../support/proxy.ts'
import { placesOf, problemsOf, say, timed } from './installed-ground.ts'
import { addAddress, startNames } from './private-names.ts'

requirePrivateNetwork()
let cluster: Cluster
before(async () => {
  cluster = await sharedControlPlane()
})

/** A public address, on which this network's tests listen. */
const PUBLIC = '93.184.216.34'
const PUBLIC_TOO = '93.184.216.35'

interface Ground {
  readonly team: string
  readonly other: string
  readonly operator: RunningOperator
  readonly gateways: readonly RunningProxy[]
  /** To be changed by the cases. */
  readonly names: Map<string, readonly string[]>
}

async function prepare(t: TestContext): Promise<Ground> {
  const names = new Map<string, readonly string[]>()
  await startNames(t, names)
  for (const address of [PUBLIC, PUBLIC_TOO]) addAddress(address)
  const [team, other] = [await cluster.namespace(), await cluster.namespace()]
  const installed = await install(cluster, { namespaces: [team, other] })
  const operator = await installed.operator(t)
  const gateways = await Promise.all([1, 2].map(() => installed.gateway(t, { args: ['--anonymous-namespace', team] })))
  return { team, other, operator, gateways, names }
}

const CASES = new Map<string, (t: TestContext, ground: Ground) => Promise<void>>()

test('endpoints of an installation', async (t) => {
  const ground = await prepare(t)
  for (const [name, run] of CASES) await t.test(name, (t) => run(t, ground))
})

/** Ready Pods labelled with the app; names are `${app}-${index}`. */
const pods = ({ team }: Ground, app: string, count: number, more: Partial<PodSpec> = {}): Promise<readonly Pod[]> =>
  Promise.all(
    Array.from({ length: count }, (_, index) => cluster.makePod({ namespace: team, name: `${app}-${index}`, labels: { app }, ...more })),
  )

const service = ({ team }: Ground, name: string, spec: Readonly<Record<string, unknown>> = {}): Promise<unknown> =>
  cluster.apply({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name, namespace: team },
    spec: { selector: { app: name }, ports: [{ port: 80, targetPort: 8000 }], ...spec },
  })

const model = ({ team }: Ground, name: string, ...backends: readonly Readonly<Record<string, unknown>>[]): Promise<unknown> =>
  cluster.apply({
    apiVersion: 'llamaswap.dev/v1alpha1',
    kind: 'LlamaModel',
    metadata: { name, namespace: team },
    spec: { backends: backends.map((backend, index) => ({ name: `b${index}`, ...backend })) },
  })

const ofService = (name: string, more: Readonly<Record<string, unknown>> = {}): Readonly<Record<string, unknown>> => ({
  service: { name, port: { number: 80 }, ...more },
})

/** A slice that nobody but a person writes. */
const handWritten = ({ team }: Ground, service: string, addresses: readonly string[], more: Readonly<Record<string, unknown>> = {}) => ({
  apiVersion: 'discovery.k8s.io/v1',
  kind: 'EndpointSlice',
  metadata: { name: `${service}-by-hand`, namespace: team, labels: { 'kubernetes.io/service-name': service } },
  addressType: 'IPv4',
  ports: [{ name: '', port: 8000, protocol: 'TCP' }],
  endpoints: addresses.map((address) => ({ addresses: [address], conditions: { ready: true } })),
  ...more,
})

const originsOf = (ips: readonly string[], port = 8000): readonly string[] => ips.map((ip) => `http://${ip}:${port}`).sort()

const settled = async ({ team, gateways }: Ground, name: string, origins: readonly string[]): Promise<boolean> => {
  const places = await Promise.all(gateways.map((gateway) => placesOf(gateway, `${team}/${name}`)))
  return places.every((place) => place.origins.join() === [...origins].sort().join())
}

const have = (ground: Ground, name: string, origins: readonly string[]): Promise<void> =>
  eventually(async () => {
    const [gateway] = ground.gateways
    if (await settled(ground, name, origins)) return
    assert.deepEqual(gateway && (await placesOf(gateway, `${ground.team}/${name}`)).origins, [...origins].sort())
    assert.fail('not all gateways have it')
  })

async function answers({ gateways }: Ground, name: string, says: string): Promise<void> {
  for (const gateway of gateways) {
    await eventually(async () => {
      const { status, text } = await say(gateway, name)
      assert.equal(status, 200, text)
      assert.match(text, new RegExp(says.replaceAll('.', '\\.')))
    })
  }
}

async function isTold({ team, operator }: Ground, name: string, code: string): Promise<string> {
  return eventually(async () => {
    const problems = await problemsOf(operator, `LlamaModel ${team}/${name}`)
    const found = problems.find((problem) => problem.code === code)
    assert.ok(found, JSON.stringify(problems))
    return found.message
  })
}

/** Counts connections: one is one too many. */
async function trap(t: TestContext, address: string, port: number): Promise<() => number> {
  let connections = 0
  const server = createServer((socket) => {
    connections += 1
    socket.destroy()
  })
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(port, address, resolve))
  t.after(() => new Promise((resolve) => server.close(resolve)))
  return () => connections
}

CASES.set('a Pod that is unready leaves every proxy, and comes back', async (t, ground) => {
  const [stays, goes] = await pods(ground, 'ready', 2)
  assert.ok(stays && goes)
  await engineAt(t, stays.ip, 8000)
  const left = await engineAt(t, goes.ip, 8000)
  await service(ground, 'ready')
  await model(ground, 'ready', ofService('ready'))
  const both = originsOf([stays.ip, goes.ip])
  await have(ground, 'ready', both)
  const [gone, back]: [number[], number[]] = [[], []]
  for (let round = 0; round < 5; round++) {
    gone.push(
      await timed(
        () => cluster.setPod(ground.team, goes.name, { ready: false }),
        () => settled(ground, 'ready', originsOf([stays.ip])),
      ),
    )
    const before = left.served()
    for (const gateway of ground.gateways) await Promise.all(Array.from({ length: 8 }, () => say(gateway, 'ready')))
    assert.equal(left.served(), before)
    back.push(
      await timed(
        () => cluster.setPod(ground.team, goes.name, { ready: true }),
        () => settled(ground, 'ready', both),
      ),
    )
  }
  t.diagnostic(`gone from both gateways after ${gone.join(', ')} ms, back after ${back.join(', ')} ms`)
})

CASES.set('a Pod that ends takes no new requests and keeps the stream it has; when all end, they are used', async (t, ground) => {
  const [ends] = await pods(ground, 'ending', 1)
  const [gateway] = ground.gateways
  assert.ok(ends && gateway)
  const ending = await engineAt(t, ends.ip, 8000, { everyMs: 50, events: 80 })
  await service(ground, 'ending')
  await model(ground, 'ending', ofService('ending'))
  await answers(ground, 'ending', ends.ip)
  const body = { model: 'ending', stream: true, messages: [{ role: 'user', content: 'hi' }] }
  const streams = ground.gateways.map(({ url }) => asking(url, { body }))
  await Promise.all(streams.map((stream) => stream.until((text) => text.includes(ends.ip))))
  const next = await cluster.makePod({ namespace: ground.team, name: 'ending-next', labels: { app: 'ending' } })
  await engineAt(t, next.ip, 8000)
  await have(ground, 'ending', originsOf([ends.ip, next.ip]))
  const goneMs = await timed(
    () => cluster.setPod(ground.team, ends.name, { terminatingSeconds: 60 }),
    () => settled(ground, 'ending', originsOf([next.ip])),
  )
  const before = ending.served()
  for (const proxy of ground.gateways) for (let i = 0; i < 10; i++) assert.equal((await say(proxy, 'ending')).status, 200)
  assert.equal(ending.served(), before)
  for (const { got } of streams) {
    const { whole, body: text } = await got
    assert.ok(whole)
    assert.match(text, /\[DONE\]/)
    assert.equal(text.split(ends.ip).length - 1, 80)
  }
  t.diagnostic(`an ending Pod takes nothing new after ${goneMs} ms`)
  await cluster.setPod(ground.team, next.name, { terminatingSeconds: 60 })
  await have(ground, 'ending', originsOf([ends.ip, next.ip]))
  assert.equal((await say(gateway, 'ending')).status, 200)
  for (const { name } of [ends, next]) await cluster.setPod(ground.team, name, { ready: false })
  await have(ground, 'ending', [])
  await eventually(async () => assert.ok((await say(gateway, 'ending')).status >= 500))
  for (const { name } of [ends, next]) await cluster.removePod(ground.team, name)
})

CASES.set('ports by name: Pods that give one name to different ports', async (t, ground) => {
  const [low] = await pods(ground, 'named', 1, { ports: [{ name: 'web', port: 8001 }] })
  const high = await cluster.makePod({
    namespace: ground.team,
    name: 'named-high',
    labels: { app: 'named' },
    ports: [{ name: 'web', port: 8002 }],
  })
  assert.ok(low)
  await engineAt(t, low.ip, 8001)
  await engineAt(t, high.ip, 8002)
  const other = { name: 'metrics', port: 9090, targetPort: 9090 }
  await service(ground, 'named', { ports: [{ name: 'http', port: 80, targetPort: 'web' }, other] })
  await model(ground, 'named', { service: { name: 'named', port: { name: 'http' } } })
  await have(ground, 'named', [...originsOf([low.ip], 8001), ...originsOf([high.ip], 8002)])
  await model(ground, 'named', { pods: { selector: { matchLabels: { app: 'named' } }, port: { name: 'web' } } })
  await have(ground, 'named', [...originsOf([low.ip], 8001), ...originsOf([high.ip], 8002)])
  await answers(ground, 'named', low.ip)
  await answers(ground, 'named', high.ip)
  await model(ground, 'named', { service: { name: 'named', port: { name: 'web' } } })
  assert.match(await isTold(ground, 'named', 'ServicePortNotFound'), /"named" has no port "web"/)
})

CASES.set('more Pods than one slice holds, and a slice written by hand beside them', async (t, ground) => {
  const extra = await cluster.makePod({ namespace: ground.team, name: 'many-extra' })
  await service(ground, 'many')
  await model(ground, 'many', ofService('many'))
  const made: Pod[] = []
  for (let block = 0; block < 5; block++) {
    const some = Array.from({ length: 30 }, (_, index) => `many-${block * 30 + index}`)
    made.push(...(await Promise.all(some.map((name) => cluster.makePod({ namespace: ground.team, name, labels: { app: 'many' } })))))
  }
  const ips = made.map(({ ip }) => ip)
  await have(ground, 'many', originsOf(ips))
  const path = `/apis/discovery.k8s.io/v1/namespaces/${ground.team}/endpointslices?labelSelector=kubernetes.io/service-name=many`
  const slices = listAt(await cluster.ask('GET', path), 'items')
  assert.ok(slices.length > 1)
  await cluster.apply(handWritten(ground, 'many', [extra.ip]))
  await have(ground, 'many', originsOf([...ips, extra.ip]))
  const goneMs = await timed(
    () => Promise.all(made.map(({ name }) => cluster.removePod(ground.team, name))),
    () => settled(ground, 'many', originsOf([extra.ip])),
  )
  t.diagnostic(`150 Pods in ${slices.length} slices; all gone ${goneMs} ms after their deletion began`)
  await engineAt(t, extra.ip, 8000)
  await answers(ground, 'many', extra.ip)
})

CASES.set("a Service's own address, where the model asks for it; a headless Service has none", async (t, ground) => {
  const [pod] = await pods(ground, 'own', 1)
  assert.ok(pod)
  await engineAt(t, pod.ip, 8000)
  await service(ground, 'own')
  await model(ground, 'own', ofService('own', { resolution: 'ClusterIP' }))
  const clusterIP = textAt(await cluster.ask('GET', `/api/v1/namespaces/${ground.team}/services/own`), 'spec', 'clusterIP')
  await have(ground, 'own', [`http://${clusterIP}`])
  await answers(ground, 'own', pod.ip)
  await service(ground, 'headless', { clusterIP: 'None', selector: { app: 'own' } })
  await model(ground, 'headless', ofService('headless'))
  await have(ground, 'headless', originsOf([pod.ip]))
  await answers(ground, 'headless', pod.ip)
  await model(ground, 'headless', ofService('headless', { resolution: 'ClusterIP' }))
  assert.match(await isTold(ground, 'headless', 'ServiceHeadless'), /Use resolution: Endpoints/)
})

CASES.set('Pods by their labels, without a Service', async (t, ground) => {
  const [one, two] = await pods(ground, 'labelled', 2)
  assert.ok(one && two)
  await engineAt(t, one.ip, 8000)
  await engineAt(t, two.ip, 8000)
  await model(ground, 'labelled', { pods: { selector: { matchLabels: { app: 'labelled' } }, port: { number: 8000 } } })
  await have(ground, 'labelled', originsOf([one.ip, two.ip]))
  await answers(ground, 'labelled', two.ip)
  const goneMs = await timed(
    () => cluster.setPod(ground.team, two.name, { ready: false }),
    () => settled(ground, 'labelled', originsOf([one.ip])),
  )
  t.diagnostic(`gone after ${goneMs} ms`)
  await cluster.setPod(ground.team, one.name, { terminatingSeconds: 60 })
  await eventually(() => answers(ground, 'labelled', one.ip))
  await cluster.removePod(ground.team, one.name)
  await have(ground, 'labelled', [])
})

CASES.set('the address of a Pod that is gone is no stray one for as long as slices may name it', async (t, ground) => {
  const [stays, goes] = await pods(ground, 'leaving', 2)
  assert.ok(stays && goes)
  await engineAt(t, stays.ip, 8000)
  await service(ground, 'leaving', { selector: undefined })
  await cluster.apply(handWritten(ground, 'leaving', [stays.ip, goes.ip]))
  await model(ground, 'leaving', ofService('leaving'))
  await have(ground, 'leaving', originsOf([stays.ip, goes.ip]))
  const codes = async (): Promise<readonly unknown[]> =>
    (await problemsOf(ground.operator, `LlamaModel ${ground.team}/leaving`)).map(({ code }) => code)
  const lastResorts = (): Promise<readonly boolean[]> =>
    Promise.all(ground.gateways.map(async (one) => (await placesOf(one, `${ground.team}/leaving`)).lastResort !== undefined))
  await cluster.removePod(ground.team, goes.name)
  for (let look = 0; look < 5; look++) {
    assert.deepEqual([await codes(), await lastResorts()], [[], [true, true]])
    await delay(200)
  }
  await isTold(ground, 'leaving', 'AddressForbidden')
  await eventually(async () => assert.deepEqual(await lastResorts(), [false, false]))
  await have(ground, 'leaving', originsOf([stays.ip]))
  await answers(ground, 'leaving', stays.ip)
})

CASES.set('an address, a public name, an own Service by its name, and an ExternalName', async (t, ground) => {
  const [pod] = await pods(ground, 'by-url', 1)
  assert.ok(pod)
  await engineAt(t, pod.ip, 8000)
  await engineAt(t, PUBLIC, 8000, { says: 'from-outside' })
  await service(ground, 'by-url')
  const clusterIP = textAt(await cluster.ask('GET', `/api/v1/namespaces/${ground.team}/services/by-url`), 'spec', 'clusterIP')
  ground.names.set('engines.example.com', [PUBLIC])
  ground.names.set(`by-url.${ground.team}.svc.cluster.local`, [clusterIP])
  await model(ground, 'by-address', { url: `http://${pod.ip}:8000` })
  await answers(ground, 'by-address', pod.ip)
  await model(ground, 'by-name', { url: 'http://engines.example.com:8000/v1' })
  await answers(ground, 'by-name', 'from-outside')
  await model(ground, 'by-service-name', { url: `http://by-url.${ground.team}.svc.cluster.local` })
  await answers(ground, 'by-service-name', pod.ip)
  await service(ground, 'external', { type: 'ExternalName', externalName: 'engines.example.com', selector: undefined, ports: undefined })
  await model(ground, 'external', ofService('external', { port: { number: 8000 } }))
  await answers(ground, 'external', 'from-outside')
})

CASES.set('a Pod with addresses of both families is one endpoint; one with IPv6 alone is reached', async (t, ground) => {
  const six = 'fd00:6::1'
  addAddress(six)
  const pod = await cluster.makePod({ namespace: ground.team, name: 'both', ips: ['10.254.0.1', six] })
  await engineAt(t, pod.ip, 8000)
  await engineAt(t, six, 8000)
  await service(ground, 'both', { selector: undefined })
  const ofSix = handWritten(ground, 'both', [six], { addressType: 'IPv6' })
  await cluster.apply({ ...ofSix, metadata: { ...ofSix.metadata, name: 'both-six' } })
  await model(ground, 'both', ofService('both'))
  await have(ground, 'both', [`http://[${six}]:8000`])
  await answers(ground, 'both', six)
  await cluster.apply(handWritten(ground, 'both', [pod.ip]))
  await have(ground, 'both', originsOf([pod.ip]))
  await answers(ground, 'both', pod.ip)
})

CASES.set("no slice and no name leads to another namespace's Pods, to this host or to the API server", async (t, ground) => {
  const { team, other, gateways } = ground
  const victim = await cluster.makePod({ namespace: other, name: 'victim', labels: { app: 'victim' } })
  const caught = await trap(t, victim.ip, 8000)
  const [own] = await pods(ground, 'guarded', 1)
  assert.ok(own)
  await engineAt(t, own.ip, 8000)
  await cluster.apply({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'victim', namespace: other },
    spec: { selector: { app: 'victim' }, ports: [{ port: 80, targetPort: 8000 }] },
  })
  const apiServer = textAt(await cluster.ask('GET', '/api/v1/namespaces/default/services/kubernetes'), 'spec', 'clusterIP')
  await service(ground, 'guarded')
  await cluster.apply(handWritten(ground, 'guarded', [victim.ip, apiServer, '10.255.0.9']))
  await model(ground, 'guarded', ofService('guarded'))
  await have(ground, 'guarded', originsOf([own.ip]))
  assert.match(await isTold(ground, 'guarded', 'AddressForbidden'), /and 2 more/)
  for (const gateway of gateways) assert.equal((await placesOf(gateway, `${team}/guarded`)).lastResort, undefined)
  await answers(ground, 'guarded', own.ip)
  for (const address of ['127.0.0.1', '169.254.169.254'])
    await assert.rejects(cluster.apply(handWritten(ground, 'guarded', [address])), /may not be in the (loopback|link-local) range/)

  await service(ground, 'stray', { selector: undefined })
  await cluster.apply(handWritten(ground, 'stray', [victim.ip]))
  ground.names.set(`stray.${team}.svc`, [victim.ip])
  ground.names.set(`victim.${other}.svc`, [victim.ip])
  const { port, hostname } = new URL(cluster.url)
  const external = (externalName: string) => ({ type: 'ExternalName', externalName, selector: undefined, ports: undefined })
  await service(ground, 'to-host', external('localhost'))
  await service(ground, 'to-other', external(`victim.${other}.svc.cluster.local`))
  await service(ground, 'to-api', external('kubernetes.default.svc'))
  const forbidden: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
    'by-its-address': ofService('stray', { resolution: 'ClusterIP' }),
    'by-its-name': { url: `http://stray.${team}.svc:80` },
    'of-another': { url: `http://victim.${other}.svc:80` },
    'another-address': { url: `http://${victim.ip}:8000` },
    'this-host': { url: `http://127.0.0.1:${new URL(gateways[0]?.adminUrl ?? '').port}` },
    'this-host-by-name': { url: 'http://localhost:8000' },
    metadata: { url: 'http://169.254.169.254' },
    'api-server': { url: `https://${hostname}:${port}` },
    'api-service': { url: `https://${apiServer}:443` },
    'external-host': ofService('to-host'),
    'external-other': ofService('to-other'),
    'external-api': ofService('to-api', { scheme: 'HTTPS', port: { number: 443 } }),
  }
  for (const [name, backend] of Object.entries(forbidden)) {
    await model(ground, name, backend)
    await isTold(ground, name, 'AddressForbidden')
    for (const gateway of gateways) assert.notEqual((await say(gateway, name)).status, 200, name)
  }
  assert.equal(caught(), 0)
})

CASES.set('a public name that turns to a private address is not followed there', async (t, ground) => {
  const victim = await cluster.makePod({ namespace: ground.other, name: 'rebound' })
  const [gateway] = ground.gateways
  assert.ok(gateway)
  const caught = [await trap(t, victim.ip, 8000), await trap(t, '127.0.0.1', 8000)]
  const engine = await engineAt(t, PUBLIC_TOO, 8000, { says: 'from-outside' })
  ground.names.set('turns.example.com', [PUBLIC_TOO])
  ground.names.set('private.example.com', [victim.ip])
  await model(ground, 'turns', { url: 'http://turns.example.com:8000' })
  await answers(ground, 'turns', 'from-outside')
  await engine.close()
  for (const address of [victim.ip, '127.0.0.1', '169.254.169.254']) {
    ground.names.set('turns.example.com', [address])
    for (const proxy of ground.gateways) {
      const { status, text } = await say(proxy, 'turns')
      assert.ok(status >= 500, `${status} ${text}`)
      assert.doesNotMatch(text, new RegExp(address.replaceAll('.', '\\.')))
    }
  }
  await model(ground, 'private', { url: 'http://private.example.com:8000' })
  await have(ground, 'private', ['http://private.example.com:8000'])
  assert.ok((await say(gateway, 'private')).status >= 500)
  assert.deepEqual(
    caught.map((count) => count()),
    [0, 0],
  )
})
