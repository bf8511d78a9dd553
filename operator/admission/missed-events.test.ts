import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { Missed } from '../inject/audit.ts'
import { ApiError } from '../kube/api-error.ts'
import { fieldsOf, textOf } from '../validate/raw-fields.ts'
import { MissedEvents } from './missed-events.ts'

const MISSED: Missed = { pod: 'apps/worker', uid: 'u-1', reason: 'NotReached' }

function open(t: TestContext, { leads = true, status = 201 } = {}) {
  const written: { readonly path: string; readonly event: Readonly<Record<string, unknown>> }[] = []
  const errors: string[] = []
  const events = new MissedEvents({
    client: {
      create: async (path, event) => {
        written.push({ path, event: fieldsOf(event) })
        if (status >= 400) throw new ApiError({ status, reason: 'Refused', message: 'no' })
        return {}
      },
    },
    isLeader: () => leads,
    instance: 'operator-0',
    now: () => 0,
    onError: (pod) => errors.push(pod),
  })
  t.after(() => events.close())
  return { events, written, errors }
}

test('each Pod that is missed has one Event, which says what to do', async (t) => {
  const { events, written } = open(t)
  for (let n = 0; n < 3; n += 1) events.set([MISSED, { ...MISSED, pod: 'apps/other', uid: 'u-2', reason: 'PortConflict' }])
  await events.close()
  const [first, second] = written
  assert.equal(written.length, 2)
  assert.equal(first?.path, '/apis/events.k8s.io/v1/namespaces/apps/events')
  assert.deepEqual(first.event['regarding'], { apiVersion: 'v1', kind: 'Pod', namespace: 'apps', name: 'worker', uid: 'u-1' })
  assert.match(textOf(first.event['note']), /Delete the Pod/)
  assert.match(textOf(second?.event['note']), /PortConflict/)
})

test('the next leader writes the same Event, which is there already', async (t) => {
  const [one, two] = [open(t), open(t, { status: 409 })]
  for (const { events } of [one, two]) {
    events.set([MISSED])
    await events.close()
  }
  assert.deepEqual(fieldsOf(two.written[0]?.event['metadata']), fieldsOf(one.written[0]?.event['metadata']))
  assert.deepEqual(two.errors, [])
})

test('who does not lead writes nothing', async (t) => {
  const { events, written } = open(t, { leads: false })
  events.set([MISSED])
  await events.close()
  assert.deepEqual(written, [])
})
