/** Elections on a real API server, with the times that are in use. */
import assert from 'node:assert/strict'
import { relative } from 'node:path'
import { after, before, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { Election, type ElectionOptions, EPOCH_ANNOTATION, NotLeading } from '../../operator/lead/election.ts'
import { type Fields, isFields } from '../../operator/validate/problem.ts'
import type { Cluster } from '../support/control-plane/cluster.ts'
import { sharedControlPlane } from '../support/control-plane/shared.ts'
import { type Program, ROOT, startProgram } from '../support/program.ts'
import { Counted, Waiter, within } from './lead-ground.ts'

let plane: Cluster
let direct: Counted

before(async () => {
  plane = await sharedControlPlane()
  direct = new Counted(plane)
})

after(async () => {
  await direct?.client.close()
})

const leasePath = (namespace: string): string => `/apis/coordination.k8s.io/v1/namespaces/${namespace}/leases/llama-swap`
const fieldsOf = (value: unknown): Fields => (isFields(value) ? value : {})
const annotationsOf = (lease: Fields): Fields => fieldsOf(fieldsOf(lease['metadata'])['annotations'])
const specOf = (lease: Fields): Fields => fieldsOf(lease['spec'])

/** A candidate in this process. */
function candidate(namespace: string, identity: string, options: Partial<ElectionOptions> = {}) {
  const counted = new Counted(plane)
  const waiter = new Waiter()
  const changes: boolean[] = []
  const errors: unknown[] = []
  const election = new Election({
    client: counted.client,
    lease: { namespace, name: 'llama-swap' },
    identity,
    onChange: (isLeader) => {
      changes.push(isLeader)
      waiter.poke()
    },
    onError: (error) => errors.push(error),
    ...options,
  })
  election.start()
  return {
    election,
    counted,
    changes,
    errors,
    leads: (leads: boolean, withinMs: number) => waiter.until(() => election.isLeader === leads, withinMs, `${identity} leads: ${leads}`),
    async close() {
      await election.close()
      await counted.client.close()
    },
  }
}

/** A candidate that is a process. */
const elector = (namespace: string, identity: string): Program =>
  startProgram({
    file: relative(ROOT, fileURLToPath(import.meta.resolve('./lead-elector.ts'))),
    env: {
      SERVER: JSON.stringify({ url: plane.url, ca: plane.ca, adminToken: plane.adminToken }),
      NAMESPACE: namespace,
      IDENTITY: identity,
    },
  })

test('one of two leads; when it lets go, the other leads within 4 s', async (t) => {
  const namespace = await plane.namespace()
  const a = candidate(namespace, 'a', { address: 'https://10.0.0.1:8443' })
  await a.leads(true, 5000)
  const b = candidate(namespace, 'b')
  try {
    await delay(2500)
    assert.deepEqual(b.changes, [])
    assert.deepEqual(b.election.leader, { identity: 'a', address: 'https://10.0.0.1:8443' })
    assert.equal(await a.election.confirm(), true)
    assert.equal(await b.election.confirm(), false)

    const startedAt = performance.now()
    await a.close()
    assert.deepEqual(a.changes, [true, false])
    await b.leads(true, 4000)
    t.diagnostic(`taken over ${Math.round(performance.now() - startedAt)} ms after it was let go of`)
    const { holderIdentity, leaseTransitions, leaseDurationSeconds, renewTime } = specOf(await direct.get(leasePath(namespace)))
    assert.deepEqual([holderIdentity, leaseTransitions, leaseDurationSeconds], ['b', 1, 15])
    assert.match(String(renewTime), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/)
    assert.deepEqual([a.errors, b.errors], [[], []])
  } finally {
    await b.close()
  }
})

test('when the leader is killed, another leads within 20 s, and not before the lease has run out', async (t) => {
  const namespace = await plane.namespace()
  const a = elector(namespace, 'a')
  await a.line(({ isLeader }) => isLeader === true)
  const b = candidate(namespace, 'b')
  try {
    await delay(2500)
    const startedAt = performance.now()
    a.child.kill('SIGKILL')
    await a.ended
    await b.leads(true, 20_000)
    const ms = performance.now() - startedAt
    t.diagnostic(`taken over after ${Math.round(ms)} ms`)
    assert.ok(ms > 12_000, `${ms}`)
  } finally {
    await b.close()
  }
})

test('a leader that stood still is no leader when it wakes up, not for an instant, and its epoch is behind', async (t) => {
  const namespace = await plane.namespace()
  const a = elector(namespace, 'a')
  await a.line(({ epoch }) => epoch === 1)
  const b = candidate(namespace, 'b')
  try {
    await delay(2500)
    a.child.kill('SIGSTOP')
    await b.leads(true, 20_000)
    assert.equal(await b.election.claimEpoch(0), 2)
    a.child.kill('SIGCONT')
    const { tookItselfForLeader, stoodMs } = await a.line((line) => 'tookItselfForLeader' in line)
    t.diagnostic(`stood for ${Math.round(Number(stoodMs))} ms`)
    assert.equal(tookItselfForLeader, false)
    await a.line(({ isLeader }) => isLeader === false)
    assert.equal(b.election.isLeader, true)
    assert.equal(a.lines().filter(({ isLeader }) => isLeader === true).length, 1)
  } finally {
    await b.close()
    await a.close()
  }
})

test('a leader that the API server leaves alone stops after 10 s, and leads again once it answers', async () => {
  const namespace = await plane.namespace()
  let isCut = false
  const cut = async (): Promise<never> => {
    throw new Error('cut')
  }
  const { client } = direct
  const a = candidate(namespace, 'a', {
    client: {
      get: (...call) => (isCut ? cut() : client.get(...call)),
      create: (...call) => (isCut ? cut() : client.create(...call)),
      update: (...call) => (isCut ? cut() : client.update(...call)),
    },
  })
  try {
    await a.leads(true, 5000)
    assert.equal(await a.election.claimEpoch(4), 5)
    isCut = true
    const startedAt = performance.now()
    await a.leads(false, 12_000)
    const ms = performance.now() - startedAt
    assert.ok(ms > 7500 && ms < 10_500, `${ms}`)
    await assert.rejects(a.election.claimEpoch(0), NotLeading)
    isCut = false
    await a.leads(true, 5000)
    assert.equal(await a.election.raiseEpoch(0), 6)
    assert.deepEqual(a.changes, [true, false, true])
  } finally {
    await a.close()
  }
})

test('epochs rise above the Lease, above gateways and above memory, and are written before they are given out', async () => {
  const namespace = await plane.namespace()
  const a = candidate(namespace, 'a')
  const written = async (): Promise<unknown> => annotationsOf(await direct.get(leasePath(namespace)))[EPOCH_ANNOTATION]
  try {
    await a.leads(true, 5000)
    assert.equal(await a.election.claimEpoch(0), 1)
    assert.equal(await written(), '1')
    assert.equal(await a.election.claimEpoch(0), 2)
    assert.equal(await a.election.raiseEpoch(1), 2)
    assert.equal(await a.election.raiseEpoch(41), 42)
    assert.equal(await written(), '42')
    await assert.rejects(a.election.claimEpoch(Number.MAX_SAFE_INTEGER), RangeError)
    assert.deepEqual(await Promise.all([a.election.claimEpoch(0), a.election.claimEpoch(0)]), [43, 44])

    await direct.client.remove(leasePath(namespace), within())
    assert.equal(await a.election.claimEpoch(0), 45)
    assert.equal(await written(), '45')
    assert.deepEqual(a.changes, [true])
  } finally {
    await a.close()
  }
  const b = candidate(namespace, 'b')
  try {
    await b.leads(true, 4000)
    assert.equal(await b.election.claimEpoch(0), 46)
  } finally {
    await b.close()
  }
})

test('a Lease that others write into keeps what they wrote, and its leader', async () => {
  const namespace = await plane.namespace()
  const a = candidate(namespace, 'a')
  try {
    await a.leads(true, 5000)
    const patch = { metadata: { annotations: { theirs: 'x', [EPOCH_ANNOTATION]: 'nonsense' } } }
    const contentType = 'application/merge-patch+json'
    await direct.client.request({ method: 'PATCH', path: leasePath(namespace), body: patch, contentType, ...within() })
    assert.equal(await a.election.claimEpoch(7), 8)
    assert.deepEqual(annotationsOf(await direct.get(leasePath(namespace))), { theirs: 'x', [EPOCH_ANNOTATION]: '8' })
    assert.deepEqual([a.changes, a.errors], [[true], []])
  } finally {
    await a.close()
  }
})

test('a candidate without rights or without a namespace never leads, says why, and asks every 2 s', async () => {
  const a = candidate('no-such-namespace', 'a')
  try {
    await delay(4500)
    assert.deepEqual(a.changes, [])
    assert.match(String(a.errors[0]), /namespaces "no-such-namespace" not found/)
    assert.ok(a.counted.records.length <= 6, `${a.counted.records.length}`)
  } finally {
    await a.close()
  }
})
