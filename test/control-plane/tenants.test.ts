/** Whose request it is and what it may use: keys, tokens and credentials that change, teams that share a gateway, names that two want. */
import assert from 'node:assert/strict'
import { before, type TestContext, test } from 'node:test'
import { asking } from '../support/client.ts'
import { listAt, textAt, valueAt } from '../support/control-plane/api.ts'
import type { Cluster } from '../support/control-plane/cluster.ts'
import { type ControlPlane, startControlPlane } from '../support/control-plane/control-plane.ts'
import { requirePrivateNetwork } from '../support/control-plane/network.ts'
import { sharedControlPlane } from '../support/control-plane/shared.ts'
import { eventually } from '../support/eventually.ts'
import { engineAt, install, type PodEngine, type PodEngineOptions, type RunningOperator } from '../support/installation.ts'
import type { RunningProxy } from '../support/proxy.ts'
import { listed, problemsOf, say, timed } from './installed-ground.ts'

requirePrivateNetwork()
let cluster: Cluster
before(async () => {
  cluster = await sharedControlPlane()
})

const KEY = 'a-key-that-is-long-enough-to-be-one'

interface Ground {
  readonly cluster: Cluster
  readonly red: string
  readonly blue: string
  readonly operator: RunningOperator
  readonly gateway: RunningProxy
}

async function prepare(t: TestContext, cluster: Cluster, scope: 'namespaced' | 'cluster-wide'): Promise<Ground> {
  const [red, blue] = [await cluster.namespace({ team: 'red' }), await cluster.namespace({ team: 'blue' })]
  const installed = await install(cluster, scope === 'namespaced' ? { namespaces: [red, blue] } : {})
  const operator = await installed.operator(t)
  return { cluster, red, blue, operator, gateway: await installed.gateway(t, { auth: 'Required' }) }
}

type Case = (t: TestContext, ground: Ground) => Promise<void>
const NAMESPACED = new Map<string, Case>()
const CLUSTER_WIDE = new Map<string, Case>()

test('tenants of a namespaced installation', async (t) => {
  const ground = await prepare(t, cluster, 'namespaced')
  for (const [name, run] of NAMESPACED) await t.test(name, (t) => run(t, ground))
})

test('tenants of a cluster-wide installation', async (t) => {
  const plane: ControlPlane = await startControlPlane()
  t.after(() => plane.stop())
  await t.test('its programs', async (t) => {
    const ground = await prepare(t, plane, 'cluster-wide')
    for (const [name, run] of CLUSTER_WIDE) await t.test(name, (t) => run(t, ground))
  })
})

const LABELLED = { 'llamaswap.dev/api-key': 'true' }

const secret = (cluster: Cluster, namespace: string, name: string, entries: Readonly<Record<string, string>>, labels = {}) =>
  cluster.apply({
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name, namespace, labels },
    data: Object.fromEntries(Object.entries(entries).map(([key, value]) => [key, Buffer.from(value).toString('base64')])),
  })

const model = (cluster: Cluster, namespace: string, name: string, spec: Readonly<Record<string, unknown>>) =>
  cluster.apply({ apiVersion: 'llamaswap.dev/v1alpha1', kind: 'LlamaModel', metadata: { name, namespace }, spec })

const modelPath = (namespace: string, name: string): string => `/apis/llamaswap.dev/v1alpha1/namespaces/${namespace}/llamamodels/${name}`

interface Placed extends PodEngine {
  readonly url: string
  /** What it was sent as `authorization`, in order. */
  readonly credentials: readonly (string | undefined)[]
}

/** An engine in a Pod of the namespace. */
async function engineIn(t: TestContext, cluster: Cluster, namespace: string, name: string, options?: PodEngineOptions): Promise<Placed> {
  const { ip } = await cluster.makePod({ namespace, name })
  const engine = await engineAt(t, ip, 8000, { says: `from-${name}`, ...options })
  const credentials: (string | undefined)[] = []
  engine.server.prependListener('request', ({ method, headers }) => {
    if (method === 'POST') credentials.push(headers.authorization)
  })
  return { ...engine, url: `http://${ip}:8000`, credentials }
}

