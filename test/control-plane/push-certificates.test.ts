/** The push's authority in a real cluster: made once, kept, handed out, and replaced before it ends. */
import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { after, before, type TestContext, test } from 'node:test'
import { ApiError } from '../../operator/kube/api-error.ts'
import type { KubeClient } from '../../operator/kube/client.ts'
import { CA_LIFE_MS, type KeyedCertificate, LEAF_LIFE_MS } from '../../operator/push/certificate-authority.ts'
import { OVERLAP_MS, PUSH_CA_NAME, PushCertificates } from '../../operator/push/certificates.ts'
import { textAt } from '../support/control-plane/api.ts'
import type { Cluster } from '../support/control-plane/cluster.ts'
import { sharedControlPlane } from '../support/control-plane/shared.ts'
import { eventually } from '../support/eventually.ts'
import { clientOf } from './push-ground.ts'

let plane: Cluster
let client: KubeClient

before(async () => {
  plane = await sharedControlPlane()
  client = clientOf(plane)
})

after(async () => {
  await client.close()
})

interface Replica {
  readonly certificates: PushCertificates
  readonly signed: KeyedCertificate[]
  readonly problems: string[]
  look(leads: boolean): Promise<boolean>
}

interface Installation {
  readonly home: string
  readonly app: string
  /** Moves with the test. */
  readonly clock: { nowMs: number }
  replica(more?: readonly string[]): Replica
}

async function install(): Promise<Installation> {
  const [home, app] = [await plane.namespace(), await plane.namespace()]
  const clock = { nowMs: Date.UTC(2030, 0, 1) }
  const replica = (more: readonly string[] = []): Replica => {
    const signed: KeyedCertificate[] = []
    const problems: string[] = []
    const certificates = new PushCertificates({
      client,
      namespace: home,
      bundleNamespaces: () => [home, app, ...more],
      names: ['operator.llama-swap.svc'],
      onCertificate: (certificate) => signed.push(certificate),
      onProblem: ({ what }) => problems.push(what),
      clock: () => clock.nowMs,
    })
    return { certificates, signed, problems, look: (leads) => certificates.look(leads, AbortSignal.timeout(10_000)) }
  }
  return { home, app, clock, replica }
}

async function bundleIn(namespace: string): Promise<readonly X509Certificate[]> {
  const map = await plane.ask('GET', `/api/v1/namespaces/${namespace}/configmaps/${PUSH_CA_NAME}`)
  return textAt(map, 'data', 'ca.crt')
    .split(/(?<=-----END CERTIFICATE-----\n)/)
    .map((pem) => new X509Certificate(pem))
}

function isTrusted({ signed }: Replica, bundle: readonly X509Certificate[]): boolean {
  const leaf = new X509Certificate(signed.at(-1)?.cert ?? '')
  return bundle.some((authority) => leaf.checkIssued(authority) && leaf.verify(authority.publicKey))
}

test('a leader makes the authority, others find it, and both are trusted in every namespace that wants it', async () => {
  const { home, app, replica } = await install()
  const [leader, standby] = [replica(), replica()]
  assert.equal(await standby.look(false), false)
  assert.equal(await leader.look(true), true)
  assert.equal(await standby.look(false), true)
  for (const namespace of [home, app]) {
    const bundle = await bundleIn(namespace)
    assert.equal(bundle.length, 1)
    assert.ok(isTrusted(leader, bundle) && isTrusted(standby, bundle))
  }
  await leader.look(true)
  assert.equal(leader.signed.length, 1)
})

test('of two that make one at once, one wins and both use it', async () => {
  const { home, replica } = await install()
  const replicas = [replica(), replica()]
  const looks = await Promise.allSettled(replicas.map((one) => one.look(true)))
  for (const look of looks) if (look.status === 'rejected') assert.ok(look.reason instanceof ApiError && look.reason.status === 409)
  for (const one of replicas) await one.look(true)
  const bundle = await bundleIn(home)
  assert.equal(bundle.length, 1)
  assert.ok(replicas.every((one) => isTrusted(one, bundle)))
})

test('a next authority is trusted for a day before it signs, and the old one until it ends', async () => {
  const { app, clock, replica } = await install()
  const [leader, standby] = [replica(), replica()]
  await leader.look(true)
  const [first] = await bundleIn(app)
  clock.nowMs += (CA_LIFE_MS * 2) / 3
  await leader.look(true)
  const both = await bundleIn(app)
  assert.deepEqual([both.length, both[0]?.fingerprint256], [2, first?.fingerprint256])
  assert.ok(isTrusted(leader, both.slice(0, 1)))
  clock.nowMs += OVERLAP_MS
  await leader.look(true)
  await standby.look(false)
  assert.ok(isTrusted(leader, both.slice(1)) && isTrusted(standby, both.slice(1)))
  assert.equal((await bundleIn(app)).length, 2)
  clock.nowMs += CA_LIFE_MS / 3
  await leader.look(true)
  assert.deepEqual(
    (await bundleIn(app)).map(({ fingerprint256 }) => fingerprint256),
    [both[1]?.fingerprint256],
  )
})

test("a server's certificate is renewed after two thirds of its life", async () => {
  const { clock, replica } = await install()
  const leader = replica()
  await leader.look(true)
  clock.nowMs += (LEAF_LIFE_MS * 2) / 3 - 1
  await leader.look(true)
  assert.equal(leader.signed.length, 1)
  clock.nowMs += 1
  await leader.look(true)
  assert.equal(leader.signed.length, 2)
})

test('a Secret that holds no authority is made good', async () => {
  const { home, replica } = await install()
  const secret = { apiVersion: 'v1', kind: 'Secret', metadata: { name: PUSH_CA_NAME, namespace: home }, stringData: { 'ca.crt': 'broken' } }
  await plane.apply(secret)
  const leader = replica()
  await leader.look(true)
  assert.ok(isTrusted(leader, await bundleIn(home)))
})

test('a namespace that takes no bundle is told, and holds up no other', async () => {
  const { app, replica } = await install()
  const leader = replica(['not-there'])
  await leader.look(true)
  assert.equal(leader.problems.length, 1)
  assert.match(leader.problems[0] ?? '', /not-there/)
  assert.ok(isTrusted(leader, await bundleIn(app)))
})

test('looking goes on until it is told to end', async (t: TestContext) => {
  const { replica } = await install()
  const leader = replica()
  const end = new AbortController()
  t.after(() => end.abort())
  const running = leader.certificates.run(() => true, end.signal)
  await eventually(async () => assert.equal(leader.signed.length, 1))
  end.abort()
  await running
})
