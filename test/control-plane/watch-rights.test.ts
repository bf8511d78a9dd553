/** What an operator may read, and what it says when it may not. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { Cluster } from '../support/control-plane/cluster.ts'
import { sharedControlPlane } from '../support/control-plane/shared.ts'
import { eventually } from '../support/eventually.ts'
import { Direct, Watched } from './watch-ground.ts'

const RBAC = { apiVersion: 'rbac.authorization.k8s.io/v1' }
const READ = ['list', 'watch']
const ALL_RULES = [
  { apiGroups: ['llamaswap.dev'], resources: ['llamamodels', 'routingpolicies'], verbs: READ },
  { apiGroups: [''], resources: ['services', 'pods', 'secrets'], verbs: READ },
  { apiGroups: ['discovery.k8s.io'], resources: ['endpointslices'], verbs: READ },
]

let plane: Cluster
let direct: Direct
let here = ''
let there = ''

before(async () => {
  plane = await sharedControlPlane()
  await plane.installCrds()
  here = await plane.namespace()
  there = await plane.namespace()
  direct = new Direct(plane)
})

after(async () => direct?.close())

async function allow(namespace: string, rules: readonly unknown[]): Promise<void> {
  const path = `/apis/rbac.authorization.k8s.io/v1/namespaces/${namespace}`
  await direct.apply(`${path}/roles/operator`, { ...RBAC, kind: 'Role', metadata: { name: 'operator', namespace }, rules })
  await direct.apply(`${path}/rolebindings/operator`, {
    ...RBAC,
    kind: 'RoleBinding',
    metadata: { name: 'operator', namespace },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'operator' },
    subjects: [{ kind: 'ServiceAccount', name: 'operator', namespace: here }],
  })
}

test('by namespaces, Roles are enough; what they lack is named, and taken up once it is there', async (t) => {
  await allow(here, ALL_RULES)
  await allow(
    there,
    ALL_RULES.filter(({ apiGroups }) => apiGroups[0] !== 'discovery.k8s.io'),
  )
  await direct.model(there, 'elsewhere')
  const watched = await Watched.start(plane, {
    namespaces: [here, there],
    token: await plane.token({ namespace: here, serviceAccount: 'operator' }),
  })
  try {
    await eventually(async () => assert.ok(watched.source.health().some(({ failing }) => failing !== undefined)))
    const failing = watched.source.health().filter((health) => health.failing !== undefined)
    assert.deepEqual(
      failing.map(({ collection }) => `${collection.resource} ${collection.namespace}`),
      [`endpointslices ${there}`],
    )
    assert.match(
      watched.source.troubles()[0]?.message ?? '',
      /endpointslices in namespace test-.*apiGroups \["discovery.k8s.io"\].*verbs \["list", "watch"\] to the Role of namespace test-/,
    )
    assert.equal(watched.snapshots, 0)
    await allow(there, ALL_RULES)
    t.diagnostic(`in step after ${Math.round(await watched.untilEqual())} ms`)
    assert.deepEqual(
      [...(watched.resources?.namespaces ?? [])],
      [
        [here, { 'kubernetes.io/metadata.name': here }],
        [there, { 'kubernetes.io/metadata.name': there }],
      ],
    )
    assert.deepEqual(watched.problems, [])
  } finally {
    await watched.close()
  }
})

test('a Secret is read when a model names it, follows its changes, and is let go', async () => {
  const watched = await Watched.start(plane, { namespaces: [here] })
  try {
    await watched.untilEqual()
    const watches = watched.relay.openWatches
    await direct.secret(here, 'provider', { key: 'first' })
    await direct.secret(here, 'not-named', { key: 'other' })
    const backends = [
      { name: 'b', url: 'https://api.example.com/v1', auth: { type: 'Header', secretRefs: [{ name: 'provider', key: 'key' }] } },
    ]
    await direct.model(here, 'rented', { backends })
    const value = (): string | undefined => watched.resources?.secrets.get(`${here}/provider`)?.entries['key']?.reveal()
    await eventually(async () => assert.equal(value(), 'first'))
    assert.equal(watched.relay.openWatches, watches + 1)
    await direct.secret(here, 'provider', { key: 'second' })
    await eventually(async () => assert.equal(value(), 'second'), 1000)
    assert.deepEqual([...(watched.resources?.secrets.keys() ?? [])], [`${here}/provider`])
    await direct.model(here, 'rented')
    await eventually(async () => assert.equal(watched.resources?.secrets.size, 0))
    await eventually(async () => assert.equal(watched.relay.openWatches, watches))
  } finally {
    await watched.close()
  }
})

test('a model is never seen without the Secret it has just come to name', async () => {
  await direct.secret(here, 'provider', { key: 'first' })
  await direct.model(here, 'rented')
  const watched = await Watched.start(plane, { namespaces: [here] })
  try {
    await watched.untilEqual()
    watched.relay.switches.delayMs = 700
    const halves: string[] = []
    watched.onSnapshot = ({ models, secrets }) => {
      const named = models.get(`${here}/rented`)?.spec.backends[0]?.auth !== undefined
      halves.push(`${named} ${secrets.size}`)
    }
    const backends = [
      { name: 'b', url: 'https://api.example.com/v1', auth: { type: 'Header', secretRefs: [{ name: 'provider', key: 'key' }] } },
    ]
    await direct.model(here, 'rented', { backends })
    await watched.untilEqual()
    assert.deepEqual(halves, ['true 1'])
  } finally {
    await watched.close()
  }
})

test("entries of a client-key Secret come as digests, and as nobody's credential", async () => {
  const watched = await Watched.start(plane, { namespaces: [here] })
  try {
    await direct.secret(here, 'app', { one: 'a-key-that-is-long-enough-1' }, { 'llamaswap.dev/api-key': 'true' })
    await eventually(async () => assert.equal(watched.resources?.clientKeys.get(`${here}/app`)?.entries[0]?.characters, 27))
    assert.equal(JSON.stringify([...(watched.resources?.clientKeys ?? [])]).includes('long-enough'), false)
    await direct.secret(here, 'app', { one: 'a-key-that-is-long-enough-1' }, { 'llamaswap.dev/api-key': 'false' })
    await eventually(async () => assert.equal(watched.resources?.clientKeys.size, 0))
  } finally {
    await watched.close()
  }
})

test('what did not change is the same object as in the snapshot before', async () => {
  await direct.slice(here, 'gpu-1', 'gpu', '10.1.0.1')
  await direct.slice(here, 'cpu-1', 'cpu', '10.1.0.2')
  await direct.model(here, 'same')
  const watched = await Watched.start(plane, { namespaces: [here] })
  try {
    await watched.untilEqual()
    const before = watched.resources
    await direct.slice(here, 'cpu-1', 'cpu', '10.1.0.3')
    await watched.untilEqual()
    const after = watched.resources
    assert.notEqual(after?.slices, before?.slices)
    assert.notEqual(after?.slices.get(`${here}/cpu`), before?.slices.get(`${here}/cpu`))
    assert.equal(after?.slices.get(`${here}/gpu`), before?.slices.get(`${here}/gpu`))
    assert.equal(after?.models, before?.models)
    await direct.model(here, 'other')
    await watched.untilEqual()
    assert.equal(watched.resources?.models.get(`${here}/same`), before?.models.get(`${here}/same`))
    assert.equal(watched.resources?.slices, after?.slices)
  } finally {
    await watched.close()
  }
})

test('a change of status, or of fields nobody needs, makes no snapshot', async () => {
  await direct.model(here, 'quiet')
  const watched = await Watched.start(plane, { namespaces: [here] })
  try {
    await watched.untilEqual()
    const { snapshots } = watched
    const before = watched.source.identityOf('LlamaModel', `${here}/quiet`)?.resourceVersion
    await direct.apply(`/apis/llamaswap.dev/v1alpha1/namespaces/${here}/llamamodels/quiet/status`, {
      apiVersion: 'llamaswap.dev/v1alpha1',
      kind: 'LlamaModel',
      metadata: { name: 'quiet' },
      status: { observedGeneration: 1 },
    })
    await eventually(async () => assert.notEqual(watched.source.identityOf('LlamaModel', `${here}/quiet`)?.resourceVersion, before))
    await direct.model(here, 'loud')
    await watched.untilEqual()
    assert.equal(watched.snapshots, snapshots + 1)
  } finally {
    await watched.close()
  }
})