const clientToken = (cluster: Cluster, namespace: string, audience = 'llama-swap-client'): Promise<string> =>
  cluster.token({ namespace, serviceAccount: 'app', audience })

async function answers(gateway: RunningProxy, name: string, key: string, says: string): Promise<void> {
  await eventually(async () => {
    const { status, text } = await say(gateway, name, key)
    assert.equal(status, 200, text)
    assert.match(text, new RegExp(says))
  })
}

async function refuses(gateway: RunningProxy, name: string, key: string, status: number): Promise<void> {
  await eventually(async () => {
    const said = await say(gateway, name, key)
    assert.equal(said.status, status, said.text)
  })
}

/** The reason of a condition of a model. */
async function reasonOf(cluster: Cluster, namespace: string, name: string, type: string): Promise<string> {
  const conditions = listAt(await cluster.ask('GET', modelPath(namespace, name)), 'status', 'conditions')
  const found = conditions.find((condition) => valueAt(condition, 'type') === type)
  return found === undefined ? 'none' : `${textAt(found, 'status')} ${textAt(found, 'reason')}`
}

NAMESPACED.set('a client key is good within 2 s, and the one it replaces is not', async (t, { red, gateway }) => {
  const { url } = await engineIn(t, cluster, red, 'keyed')
  await model(cluster, red, 'keyed', { backends: [{ name: 'b', url }] })
  await secret(cluster, red, 'rotating', { key: `${KEY}-0` }, LABELLED)
  await answers(gateway, 'keyed', `${KEY}-0`, 'from-keyed')
  const times: number[] = []
  for (let round = 1; round <= 4; round++) {
    const ms = await timed(
      () => secret(cluster, red, 'rotating', { key: `${KEY}-${round}` }, LABELLED),
      async () =>
        (await say(gateway, 'keyed', `${KEY}-${round}`)).status === 200 &&
        (await say(gateway, 'keyed', `${KEY}-${round - 1}`)).status === 401,
    )
    times.push(ms)
  }
  const goneMs = await timed(
    () => cluster.ask('DELETE', `/api/v1/namespaces/${red}/secrets/rotating`),
    async () => (await say(gateway, 'keyed', `${KEY}-4`)).status === 401,
  )
  t.diagnostic(`rotated after ${times.join(', ')} ms; deleted after ${goneMs} ms`)
  assert.ok(Math.max(...times, goneMs) < 2000)
})

NAMESPACED.set("a backend's credential is used within 2 s of its change", async (t, { red, gateway }) => {
  const { url, credentials } = await engineIn(t, cluster, red, 'rented')
  await secret(cluster, red, 'of-app', { key: `${KEY}-rented` }, LABELLED)
  await secret(cluster, red, 'provider', { key: 'upstream-0' })
  const auth = { type: 'Header', secretRefs: [{ name: 'provider', key: 'key' }] }
  await model(cluster, red, 'rented', { backends: [{ name: 'b', url, auth }] })
  await answers(gateway, 'rented', `${KEY}-rented`, 'from-rented')
  const times: number[] = []
  for (let round = 1; round <= 4; round++) {
    const ms = await timed(
      () => secret(cluster, red, 'provider', { key: `upstream-${round}` }),
      async () => {
        assert.equal((await say(gateway, 'rented', `${KEY}-rented`)).status, 200)
        return credentials.at(-1) === `Bearer upstream-${round}`
      },
    )
    times.push(ms)
  }
  t.diagnostic(`rotated after ${times.join(', ')} ms`)
  assert.ok(Math.max(...times) < 2000)
  assert.ok(credentials.every((one) => one?.startsWith('Bearer upstream-')))
})

