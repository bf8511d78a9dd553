/** Who a proxy is: real tokens of a real API server, checked by asking it and by its keys. */
import assert from 'node:assert/strict'
import { after, before, type TestContext, test } from 'node:test'
import type { KubeClient } from '../../operator/kube/client.ts'
import { readTokenIssuer } from '../../operator/kube/token-issuer.ts'
import { reviewToken } from '../../operator/kube/token-review.ts'
import { type AuthenticateOptions, type KnownPod, makeAuthenticate } from '../../operator/push/authenticate.ts'
import type { TokenIssuer } from '../../operator/resources/snapshot.ts'
import type { Cluster } from '../support/control-plane/cluster.ts'
import { sharedControlPlane } from '../support/control-plane/shared.ts'
import { type Running, startPush } from '../support/push-server.ts'
import { ScriptedProxy } from '../support/scripted-proxy.ts'
import { clientOf } from './push-ground.ts'

const AUDIENCE = 'llama-swap-push'

let plane: Cluster
let client: KubeClient
let issuer: TokenIssuer
let home: string
let served: string
let other: string
let gateway: TestPod
let app: TestPod
let foreign: TestPod
/** As a watch would have them. */
const pods = new Map<string, KnownPod>()

before(async () => {
  plane = await sharedControlPlane()
  client = clientOf(plane)
  issuer = await readTokenIssuer(client, { signal: AbortSignal.timeout(10_000) })
  home = await plane.namespace()
  served = await plane.namespace()
  other = await plane.namespace()
  gateway = await podOf(home, 'gateway')
  app = await podOf(served, 'app')
  foreign = await podOf(other, 'app')
})

after(async () => {
  await client.close()
})

interface TestPod {
  readonly namespace: string
  readonly name: string
  readonly serviceAccount: string
}

/** As the watch of pods would see it come. */
async function podOf(namespace: string, serviceAccount: string, name = 'pod'): Promise<TestPod> {
  const { uid } = await plane.makePod({ namespace, name, serviceAccount })
  pods.set(`${namespace}/${name}`, { uid, isOver: false })
  return { namespace, name, serviceAccount }
}

async function removePod({ namespace, name }: TestPod): Promise<void> {
  await plane.removePod(namespace, name)
  pods.delete(`${namespace}/${name}`)
}

const tokenOf = ({ name: pod, ...account }: TestPod, audience = AUDIENCE): Promise<string> => plane.token({ ...account, pod, audience })

const CHECKS: Readonly<Record<string, () => AuthenticateOptions['check']>> = {
  'asking the API server': () => ({
    by: 'TokenReview',
    review: (token, audience, signal) => reviewToken(client, token, [audience], { signal }),
  }),
  'the keys of the cluster': () => ({ by: 'Keys', issuers: () => [issuer] }),
}

function start(t: TestContext, check: AuthenticateOptions['check']): Promise<Running> {
  const authenticate = makeAuthenticate({
    gatewayServiceAccounts: [`${home}/gateway`],
    servesNamespace: (namespace) => namespace === served,
    podOf: (namespace, name) => pods.get(`${namespace}/${name}`),
    check,
  })
  return startPush(t, { options: { authenticate } })
}

const codeFor = async ({ dialling }: Running, token: string): Promise<string> => (await ScriptedProxy.refusal({ ...dialling, token })).code

for (const [how, check] of Object.entries(CHECKS)) {
  test(`by ${how}: a gateway and a sidecar are who their tokens say`, async (t) => {
    const running = await start(t, check())
    const first = await running.dial(await tokenOf(gateway))
    first.hello({ mode: 'Gateway' })
    const welcome = await first.nextOf('welcome')
    assert.deepEqual([welcome.mode, welcome.namespace], ['Gateway', home])
    const second = await running.dial(await tokenOf(app))
    second.hello({ mode: 'Sidecar' })
    assert.deepEqual((await second.nextOf('welcome')).namespace, served)
  })

  test(`by ${how}: an app that wants to be a gateway is refused`, async (t) => {
    const running = await start(t, check())
    const proxy = await running.dial(await tokenOf(app))
    proxy.hello({ mode: 'Gateway' })
    assert.match((await proxy.nextOf('goAway')).reason, /^not_a_gateway/)
  })

  test(`by ${how}: a client's token, one for the API server, and one of a namespace that is not served are refused`, async (t) => {
    const running = await start(t, check())
    assert.equal(await codeFor(running, await tokenOf(app, 'llama-swap-client')), 'wrong_audience')
    assert.equal(await codeFor(running, await tokenOf(app, issuer.issuer)), 'wrong_audience')
    assert.equal(await codeFor(running, await tokenOf(foreign)), 'namespace_not_served')
    assert.equal(
      await codeFor(running, await plane.token({ namespace: served, serviceAccount: 'app', audience: AUDIENCE })),
      'invalid_token',
    )
  })

  test(`by ${how}: a token that was changed is refused`, async (t) => {
    const running = await start(t, check())
    const [header, payload] = (await tokenOf(app)).split('.')
    const [, , signature] = (await tokenOf(gateway)).split('.')
    assert.equal(await codeFor(running, `${header}.${payload}.${signature}`), 'invalid_token')
  })

  test(`by ${how}: the token of a pod that was deleted is refused, and so is it when another has its name`, async (t) => {
    const running = await start(t, check())
    const pod = await podOf(served, 'app', 'short-lived')
    const token = await tokenOf(pod)
    const proxy = await running.dial(token)
    proxy.hello({ mode: 'Sidecar' })
    await proxy.nextOf('welcome')
    await removePod(pod)
    assert.equal(await codeFor(running, token), 'pod_gone')
    const next = await podOf(served, 'app', 'short-lived')
    assert.equal(await codeFor(running, token), 'pod_gone')
    await running.dial(await tokenOf(next))
    await removePod(next)
  })
}

test('asking the API server: the token of a deleted pod is refused though nobody watches pods', async (t) => {
  const authenticate = makeAuthenticate({
    gatewayServiceAccounts: [],
    servesNamespace: () => true,
    podOf: () => 'unwatched',
    check: { by: 'TokenReview', review: (token, audience, signal) => reviewToken(client, token, [audience], { signal }) },
  })
  const running = await startPush(t, { options: { authenticate } })
  const pod = await podOf(served, 'app', 'unwatched')
  const token = await tokenOf(pod)
  await removePod(pod)
  assert.equal(await codeFor(running, token), 'invalid_token')
})
