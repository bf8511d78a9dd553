import assert from 'node:assert/strict'
import { test } from 'node:test'
import { claimed, decide, mayAct, observe, released } from './election-state.ts'
import { type LeaseRecord, leaseObject, microTime, parseLease } from './lease.ts'

const WALL_MS = Date.UTC(2026, 10, 23, 10, 0, 0, 123)
const claim = (identity: string, wallMs = WALL_MS) => ({ identity, durationMs: 15_000, wallMs })
const HELD_BY_A: LeaseRecord = claimed(undefined, claim('a'))

test('another takes over only once the record has stood still for a lease duration, by its own clock', () => {
  const seen = observe(undefined, HELD_BY_A, 1000)
  assert.deepEqual(decide(seen, 'b', 1000), { take: false, holder: 'a', leftMs: 15_000 })
  assert.deepEqual(decide(seen, 'b', 15_999), { take: false, holder: 'a', leftMs: 1 })
  assert.deepEqual(decide(seen, 'b', 16_000), { take: true })
})

test('a renewal starts the wait anew, a second look at the same record does not', () => {
  const seen = observe(undefined, HELD_BY_A, 1000)
  assert.equal(observe(seen, { ...HELD_BY_A }, 9000).atMs, 1000)
  assert.equal(observe(seen, claimed(HELD_BY_A, claim('a', WALL_MS + 2000)), 9000).atMs, 9000)
})

test('the times inside a Lease count for nothing: a holder whose clock is years off is alive while it renews', () => {
  const longAgo = claimed(undefined, claim('a', Date.UTC(1999, 0)))
  assert.equal(decide(observe(undefined, longAgo, 1000), 'b', 2000).take, false)
  const future = claimed(undefined, claim('a', Date.UTC(2099, 0)))
  assert.equal(decide(observe(undefined, future, 1000), 'b', 16_000).take, true)
})

test('a Lease that was let go of is free at once, and so is our own', () => {
  assert.equal(decide(observe(undefined, released(HELD_BY_A, WALL_MS), 1000), 'b', 1000).take, true)
  assert.equal(decide(observe(undefined, HELD_BY_A, 1000), 'a', 1000).take, true)
})

test('transitions count changes of the holder; a renewal keeps the time of acquiring', () => {
  const renewed = claimed(HELD_BY_A, claim('a', WALL_MS + 2000))
  assert.deepEqual([renewed.transitions, renewed.acquireTime], [0, HELD_BY_A.acquireTime])
  assert.notEqual(renewed.renewTime, HELD_BY_A.renewTime)
  const taken = claimed(renewed, claim('b', WALL_MS + 9000))
  assert.deepEqual([taken.holder, taken.transitions, taken.acquireTime], ['b', 1, microTime(WALL_MS + 9000)])
  assert.equal(claimed(released(taken, WALL_MS), claim('b')).transitions, 2)
})

test('a leader may act until the deadline after its last renewal was sent, and stops before others start', () => {
  assert.equal(mayAct(1000, 10_000, 10_999), true)
  assert.equal(mayAct(1000, 10_000, 11_000), false)
})

test('a Lease goes back with all that is not ours, in six digits of time', () => {
  const raw = {
    metadata: { name: 'l', namespace: 'n', resourceVersion: '7', labels: { theirs: 'x' }, annotations: { theirs: 'y' } },
    spec: { holderIdentity: 'z', strategy: 'theirs' },
  }
  const sent = leaseObject(parseLease(raw), { namespace: 'n', name: 'l' }, HELD_BY_A, { ours: 'e' })
  assert.deepEqual(sent['metadata'], { ...raw.metadata, annotations: { theirs: 'y', ours: 'e' } })
  assert.deepEqual(sent['spec'], {
    holderIdentity: 'a',
    strategy: 'theirs',
    leaseDurationSeconds: 15,
    acquireTime: '2026-11-23T10:00:00.123000Z',
    renewTime: '2026-11-23T10:00:00.123000Z',
    leaseTransitions: 0,
  })
  assert.deepEqual(parseLease(sent).record, HELD_BY_A)
})

test('a Lease of another shape is as one that nobody holds', () => {
  for (const raw of [{}, { spec: null }, { spec: { holderIdentity: 7, leaseDurationSeconds: 'x' } }])
    assert.equal(decide(observe(undefined, parseLease(raw).record, 0), 'b', 0).take, true)
})