NAMESPACED.set('a Secret that is missing is named, and the other backends go on', async (t, { red, operator, gateway }) => {
  const [poor, rich] = [await engineIn(t, cluster, red, 'poor'), await engineIn(t, cluster, red, 'rich')]
  await secret(cluster, red, 'of-app', { key: `${KEY}-missing` }, LABELLED)
  const auth = { type: 'Header', secretRefs: [{ name: 'not-there', key: 'key' }] }
  await model(cluster, red, 'missing', {
    backends: [
      { name: 'rich', url: rich.url, auth },
      { name: 'poor', url: poor.url },
    ],
  })
  const told = (code: string, words: RegExp): Promise<void> =>
    eventually(async () => {
      const found = (await problemsOf(operator, `LlamaModel ${red}/missing`)).find((problem) => problem.code === code)
      assert.match(found?.message ?? '', words)
      assert.equal(found?.at, 'spec.backends[0].auth.secretRefs[0]')
      assert.match(await reasonOf(cluster, red, 'missing', 'ResolvedRefs'), /^False/)
    })
  await told('SecretNotFound', /There is no Secret "not-there"/)
  await answers(gateway, 'missing', `${KEY}-missing`, 'from-poor')
  await secret(cluster, red, 'not-there', { other: 'upstream' })
  await told('SecretKeyNotFound', /"not-there" has no entry "key"/)
  for (let i = 0; i < 10; i++) assert.match((await say(gateway, 'missing', `${KEY}-missing`)).text, /from-poor/)
  await secret(cluster, red, 'not-there', { key: 'upstream' })
  await answers(gateway, 'missing', `${KEY}-missing`, 'from-rich')
  await eventually(async () => assert.match(await reasonOf(cluster, red, 'missing', 'ResolvedRefs'), /^True/))
  assert.deepEqual(await problemsOf(operator, `LlamaModel ${red}/missing`), [])
})

NAMESPACED.set("two teams on one gateway neither use nor see each other's models, nor take each other's names", async (t, ground) => {
  const { red, blue, gateway } = ground
  const [ofRed, ofBlue] = [await engineIn(t, cluster, red, 'red-engine'), await engineIn(t, cluster, blue, 'blue-engine')]
  const [redToken, blueToken] = [await clientToken(cluster, red), await clientToken(cluster, blue)]
  await model(cluster, red, 'private-red', { aliases: [{ name: 'same' }], backends: [{ name: 'b', url: ofRed.url }] })
  await model(cluster, blue, 'private-blue', { aliases: [{ name: 'blues' }], backends: [{ name: 'b', url: ofBlue.url }] })
  await answers(gateway, 'private-red', redToken, 'from-red-engine')
  await answers(gateway, 'private-blue', blueToken, 'from-blue-engine')
  for (const name of ['private-red', `${red}/private-red`, 'same']) await refuses(gateway, name, blueToken, 404)
  const [seenByRed, seenByBlue] = [await listed(gateway, redToken), await listed(gateway, blueToken)]
  assert.ok(seenByRed.includes('private-red') && seenByRed.includes('same'))
  assert.deepEqual([...seenByBlue].sort(), ['blues', 'private-blue'])
  assert.equal(seenByRed.includes('private-blue'), false)

  const spec = { modelName: 'same', access: { from: 'All' }, backends: [{ name: 'b', url: ofBlue.url }] }
  await model(cluster, blue, 'grabs', spec)
  await answers(gateway, 'same', blueToken, 'from-blue-engine')
  for (let i = 0; i < 10; i++) assert.match((await say(gateway, 'same', redToken)).text, /from-red-engine/)
  await answers(gateway, `${blue}/same`, redToken, 'from-blue-engine')
  await model(cluster, blue, 'poses', { ...spec, modelName: `${red}/private-red` })
  await answers(gateway, `${red}/private-red`, blueToken, 'from-blue-engine')
  for (let i = 0; i < 10; i++) assert.match((await say(gateway, `${red}/private-red`, redToken)).text, /from-red-engine/)
  await cluster.ask('DELETE', modelPath(blue, 'poses'))
  const served = ofRed.served()
  await refuses(gateway, `${red}/private-red`, blueToken, 404)
  assert.equal(ofRed.served(), served)
  await cluster.ask('DELETE', modelPath(blue, 'grabs'))
  await refuses(gateway, 'same', blueToken, 404)
  await answers(gateway, 'same', redToken, 'from-red-engine')
})

