/** An API server that is restarted or set back, credentials that are replaced: afterwards the source says what the cluster says. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { type ControlPlane, startControlPlane } from '../support/control-plane/control-plane.ts'
import { eventually } from '../support/eventually.ts'
import { Direct, Watched } from './watch-ground.ts'

let plane: ControlPlane
let namespace = ''
let direct: Direct

before(async () => {
  plane = await startControlPlane()
  await plane.installCrds()
  namespace = await plane.namespace()
  direct = new Direct(plane)
  await direct.model(namespace, 'first')
})

after(async () => {
  await direct?.close()
  await plane?.stop()
})

async function watching(body: (watched: Watched) => Promise<void>): Promise<void> {
  const watched = await Watched.start(plane)
  try {
    await watched.untilEqual()
    await body(watched)
  } finally {
    await watched.close()
  }
}

test('an API server that is killed and comes back', async (t) => {
  await watching(async (watched) => {
    const before = watched.text()
    await plane.killApiServer()
    await eventually(async () => assert.ok(watched.restarts().includes('unreachable')))
    assert.equal(watched.text(), before)
    await plane.startApiServer()
    await eventually(async () => direct.model(namespace, 'after-the-restart'))
    t.diagnostic(`in step after ${Math.round(await watched.untilEqual())} ms`)
  })
})

test('an etcd that is restored to an older state: what came since is gone, what comes next is seen', async (t) => {
  await direct.model(namespace, 'in-the-backup')
  const backup = await plane.saveState()
  await watching(async (watched) => {
    for (let index = 0; index < 20; index += 1) await direct.model(namespace, `not-in-the-backup-${index % 4}`, { weight: index })
    await watched.untilEqual()
    await plane.restoreState(backup)
    t.diagnostic(`in step after ${Math.round(await watched.untilEqual())} ms`)
    assert.equal(watched.resources?.models.has(`${namespace}/not-in-the-backup-1`), false)
    assert.equal(watched.resources?.models.has(`${namespace}/in-the-backup`), true)
    await eventually(async () => direct.model(namespace, 'after-the-restore'))
    t.diagnostic(`the next change after ${Math.round(await watched.untilEqual())} ms`)
    t.diagnostic(`restarts: ${[...new Set(watched.restarts())].join(', ')}`)
  })
})

test('an object older than the rules of its CRD: a problem, and its last good version holds', async () => {
  await direct.model(namespace, 'old', { weight: 5 })
  await watching(async (watched) => {
    const problem = (): unknown => watched.problems.find(({ object }) => object === `LlamaModel ${namespace}/old`)?.at
    await withoutLimitOfWeight(async () => {
      await eventually(async () => direct.model(namespace, 'old', { weight: 2_000_000 }))
    })
    await eventually(async () => assert.equal(problem(), 'spec.weight'))
    assert.equal(watched.resources?.models.get(`${namespace}/old`)?.spec.weight, 5)
    await eventually(async () => direct.model(namespace, 'old', { weight: 6 }))
    await eventually(async () => assert.equal(watched.resources?.models.get(`${namespace}/old`)?.spec.weight, 6))
    assert.equal(problem(), undefined)
  })
})

test('a token that has expired is read again from its file', async (t) => {
  await watching(async (watched) => {
    watched.relay.switches.refusedToken = plane.adminToken
    watched.relay.cutConnections()
    await direct.model(namespace, 'with-a-new-token')
    await eventually(async () => assert.ok(watched.restarts().includes('refused')))
    assert.ok(watched.source.health().some(({ failing }) => failing?.includes('Unauthorized') === true))
    watched.credentials.writeToken(await administratorToken())
    t.diagnostic(`in step after ${Math.round(await watched.untilEqual())} ms`)
  })
})

test('an authority that was replaced is read again from its file', async (t) => {
  await watching(async (watched) => {
    await watched.relay.rotateCertificate()
    await direct.model(namespace, 'with-a-new-authority')
    await eventually(async () => assert.ok(watched.restarts().includes('unreachable')))
    watched.credentials.writeCa(watched.relay.ca)
    t.diagnostic(`in step after ${Math.round(await watched.untilEqual())} ms`)
  })
})

/** Another token with the same rights. */
async function administratorToken(): Promise<string> {
  await direct.apply('/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/reader', {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'ClusterRoleBinding',
    metadata: { name: 'reader' },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'cluster-admin' },
    subjects: [{ kind: 'ServiceAccount', name: 'reader', namespace }],
  })
  return plane.token({ namespace, serviceAccount: 'reader' })
}

const CRD_PATH = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions/llamamodels.llamaswap.dev'
const WEIGHT_PATH = '/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/weight/maximum'

async function withoutLimitOfWeight(body: () => Promise<void>): Promise<void> {
  const patch = async (operation: unknown): Promise<unknown> => plane.ask('PATCH', CRD_PATH, [operation], 'application/json-patch+json')
  await patch({ op: 'remove', path: WEIGHT_PATH })
  await body()
  await patch({ op: 'add', path: WEIGHT_PATH, value: 1_000_000 })
}
