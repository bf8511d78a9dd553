import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { EndpointSliceResource } from '../resources/snapshot.ts'
import { Mirror } from './mirror.ts'
import { SliceIndex } from './slice-index.ts'

test('a mirror is the same map until something it was told of has changed', () => {
  const truth = new Map([['a', {}]])
  const mirror = new Mirror((key) => truth.get(key))
  mirror.touch('a')
  const first = mirror.current()
  mirror.touch('a')
  assert.equal(mirror.current(), first)
  truth.set('b', {})
  assert.equal(mirror.current(), first)
  mirror.touch('b')
  assert.deepEqual([...mirror.current().keys()], ['a', 'b'])
  assert.deepEqual([...first.keys()], ['a'])
  truth.delete('a')
  mirror.touch('a')
  assert.deepEqual([...mirror.current().keys()], ['b'])
})

const slice = (name: string, service: string): EndpointSliceResource => ({
  metadata: { namespace: 'n', name },
  service,
  addressType: 'IPv4',
  ports: [],
  endpoints: [],
})

test('slices stand by their Service, in the order of names, in a list that stays while they do', () => {
  const index = new SliceIndex()
  index.put('n/b', slice('b', 'x'))
  index.put('n/a', slice('a', 'x'))
  index.put('n/c', slice('c', 'y'))
  const list = index.of('n/x')
  assert.deepEqual(
    list?.map(({ metadata }) => metadata.name),
    ['a', 'b'],
  )
  assert.deepEqual(index.put('n/c', slice('c', 'z')), ['n/y', 'n/z'])
  assert.equal(index.of('n/y'), undefined)
  assert.equal(index.of('n/x'), list)
  assert.deepEqual(index.put('n/a', undefined), ['n/x'])
  assert.equal(index.of('n/x')?.length, 1)
})
