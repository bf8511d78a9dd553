/** Two installations that want the same namespaces, on a real API server. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { SCOPE_LEASE, SCOPE_TIMING, Scope, type ScopeState, type ScopeTiming } from '../../operator/lead/scope.ts'
import type { Cluster } from '../support/control-plane/cluster.ts'
import { sharedControlPlane } from '../support/control-plane/shared.ts'
import { eventually } from '../support/eventually.ts'
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

const leasePath = (namespace: string): string => `/apis/coordination.k8s.io/v1/namespaces/${namespace}/leases/${SCOPE_LEASE}`

/** Nobody waits a minute for the same program: Leases of 3 s, renewed each second. */
const QUICK: ScopeTiming = { renewMs: 1000, betweenWritesMs: 10, renewals: 3, retryMs: 500 }

function scope(installation: string, namespaces: readonly string[], timing = QUICK) {
  const counted = new Counted(plane)
  const waiter = new Waiter()
  const states: ScopeState[] = []
  const errors: unknown[] = []
  const held = new Scope({
    client: counted.client,
    installation,
    namespaces,
    timing,
    onChange: (state) => {
      states.push(state)
      waiter.poke()
    },
    onError: (error) => errors.push(error),
  })
  held.start()
  return {
    held,
    counted,
    states,
    errors,
    until: (may: ScopeState['may'], withinMs = 5000) => waiter.until(() => held.state.may === may, withinMs, `${installation}: ${may}`),
    async close() {
      await held.close()
      await counted.client.close()
    },
  }
}

test('a second installation with a namespace in common may not lead, and says who is in the way and where', async () => {
  const [x, y, z] = [await plane.namespace(), await plane.namespace(), await plane.namespace()]
  const first = scope('team-a/llama-swap', [x, y])
  await first.until('lead')
  const second = scope('team-b/llama-swap', [z, y, x])
  try {
    await second.until('not')
    const { state } = second.held
    assert.ok(state.may === 'not')
    assert.equal(
      state.conflicts.every(({ holder }) => holder === 'team-a/llama-swap'),
      true,
    )
    assert.match(
      state.message,
      /^team-b\/llama-swap does not lead: team-a\/llama-swap serves .* already \(Lease llama-swap-scope there\)\. /,
    )
    assert.equal(first.held.state.may, 'lead')
    assert.deepEqual(second.errors, [])
  } finally {
    await first.close()
    await second.close()
  }
})

test('once the first installation is gone its namespaces become free by themselves', async () => {
  const x = await plane.namespace()
  const first = scope('team-a/llama-swap', [x])
  await first.until('lead')
  await first.close()
  const second = scope('team-b/llama-swap', [x])
  try {
    await second.until('not')
    await second.until('lead', 6000)
  } finally {
    await second.close()
  }
})

test('another leader of the same installation goes on at once', async () => {
  const x = await plane.namespace()
  const first = scope('team-a/llama-swap', [x])
  await first.until('lead')
  await first.close()
  const next = scope('team-a/llama-swap', [x])
  try {
    await next.until('lead', 1000)
    assert.equal(
      next.states.some(({ may }) => may === 'not'),
      false,
    )
  } finally {
    await next.close()
  }
})

test('an installation that may not lead lets all it holds expire, and has it again before it leads', async () => {
  const [x, y] = [await plane.namespace(), await plane.namespace()]
  const first = scope('team-a/llama-swap', [x])
  await first.until('lead')
  const second = scope('team-b/llama-swap', [y, x])
  await second.until('not')
  const third = scope('team-c/llama-swap', [y])
  try {
    await third.until('not')
    await third.until('lead', 6000)
    await first.close()
    const conflicts = (): string => JSON.stringify(second.held.state)
    await second.until('not')
    assert.match(conflicts(), /team-a/)
    const taken = new Waiter()
    const ticking = setInterval(taken.poke, 50)
    await taken.until(() => /team-c/.test(conflicts()), 8000, 'team-c is in the way').finally(() => clearInterval(ticking))
    assert.equal(
      second.states.some(({ may }) => may === 'lead'),
      false,
    )
  } finally {
    await second.close()
    await third.close()
  }
})

test('a namespace that comes later is claimed; one that is taken ends the right to lead; one that is left out frees it again', async () => {
  const [x, y, z] = [await plane.namespace(), await plane.namespace(), await plane.namespace()]
  const first = scope('team-a/llama-swap', [y])
  const second = scope('team-b/llama-swap', [x])
  try {
    await Promise.all([first.until('lead'), second.until('lead')])
    second.held.setNamespaces([x, z])
    await eventually(() => direct.get(leasePath(z)))
    second.held.setNamespaces([x, y, z])
    await second.until('not')
    second.held.setNamespaces([x, z])
    await second.until('lead')
    assert.equal(first.held.state.may, 'lead')
  } finally {
    await first.close()
    await second.close()
  }
})

test('a namespace that is gone or going is in nobody’s way', async () => {
  const x = await plane.namespace()
  await direct.client.remove(`/api/v1/namespaces/${x}`, within())
  const one = scope('team-a/llama-swap', [x, 'no-such-namespace'])
  try {
    await one.until('lead')
    assert.deepEqual(one.errors, [])
  } finally {
    await one.close()
  }
})

test('at rest there is one write a namespace in 20 s, and with many namespaces two a second in all', async () => {
  const namespaces = await Promise.all(Array.from({ length: 12 }, () => plane.namespace()))
  const one = scope('team-a/llama-swap', namespaces, { ...SCOPE_TIMING, renewMs: 1000, betweenWritesMs: 100 })
  try {
    await one.until('lead')
    const before = one.counted.writes
    assert.equal(before, namespaces.length)
    await new Promise((resolve) => setTimeout(resolve, 3600))
    const renewals = one.counted.writes - before
    assert.ok(renewals >= 22 && renewals <= 37, `${renewals}`)
    const lease = await direct.get(leasePath(namespaces[0] ?? ''))
    assert.match(JSON.stringify(lease), /"leaseDurationSeconds":4/)
  } finally {
    await one.close()
  }
})
