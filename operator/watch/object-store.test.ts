import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Fields, isFields } from '../validate/problem.ts'
import { ObjectStore } from './object-store.ts'

const raw = (name: string, uid: string, resourceVersion: string, size?: number) => ({
  metadata: { namespace: 'n', name, uid, resourceVersion },
  spec: { size, other: resourceVersion },
})

function makeStore(): { store: ObjectStore<{ size: unknown }>; changed: string[] } {
  const changed: string[] = []
  const project = ({ spec }: Fields): { size: unknown } | undefined =>
    isFields(spec) && spec['size'] !== undefined ? { size: spec['size'] } : undefined
  return { store: new ObjectStore({ project, onChange: (key) => changed.push(key) }), changed }
}

test('a change of what is not needed is none, and the projection stays the same object', () => {
  const { store, changed } = makeStore()
  store.put(raw('a', '1', '1', 5))
  const before = store.get('n/a')?.value
  store.put(raw('a', '1', '2', 5))
  assert.equal(store.get('n/a')?.value, before)
  assert.equal(store.get('n/a')?.resourceVersion, '2')
  assert.deepEqual(changed, ['n/a'])
})

test('an object made anew is a change, even if it says the same', () => {
  const { store, changed } = makeStore()
  store.put(raw('a', '1', '1', 5))
  store.put(raw('a', '2', '2', 5))
  assert.deepEqual(changed, ['n/a', 'n/a'])
})

test('of objects that are not needed only their identity is kept, and nobody hears of them', () => {
  const { store, changed } = makeStore()
  store.put(raw('a', '1', '1'))
  store.remove('n/a')
  assert.deepEqual(changed, [])
})

test('after a list what it did not have is gone', () => {
  const { store, changed } = makeStore()
  for (const name of ['a', 'b', 'c']) store.put(raw(name, name, '1', 1))
  store.keepOnly(new Set(['n/b']))
  assert.deepEqual(
    [...store.all()].map(({ key }) => key),
    ['n/b'],
  )
  assert.deepEqual(changed, ['n/a', 'n/b', 'n/c', 'n/a', 'n/c'])
})

test('what is no object is left out', () => {
  const { store } = makeStore()
  for (const broken of [{}, { metadata: null }, { metadata: { name: 'a' } }]) assert.equal(store.put(broken), undefined)
})