NAMESPACED.set("a proxy's own token, the API server's, a spoilt one and none at all are refused", async (t, ground) => {
  const { red, gateway } = ground
  const { url } = await engineIn(t, cluster, red, 'guarded')
  await model(cluster, red, 'guarded', { backends: [{ name: 'b', url }] })
  const good = await clientToken(cluster, red)
  await answers(gateway, 'guarded', good, 'from-guarded')
  const push = await clientToken(cluster, red, 'llama-swap-push')
  const ofServer = await cluster.token({ namespace: red, serviceAccount: 'app' })
  const [head, body, signature = ''] = good.split('.')
  const spoilt = `${head}.${body}.${signature.slice(1)}${signature.slice(0, 1)}`
  for (const token of [push, ofServer, spoilt, 'nonsense', undefined]) {
    const said = await say(gateway, 'guarded', token)
    assert.equal(said.status, 401, said.text)
    if (token !== undefined && token.length > 20) assert.doesNotMatch(said.text, new RegExp(token.slice(-20)))
  }
})

NAMESPACED.set('of two that want one name the older has it; the younger says so, and has it once the older is gone', async (t, ground) => {
  const { red, operator, gateway } = ground
  const [elder, younger] = [await engineIn(t, cluster, red, 'elder'), await engineIn(t, cluster, red, 'younger')]
  const token = await clientToken(cluster, red)
  const of = ({ url }: Placed, aliases: readonly string[] = []): Readonly<Record<string, unknown>> => ({
    modelName: 'wanted',
    ...(aliases.length > 0 && { aliases: aliases.map((name) => ({ name })) }),
    backends: [{ name: 'b', url }],
  })
  await model(cluster, red, 'z-elder', of(elder))
  const madeAtMs = Date.parse(textAt(await cluster.ask('GET', modelPath(red, 'z-elder')), 'metadata', 'creationTimestamp'))
  await eventually(async () => assert.ok(Date.now() >= madeAtMs + 1000)) // ages are whole seconds
  await model(cluster, red, 'a-younger', of(younger, ['unwanted']))
  await answers(gateway, 'unwanted', token, 'from-younger')
  await eventually(async () => {
    const [problem] = await problemsOf(operator, `LlamaModel ${red}/a-younger`)
    assert.equal(problem?.code, 'Conflicted')
    assert.match(problem.message, new RegExp(`"wanted" belongs to LlamaModel ${red}/z-elder`))
    assert.equal(await reasonOf(cluster, red, 'a-younger', 'Accepted'), 'False Conflicted')
    assert.match(await reasonOf(cluster, red, 'z-elder', 'Accepted'), /^True/)
  })
  for (let i = 0; i < 10; i++) assert.match((await say(gateway, 'wanted', token)).text, /from-elder/)
  const ms = await timed(
    () => cluster.ask('DELETE', modelPath(red, 'z-elder')),
    async () => (await say(gateway, 'wanted', token)).text.includes('from-younger'),
  )
  t.diagnostic(`taken over ${ms} ms after the deletion`)
  await eventually(async () => assert.match(await reasonOf(cluster, red, 'a-younger', 'Accepted'), /^True/))
})

