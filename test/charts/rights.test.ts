/** The chart's rights, and its webhook, are those that `llama-swap operator` prints, to the verb, whichever namespaces are served. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { webhookConfigurationName, webhookManifests } from '../../operator/inject/manifests.ts'
import { type Installation, operatorRights } from '../../operator/workloads/rbac.ts'
import { listAt, valueAt } from '../support/control-plane/api.ts'
import { CRD_CHART, HELM_VERSIONS, kindOf, nameOf, objectNamed, render } from './render.ts'

const SCOPES: Readonly<Record<string, Omit<Installation, 'namespace' | 'serviceAccount'>>> = {
  'the whole cluster': { namespaces: 'all' },
  'the whole cluster, with sidecars': { namespaces: 'all', bundleNamespaces: ['apps', 'home'] },
  'the whole cluster, injecting sidecars': { namespaces: 'all', bundleNamespaces: ['apps'], webhook: webhookConfigurationName('home') },
  'other namespaces': { namespaces: ['team-a', 'team-b'] },
  'its own and another, with sidecars': { namespaces: ['home', 'team-a'], bundleNamespaces: ['home', 'apps'] },
}
const KINDS = new Set(['ClusterRole', 'ClusterRoleBinding', 'Role', 'RoleBinding', 'ServiceAccount'])

const essence = (objects: readonly unknown[]): readonly unknown[] =>
  objects
    .filter((object) => KINDS.has(kindOf(object)) && !/\/llama-swap-(gateway|view|edit|admin)$/.test(nameOf(object)))
    .map((object) => ({ name: nameOf(object), ...pick(object, ['rules', 'roleRef', 'subjects']) }))
    .sort((a, b) => a.name.localeCompare(b.name))

const pick = (object: unknown, fields: readonly string[]): Record<string, unknown> =>
  Object.fromEntries(fields.map((field) => [field, valueAt(object, field)]).filter(([, value]) => value !== undefined))

for (const [scope, installation] of Object.entries(SCOPES)) {
  test(`serving ${scope}`, async () => {
    const { namespaces, bundleNamespaces = [], webhook } = installation
    const printed = operatorRights({ namespace: 'home', serviceAccount: 'llama-swap-operator', ...installation })
    const served = namespaces === 'all' ? [] : [`namespaces={${namespaces.join(',')}}`]
    const bundles = bundleNamespaces.length === 0 ? [] : [`sidecars.namespaces={${bundleNamespaces.join(',')}}`]
    for (const version of HELM_VERSIONS) {
      const objects = await render({
        version,
        namespace: 'home',
        set: [...served, ...bundles, `sidecars.enabled=${webhook !== undefined}`],
      })
      assert.deepEqual(essence(objects), essence(printed))
    }
  })
}

test('the webhook is the one that --print-webhook prints, and names no CA: the operator writes it', async () => {
  const printed = webhookManifests({ namespace: 'home', namespaces: 'all', configuration: webhookConfigurationName('home') })
  for (const version of HELM_VERSIONS) {
    const objects = await render({ version, namespace: 'home', set: ['sidecars.enabled=true'] })
    const [service, configuration] = printed.map((one) => ({ printed: one, ours: objectNamed(objects, nameOf(one)) }))
    assert.deepEqual(valueAt(configuration?.ours, 'webhooks'), valueAt(configuration?.printed, 'webhooks'))
    assert.equal(valueAt(configuration?.ours, 'webhooks', 0, 'clientConfig', 'caBundle'), undefined)
    assert.deepEqual(withTarget(service?.ours, 9443), withTarget(service?.printed, 9443))
  }
})

/** Its port is named in the chart, where the number is a value. */
const withTarget = (service: unknown, targetPort: number): unknown => [
  valueAt(service, 'metadata', 'namespace'),
  listAt(service, 'spec', 'ports').map((port) => ({ ...pick(port, ['name', 'port']), targetPort })),
]

test('an installation of namespaces, with the definitions there before, has nothing outside namespaces', async () => {
  const objects = await render({ set: ['namespaces={team-a,team-b}', 'crds.enabled=false'] })
  assert.deepEqual(objects.filter((object) => valueAt(object, 'metadata', 'namespace') === undefined).map(nameOf), [])
})

/** What a Role of a namespaced installation grants, its installer must have: Kubernetes' own `admin` and what the charts add to it. */
test('ClusterRoles for users name the resources, and both charts have the same', async () => {
  const [ours, apart] = await Promise.all([render({}), render({ chart: CRD_CHART })])
  for (const who of ['view', 'edit', 'admin']) {
    const [mine, theirs] = [ours, apart].map((objects) => objectNamed(objects, `ClusterRole /llama-swap-${who}`))
    assert.deepEqual(valueAt(mine, 'rules'), valueAt(theirs, 'rules'))
    for (const role of [mine, theirs])
      assert.equal(valueAt(role, 'metadata', 'labels', `rbac.authorization.k8s.io/aggregate-to-${who}`), 'true')
  }
  const without = [render({ set: ['crds.aggregatedRoles=false'] }), render({ chart: CRD_CHART, set: ['aggregatedRoles=false'] })]
  for (const objects of await Promise.all(without))
    assert.ok(!objects.some((object) => /\/llama-swap-(view|edit|admin)$/.test(nameOf(object))))
})

test('nothing but the operator has a token of the API server, and nobody else has rights', async () => {
  const objects = await render({})
  const withToken = objects.filter(
    (object) => valueAt(object, 'spec', 'template', 'spec', 'automountServiceAccountToken') !== false && kindOf(object) === 'Deployment',
  )
  assert.deepEqual(withToken.map(nameOf), ['Deployment llama-swap/llama-swap-operator'])
  for (const account of objects.filter((object) => kindOf(object) === 'ServiceAccount'))
    assert.equal(valueAt(account, 'automountServiceAccountToken'), false)
})
