/** What is kept of models is what looking at every endpoint anew would say. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { makeTable } from '../../test/support/table.ts'
import type { Candidate } from '../decide/input.ts'
import { loadsOf, standingOf, takersOf, together } from '../decide/model-view.ts'
import { type CompiledModel, compileTable } from '../routing-table/index.ts'
import { type Guard, Live } from './live.ts'

const TABLE = compileTable(
  makeTable({
    models: {
      a: { backends: [{ url: ['http://10.0.0.1', 'http://10.0.0.2'], probed: true }] },
      b: { backends: [{ url: 'http://10.0.0.3', probed: true, quota: { requestsPerMinute: 100, shiftAtPercent: 80 } }] },
    },
  }),
)
const MODELS = [...TABLE.models.values()]
const IDS = [...TABLE.endpoints.keys()]
const CANDIDATES: readonly Candidate[] = MODELS.map((model) => ({
  model,
  weight: 1,
  tier: 0,
  endpoints: model.withLastResorts,
  lost: undefined,
}))

type World = { readonly live: Live; readonly guards: Guard[]; nowMs: number }

const id = fc.constantFrom(...IDS)
const step: fc.Arbitrary<(world: World) => void> = fc.oneof(
  fc.record({ id, tokens: fc.nat({ max: 5000 }) }).map(({ id: at, tokens }) => (world: World) => {
    world.guards.push(world.live.take(at, world.nowMs, tokens))
  }),
  fc.constant((world: World) => world.guards.at(-1)?.began(world.nowMs)),
  fc.constant((world: World) => world.guards.shift()?.succeeded(world.nowMs)),
  fc.constant((world: World) => world.guards.shift()?.failed({ class: 'REFUSED', because: 'refused' }, world.nowMs, 0.5)),
  fc.constant((world: World) => world.guards.shift()?.release()),
  fc.record({ id, healthy: fc.boolean(), running: fc.nat({ max: 9 }), window: fc.option(fc.constant(4096), { nil: undefined }) }).map(
    ({ id: at, healthy, running, window }) =>
      ({ live, nowMs }: World) =>
        live.report({
          endpointId: at,
          atMs: nowMs,
          healthy,
          engine: 'vLLM',
          running,
          waiting: 0,
          signalsAtMs: nowMs,
          ...(window !== undefined && { contextWindowTokens: window }),
        }),
  ),
  id.map(
    (at) =>
      ({ live }: World) =>
        live.lacks(at, 'tools'),
  ),
)

/** Looked at anew. */
function anew(live: Live, model: CompiledModel, nowMs: number): object {
  const views = model.withLastResorts.map((endpoint) => live.endpoint(endpoint.id))
  const { untilMs: _, ...standing } = standingOf(model, views, (endpoint) => live.limits.knowsQuota(endpoint), nowMs)
  return { ...standing, loads: loadsOf(takersOf(model, views, nowMs)) }
}

function kept(live: Live, model: CompiledModel, nowMs: number): object {
  const { calm, hasQuota, limited, can, windowTokens, ceilingTokens, speaks, priced, lastResorts, loads } = live.model(model, nowMs)
  return { calm, hasQuota, limited, can, windowTokens, ceilingTokens, speaks, priced, lastResorts, loads }
}

test('whatever happens to endpoints, what is kept of their models and of all of them together is what looking anew says', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const world: World = { live: new Live(), guards: [], nowMs: 1_000_000 }
      world.live.apply(TABLE)
      for (const one of steps) {
        one(world)
        world.nowMs += 100
        const { all } = world.live.outlook(CANDIDATES, world.nowMs)
        for (const model of MODELS) assert.deepEqual(kept(world.live, model, world.nowMs), anew(world.live, model, world.nowMs))
        assert.deepEqual(all, together(MODELS.map((model) => world.live.model(model, world.nowMs))))
      }
    }),
    { numRuns: 100 },
  )
})

test('signals grow stale without anybody saying so', () => {
  const live = new Live()
  live.apply(TABLE)
  const [model] = MODELS
  assert.ok(model !== undefined)
  live.report({ endpointId: IDS[0] ?? '', atMs: 0, healthy: true, running: 6, waiting: 0, signalsAtMs: 0 })
  assert.equal(live.model(model, 1000).loads.ahead, 3)
  assert.equal(live.model(model, 16_000).loads.ahead, 0)
})

test('an endpoint that comes back is not known any more: it starts as its peers', () => {
  const live = new Live()
  live.apply(TABLE)
  const [at = ''] = IDS
  const answer = { promptTokens: 100, outputTokens: 10, firstTokenMs: 9000, wholeMs: 9900 }
  live.answered(at, answer, 0)
  assert.equal(live.endpoint(at).paces[0]?.weight, 1)
  for (const healthy of [false, true]) live.report({ endpointId: at, atMs: 1, healthy })
  assert.equal(live.endpoint(at).paces[0]?.weight, 0)
})

test('requests that wait for a first token, and the time between two, are known at once', () => {
  const live = new Live()
  live.apply(TABLE)
  const [at = ''] = IDS
  const guards = [0, 1, 2].map(() => live.take(at, 0, 1000))
  assert.deepEqual([live.endpoint(at).unbegun, live.endpoint(at).unreadTokens], [3, 3000])
  for (const [index, guard] of guards.entries()) guard.began(200 + index * 50)
  assert.deepEqual([live.endpoint(at).unbegun, live.endpoint(at).unreadTokens, live.endpoint(at).beginEveryMs], [0, 0, 50])
  assert.equal(live.endpoint(at).promptTokenMs, 0.2)
  guards[0]?.began(900)
  for (const guard of guards) guard.succeeded(1000)
  assert.deepEqual([live.endpoint(at).unbegun, live.endpoint(at).inFlight], [0, 0])
})
