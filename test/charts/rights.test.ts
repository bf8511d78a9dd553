/** The chart's rights are those that `llama-swap operator --print-rbac` prints, to the verb, whichever namespaces are served. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Installation, operatorRights } from '../../operator/workloads/rbac.ts'
import { valueAt } from '../support/control-plane/api.ts'
import { HELM_VERSIONS, kindOf, nameOf, render } from './render.ts'

const SCOPES: Readonly<Record<string, Pick<Installation, 'namespaces' | 'bundleNamespaces'>>> = {
  'the whole cluster': { namespaces: 'all' },
  'the whole cluster, with sidecars': { namespaces: 'all', bundleNamespaces: ['apps', 'home'] },
  'other namespaces': { namespaces: ['team-a', 'team-b'] },
  'its own and another, with sidecars': { namespaces: ['home', 'team-a'], bundleNamespaces: ['home', 'apps'] },
}
const KINDS = new Set(['ClusterRole', 'ClusterRoleBinding', 'Role', 'RoleBinding', 'ServiceAccount'])

const essence = (objects: readonly unknown[]): readonly unknown[] =>
  objects
    .filter((object) => KINDS.has(kindOf(object)) && !nameOf(object).endsWith('/llama-swap-gateway'))
    .map((object) => ({ name: nameOf(object), ...pick(object, ['rules', 'roleRef', 'subjects']) }))
    .sort((a, b) => a.name.localeCompare(b.name))

const pick = (object: unknown, fields: readonly string[]): Record<string, unknown> =>
  Object.fromEntries(fields.map((field) => [field, valueAt(object, field)]).filter(([, value]) => value !== undefined))

for (const [scope, { namespaces, bundleNamespaces = [] }] of Object.entries(SCOPES)) {
  test(`serving ${scope}`, async () => {
    const printed = operatorRights({ namespace: 'home', serviceAccount: 'llama-swap-operator', namespaces, bundleNamespaces })
    const served = namespaces === 'all' ? [] : [`namespaces={${namespaces.join(',')}}`]
    const bundles = bundleNamespaces.length === 0 ? [] : [`sidecars.namespaces={${bundleNamespaces.join(',')}}`]
    for (const version of HELM_VERSIONS) {
      const objects = await render({ version, namespace: 'home', set: [...served, ...bundles] })
      assert.deepEqual(essence(objects), essence(printed))
    }
  })
}

test('nothing but the operator has a token of the API server, and nobody else has rights', async () => {
  const objects = await render({})
  const withToken = objects.filter(
    (object) => valueAt(object, 'spec', 'template', 'spec', 'automountServiceAccountToken') !== false && kindOf(object) === 'Deployment',
  )
  assert.deepEqual(withToken.map(nameOf), ['Deployment llama-swap/llama-swap-operator'])
  for (const account of objects.filter((object) => kindOf(object) === 'ServiceAccount'))
    assert.equal(valueAt(account, 'automountServiceAccountToken'), false)
})