NAMESPACED.set('a stream outlives its model', async (t, { red, gateway }) => {
  const { url } = await engineIn(t, cluster, red, 'leaving', { everyMs: 50, events: 60 })
  const token = await clientToken(cluster, red)
  await model(cluster, red, 'leaving', { backends: [{ name: 'b', url }] })
  await answers(gateway, 'leaving', token, 'from-leaving')
  const { until, got } = asking(gateway.url, {
    headers: { authorization: `Bearer ${token}` },
    body: { model: 'leaving', stream: true, messages: [{ role: 'user', content: 'hi' }] },
  })
  await until((text) => text.includes('from-leaving'))
  await cluster.ask('DELETE', modelPath(red, 'leaving'))
  await refuses(gateway, 'leaving', token, 404)
  const { whole, body } = await got
  assert.ok(whole)
  assert.match(body, /\[DONE\]/)
  assert.equal(body.split('from-leaving').length - 1, 60)
})

CLUSTER_WIDE.set('a model for namespaces with a label is there while they have it', async (t, { cluster, red, blue, gateway }) => {
  const { url } = await engineIn(t, cluster, red, 'shared')
  const [redToken, blueToken] = [await clientToken(cluster, red), await clientToken(cluster, blue)]
  const access = { from: 'Selector', selector: { matchLabels: { gpu: 'yes' } } }
  await model(cluster, red, 'shared', { access, backends: [{ name: 'b', url }] })
  await answers(gateway, 'shared', redToken, 'from-shared')
  await refuses(gateway, 'shared', blueToken, 404)
  const label = (value: string | null): Promise<unknown> =>
    cluster.ask('PATCH', `/api/v1/namespaces/${blue}`, { metadata: { labels: { gpu: value } } })
  const may = async (): Promise<boolean> => (await say(gateway, 'shared', blueToken)).status === 200
  const givenMs = await timed(() => label('yes'), may)
  assert.deepEqual(await listed(gateway, blueToken), ['shared'])
  const takenMs = await timed(
    () => label(null),
    async () => !(await may()),
  )
  assert.deepEqual(await listed(gateway, blueToken), [])
  t.diagnostic(`given ${givenMs} ms and taken ${takenMs} ms after the label`)
})

CLUSTER_WIDE.set('a model for all is for namespaces that come later, and no more when it says so', async (t, ground) => {
  const { cluster, red, gateway } = ground
  const { url } = await engineIn(t, cluster, red, 'open')
  await model(cluster, red, 'open', { access: { from: 'All' }, backends: [{ name: 'b', url }] })
  const later = await cluster.namespace()
  const token = await clientToken(cluster, later)
  await answers(gateway, 'open', token, 'from-open')
  await answers(gateway, `${red}/open`, token, 'from-open')
  await model(cluster, red, 'open', { access: { from: 'Same' }, backends: [{ name: 'b', url }] })
  await refuses(gateway, 'open', token, 404)
  await refuses(gateway, `${red}/open`, token, 404)
})

CLUSTER_WIDE.set(
  "keys of any namespace are its clients'; Pods of others are no backends",
  async (t, { cluster, red, blue, operator, gateway }) => {
    const { url } = await engineIn(t, cluster, red, 'only-red')
    await model(cluster, blue, 'stolen', { backends: [{ name: 'b', url }] })
    await model(cluster, blue, 'mine', { backends: [{ name: 'b', url: (await engineIn(t, cluster, blue, 'mine')).url }] })
    await secret(cluster, blue, 'app', { key: `${KEY}-blue` }, LABELLED)
    await answers(gateway, 'mine', `${KEY}-blue`, 'from-mine')
    await eventually(async () => {
      const codes = (await problemsOf(operator, `LlamaModel ${blue}/stolen`)).map(({ code }) => code)
      assert.ok(codes.includes('AddressForbidden'), codes.join())
    })
    const { status } = await say(gateway, 'stolen', `${KEY}-blue`)
    assert.notEqual(status, 200)
  },
)
