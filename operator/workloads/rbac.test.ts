import assert from 'node:assert/strict'
import { test } from 'node:test'
import { neededRights, operatorRights } from './rbac.ts'

test('the rights of two installations lie beside each other', () => {
  for (const namespaces of ['all', ['team']] as const) {
    const [one, two] = ['one', 'two'].map((namespace) =>
      operatorRights({ namespace, serviceAccount: 'operator', namespaces, bundleNamespaces: ['apps'] }).map(
        ({ kind, metadata }) => `${kind} ${metadata.namespace}/${metadata.name}`,
      ),
    )
    assert.deepEqual(
      one?.filter((object) => two?.includes(object)),
      [],
    )
  }
})

test('whatever the namespace is called, no Role takes the name of another', () => {
  for (const namespace of ['own', 'operator', 'bundle', 'sidecars']) {
    const installation = { namespace, namespaces: [namespace, 'team'], bundleNamespaces: ['team'], webhook: 'sidecars' }
    const roles = neededRights(installation).map(({ namespace: place = '', role }) => `${place}/${role}`)
    assert.equal(new Set(roles).size, roles.length, roles.join(' '))
  }
})

test("what a Role gives is not given again, and the CA's bundle goes where it is asked for", () => {
  const rolesOf = (namespaces: 'all' | readonly string[]): readonly string[] =>
    neededRights({ namespace: 'home', namespaces, bundleNamespaces: ['home', 'apps'] }).flatMap(({ namespace, rules }) =>
      namespace === undefined ? [] : rules.map(({ resources, verbs }) => `${namespace}: ${verbs.join(' ')} ${resources.join(' ')}`),
    )
  const own = ['home: create update secrets', 'home: get create patch configmaps']
  const bundle = ['apps: get create patch configmaps']
  assert.deepEqual(rolesOf('all'), [...own, ...bundle])
  assert.deepEqual(rolesOf([]), [
    'home: get create update leases',
    'home: get create update secrets',
    'home: get create patch configmaps',
    'home: list watch pods',
    ...bundle,
  ])
})

test('injection takes rights on its own configuration and on the bundle alone, by name', () => {
  const given = (namespaces: 'all' | readonly string[], webhook?: string): readonly string[] =>
    neededRights({ namespace: 'home', namespaces, ...(webhook !== undefined && { webhook }) })
      .filter(({ role }) => role.endsWith('-sidecars'))
      .flatMap(({ namespace = 'everywhere', rules }) =>
        rules.map(({ verbs, resources, resourceNames }) => `${namespace}: ${[...verbs, ...resources, ...(resourceNames ?? [])].join(' ')}`),
      )
  const configuration = 'everywhere: get patch mutatingwebhookconfigurations hook'
  assert.deepEqual(given('all', 'hook'), [configuration, 'everywhere: get create patch configmaps llama-swap-push-ca'])
  assert.deepEqual(given(['team'], 'hook'), [configuration])
  assert.deepEqual(given('all'), [])
})
