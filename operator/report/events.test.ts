import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ApiError } from '../kube/api-error.ts'
import type { ApiRequest } from '../kube/client.ts'
import { FakeTimers } from '../queue/fake-timers.fixture.ts'
import { problem } from '../translate/problems.ts'
import { type Fields, isFields } from '../validate/problem.ts'
import { type EventClient, EventWriter } from './events.ts'

const PROBLEM = problem('ServiceNotFound', 'LlamaModel team-a/m', 'spec.backends[0].service.name', 'gone')

/** An API server that keeps events, or refuses. */
function bench(refuse: Partial<Record<'get' | 'create', number>> = {}) {
  const timers = new FakeTimers()
  const created: Fields[] = []
  const patched: Fields[] = []
  const answer = (status: number | undefined): void => {
    if (status !== undefined) throw new ApiError({ status, reason: 'No', message: 'no' })
  }
  const client: EventClient = {
    async get() {
      answer(refuse.get)
      return { metadata: { uid: 'u1', resourceVersion: '7' } }
    },
    async create(_path, body) {
      answer(refuse.create)
      if (isFields(body)) created.push(body)
      return {}
    },
    async request({ body }: ApiRequest) {
      if (isFields(body)) patched.push(body)
      return { status: 200, body: {} }
    },
  }
  const options = { client, timers, isLeader: () => true, instance: 'operator-0', wall: () => 1_800_000_000_123 + timers.now() }
  const events = new EventWriter({ ...options, onRecord: () => undefined, onError: () => undefined })
  return { events, timers, created, patched }
}

test('a problem is one Event at its object, with the field, the message and who says so', async () => {
  const { events, timers, created } = bench()
  for (let round = 0; round < 5; round += 1) events.set([PROBLEM])
  await timers.move(0)
  assert.equal(created.length, 1)
  const { metadata, eventTime, ...event } = created[0] ?? {}
  assert.deepEqual(event, {
    apiVersion: 'events.k8s.io/v1',
    kind: 'Event',
    type: 'Warning',
    reason: 'ServiceNotFound',
    action: 'Translate',
    note: `spec.backends[0].service.name: ${PROBLEM.message}`,
    reportingController: 'llamaswap.dev/operator',
    reportingInstance: 'operator-0',
    regarding: {
      apiVersion: 'llamaswap.dev/v1alpha1',
      kind: 'LlamaModel',
      namespace: 'team-a',
      name: 'm',
      uid: 'u1',
      resourceVersion: '7',
    },
  })
  assert.match(JSON.stringify(metadata), /^\{"namespace":"team-a","name":"m\.[0-9a-f]{16}"\}$/)
  assert.match(String(eventTime), /\.\d{6}Z$/)
})

test('a trouble that comes again long after it has gone is another Event', async () => {
  const { events, timers, created } = bench()
  const trouble = { object: 'LlamaModel team-a/m', code: 'NoEndpoints', at: 'backend gpu', message: 'gone', recurs: true } as const
  for (const _time of ['first', 'second']) {
    events.set([trouble])
    await timers.move(0)
    events.set([])
    await timers.move(130_000)
    events.set([])
  }
  assert.equal(new Set(created.map(({ metadata }) => JSON.stringify(metadata))).size, 2)
})

test('one that comes and goes within two minutes is counted, and the count is written each 30 s at most', async () => {
  const { events, timers, created, patched } = bench()
  events.set([PROBLEM])
  await timers.move(0)
  for (let round = 0; round < 10; round += 1) {
    events.set([])
    await timers.move(500)
    events.set([PROBLEM])
    await timers.move(500)
  }
  await timers.move(30_000)
  assert.equal(created.length, 1)
  assert.deepEqual(
    patched.map(({ series }) => (isFields(series) ? series['count'] : undefined)),
    [11],
  )
})

test('one that comes back later is a new one, and one that stays is told once', async () => {
  const { events, timers, created } = bench()
  events.set([PROBLEM])
  await timers.move(600_000)
  events.set([PROBLEM])
  await timers.move(0)
  assert.equal(created.length, 1)
  events.set([])
  await timers.move(120_000)
  events.set([])
  events.set([PROBLEM])
  await timers.move(0)
  assert.equal(created.length, 2)
})

test('an Event that another leader wrote stands; one of an object that is gone is not written', async () => {
  const there = bench({ create: 409 })
  there.events.set([PROBLEM])
  await there.timers.move(60_000)
  assert.deepEqual([there.created, there.patched, there.events.queue.reading().depth], [[], [], 0])
  const gone = bench({ get: 404 })
  gone.events.set([PROBLEM])
  await gone.timers.move(60_000)
  assert.deepEqual(gone.created, [])
})

test('a Secret that may not be read has its Event all the same, without its uid', async () => {
  const { events, timers, created } = bench({ get: 403 })
  events.set([problem('ClientSecretEmpty', 'Secret team-a/keys', 'data')])
  await timers.move(0)
  assert.deepEqual(created[0]?.['regarding'], { apiVersion: 'v1', kind: 'Secret', namespace: 'team-a', name: 'keys' })
})

test('notes are cut at 1024 bytes between characters, and names of objects where a name may end', async () => {
  const { events, timers, created } = bench()
  const object = `Secret team-a/${'a'.repeat(199)}.${'b'.repeat(40)}`
  events.set([{ code: 'ClientSecretEmpty', object, at: 'x', message: '€'.repeat(1000) }])
  await timers.move(0)
  const note = String(created[0]?.['note'])
  assert.equal(note, `x: ${'€'.repeat(340)}`)
  assert.match(JSON.stringify(created[0]?.['metadata']), /"name":"a{199}\.[0-9a-f]{16}"/)
})

test('a thousand problems at once come by and by', async () => {
  const { events, timers, created } = bench()
  events.set(Array.from({ length: 6000 }, (_, n) => ({ ...PROBLEM, at: `spec.backends[${n}]` })))
  await timers.move(0)
  assert.ok(created.length + events.queue.reading().depth <= 5000)
})
