import assert from 'node:assert/strict'
import { test } from 'node:test'
import { differences, remaining, wentBack } from './consistency.ts'
import { ObjectStore } from './object-store.ts'

const raw = (name: string, uid: string, resourceVersion: string) => ({ metadata: { namespace: 'n', name, uid, resourceVersion } })
const identity = (name: string, uid: string, resourceVersion: string) => ({ key: `n/${name}`, uid, resourceVersion })

function storeOf(...objects: ReturnType<typeof raw>[]): ObjectStore<string> {
  const store = new ObjectStore<string>({ project: () => 'x', onChange: () => undefined })
  for (const object of objects) store.put(object)
  return store
}

const census = (...identities: ReturnType<typeof identity>[]) => ({
  identities: new Map(identities.map((one) => [one.key, one])),
  resourceVersion: '9',
})

test('what is missing, left over, newer or another object is found', () => {
  const store = storeOf(raw('same', '1', '1'), raw('gone', '2', '2'), raw('newer', '3', '3'), raw('anew', '4', '4'))
  const found = differences(
    store,
    census(identity('same', '1', '1'), identity('newer', '3', '5'), identity('anew', '6', '4'), identity('new', '7', '7')),
  )
  assert.deepEqual([...found.keys()].sort(), ['n/anew', 'n/gone', 'n/new', 'n/newer'])
})

test('a difference that an event has meanwhile touched does not count', () => {
  const store = storeOf(raw('late', '1', '1'), raw('lost', '2', '2'))
  const found = differences(store, census(identity('late', '1', '5'), identity('coming', '3', '3')))
  assert.equal(found.size, 3)
  store.put(raw('late', '1', '5'))
  store.put(raw('coming', '3', '3'))
  assert.equal(remaining(found, store), 1)
})

test('a version below one that was seen means that the server went back', () => {
  assert.deepEqual(
    [
      ['9', '10'],
      ['10', '9'],
      ['99999999999999999999', '9'],
      ['', '9'],
      ['a', 'b'],
    ].map(([older = '', newer = '']) => wentBack(older, newer)),
    [false, true, true, false, false],
  )
})
