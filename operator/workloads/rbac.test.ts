import assert from 'node:assert/strict'
import { test } from 'node:test'
import { operatorRights } from './rbac.ts'

test('the rights of two installations lie beside each other', () => {
  for (const namespaces of ['all', ['team']] as const) {
    const [one, two] = ['one', 'two'].map((namespace) =>
      operatorRights({ namespace, serviceAccount: 'operator', namespaces }).map(
        ({ kind, metadata }) => `${kind} ${metadata.namespace}/${metadata.name}`,
      ),
    )
    assert.deepEqual(
      one?.filter((object) => two?.includes(object)),
      [],
    )
  }
})
