/** Circuits through `Live`, with times as values. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { makeTable } from '../../test/support/table.ts'
import { admits, phaseOf, rampPercent } from '../decide/circuit-view.ts'
import type { FailureClass } from '../decide/classes.ts'
import { type CompiledTable, compileTable } from '../routing-table/index.ts'
import type { Outlier } from '../routing-table/v1.ts'
import { mayEject } from './circuit.ts'
import { type CircuitEvent, type Guard, Live, type LiveOptions } from './live.ts'

interface Setting {
  readonly endpoints?: number
  readonly outlier?: Outlier
  readonly probed?: boolean
}

const tableOf = ({ endpoints = 1, outlier = {}, probed = false }: Setting): CompiledTable => {
  const url = Array.from({ length: endpoints }, (_, at) => `http://10.0.0.${at}`)
  return compileTable(makeTable({ models: { m: { backends: [{ url, probed, health: { outlier } }] } } }))
}

/** One model, and what befalls its endpoints. */
class World {
  readonly live: Live
  readonly events: CircuitEvent[] = []
  readonly ids: readonly string[]
  nowMs = 1_000_000

  constructor(setting: Setting = {}, retest?: LiveOptions['retest']) {
    this.live = new Live({ onCircuit: (event) => this.events.push(event), ...(retest !== undefined && { retest }) })
    const table = tableOf(setting)
    this.live.apply(table)
    this.ids = [...table.endpoints.keys()]
  }

  take(at = 0): Guard {
    return this.live.take(this.ids[at] ?? '', this.nowMs)
  }

  fail(
    failure: FailureClass = 'RETRY_SAME',
    { at = 0, dice = 0.5, retryAfterMs }: { at?: number; dice?: number; retryAfterMs?: number } = {},
  ): void {
    this.take(at).failed({ class: failure, because: failure, retryAfterMs }, this.nowMs, dice)
  }

  answer(at = 0): void {
    this.take(at).succeeded(this.nowMs)
  }

  get view() {
    return this.live.endpoint(this.ids[0] ?? '')
  }

  /** `phase admits percent`, of the first endpoint. */
  get says(): string {
    return `${phaseOf(this.view, this.nowMs)} ${admits(this.view, this.nowMs)} ${rampPercent(this.view.circuit, this.nowMs)}`
  }

  told(kind: CircuitEvent['kind']): string[] {
    return this.events.flatMap((event) => {
      if (event.kind !== kind) return []
      return [event.kind === 'opened' ? event.trip : event.kind === 'probed' ? event.result : 'panic']
    })
  }
}

/** Steps: what happens, then what the circuit says. */
const STORIES: Readonly<Record<string, { setting?: Setting; steps: readonly (readonly [(world: World) => void, string])[] }>> = {
  'one failure on a quiet endpoint does nothing': { steps: [[(w) => w.fail(), 'closed any 100']] },
  'three in a row open it': { steps: [[(w) => repeat(3, () => w.fail()), 'open none 100']] },
  'the resource says how many in a row': {
    setting: { outlier: { consecutiveFailures: 4 } },
    steps: [
      [(w) => repeat(3, () => w.fail()), 'closed any 100'],
      [(w) => w.fail(), 'open none 100'],
    ],
  },
  'five failures among ten requests within ten seconds open it, however they are mixed': {
    steps: [
      [(w) => repeat(4, () => [w.fail(), w.answer()]), 'closed any 100'],
      [(w) => w.fail(), 'open none 100'],
    ],
  },
  'five failures among eleven requests do not': {
    steps: [[(w) => [repeat(2, () => w.answer()), repeat(4, () => [w.fail(), w.answer()]), w.fail()], 'closed any 100']],
  },
  'five failures over more than ten seconds do not': {
    steps: [[(w) => repeat(5, () => [w.fail(), w.answer(), pass(w, 2600)]), 'closed any 100']],
  },
  'a refused connection opens it at once': { steps: [[(w) => w.fail('REFUSED'), 'open none 100']] },
  'an endpoint that is overloaded or rate limited is parked, its circuit stays closed': {
    steps: [
      [(w) => repeat(20, () => w.fail('CAPACITY')), 'closed none 100'],
      [(w) => repeat(20, () => w.fail('RATE_LIMIT', { retryAfterMs: 30_000 })), 'closed none 100'],
      [(w) => pass(w, 30_000), 'closed any 100'],
    ],
  },
  "what is the client's fault, or nobody's, never counts": {
    steps: [
      [(w) => repeat(20, () => w.fail('CLIENT_FATAL')), 'closed any 100'],
      [(w) => repeat(20, () => w.fail('CONTEXT')), 'closed any 100'],
      [(w) => repeat(20, () => w.take().release()), 'closed any 100'],
    ],
  },
  'half-open admits one; its success begins a ramp, whose steps take two seconds each': {
    steps: [
      [(w) => w.fail('REFUSED'), 'open none 100'],
      [(w) => pass(w, 499), 'open none 100'],
      [(w) => pass(w, 1), 'half_open one 100'],
      [(w) => w.answer(), 'ramping any 10'],
      [(w) => [pass(w, 1999), w.answer()], 'ramping any 10'],
      [(w) => [pass(w, 1), w.answer()], 'ramping any 25'],
      [(w) => [pass(w, 2000), w.answer()], 'ramping any 50'],
      [(w) => [pass(w, 2000), w.answer()], 'closed any 100'],
    ],
  },
  'a ramp without requests takes five seconds a step': {
    steps: [
      [(w) => [w.fail('REFUSED'), pass(w, 500), w.answer()], 'ramping any 10'],
      [(w) => pass(w, 5000), 'ramping any 25'],
      [(w) => pass(w, 5000), 'ramping any 50'],
      [(w) => pass(w, 5000), 'closed any 100'],
    ],
  },
  'a failure within a ramp begins it anew': {
    steps: [
      [(w) => [w.fail('REFUSED'), pass(w, 500), w.answer(), pass(w, 5000)], 'ramping any 25'],
      [(w) => w.fail(), 'ramping any 10'],
    ],
  },
  'half-open that fails opens it again, overload included': {
    steps: [
      [(w) => [w.fail('REFUSED'), pass(w, 500), w.fail()], 'open none 100'],
      [(w) => pass(w, 999), 'open none 100'],
      [(w) => [pass(w, 1), w.fail('CAPACITY', { retryAfterMs: 1 })], 'open none 100'],
    ],
  },
  'half-open that is refused for what it asks, or is rate limited, has met an engine that works': {
    steps: [
      [(w) => [w.fail('REFUSED'), pass(w, 500), w.fail('CLIENT_FATAL')], 'ramping any 10'],
      [(w) => [w.fail('REFUSED'), pass(w, 1000), w.fail('RATE_LIMIT', { retryAfterMs: 700 })], 'ramping none 10'],
    ],
  },
  'while the one is under way there is room for no other; without a verdict there is again': {
    steps: [
      [(w) => [w.fail('REFUSED'), pass(w, 500)], 'half_open one 100'],
      [(w) => held(w).push(w.take()), 'half_open none 100'],
      [(w) => pass(w, 60_000), 'half_open none 100'],
      [(w) => held(w)[0]?.release(), 'half_open one 100'],
      [(w) => held(w).push(w.take()), 'half_open none 100'],
      [(w) => held(w)[0]?.release(), 'half_open none 100'],
      [(w) => held(w)[1]?.began(w.nowMs), 'ramping any 10'],
      [(w) => held(w)[1]?.failed({ class: 'RETRY_SAME', because: 'x' }, w.nowMs, 0), 'ramping any 10'],
    ],
  },
  'an answer in panic, begun after it opened, ends it; one from before does not': {
    steps: [
      [(w) => [held(w).push(w.take()), pass(w, 1), w.fail('REFUSED'), pass(w, 1)], 'open none 100'],
      [(w) => held(w)[0]?.succeeded(w.nowMs), 'open none 100'],
      [(w) => w.answer(), 'ramping any 10'],
    ],
  },
  'an endpoint with refused credentials is re-tested by one request a minute': {
    steps: [
      [(w) => w.fail('ENDPOINT_DISABLED'), 'closed none 100'],
      [(w) => pass(w, 60_000), 'closed one 100'],
      [(w) => held(w).push(w.take()), 'closed none 100'],
      [(w) => held(w)[0]?.failed({ class: 'ENDPOINT_DISABLED', because: 'HTTP 401' }, w.nowMs, 0), 'closed none 100'],
      [(w) => pass(w, 60_000), 'closed one 100'],
      [(w) => w.answer(), 'closed any 100'],
    ],
  },
}

const guards = new WeakMap<World, Guard[]>()
const held = (world: World): Guard[] => guards.get(world) ?? guards.set(world, []).get(world) ?? []

function pass(world: World, ms: number): void {
  world.nowMs += ms
}

function repeat(times: number, work: () => unknown): void {
  for (let at = 0; at < times; at++) work()
}

for (const [name, { setting, steps }] of Object.entries(STORIES))
  test(name, () => {
    const world = new World(setting)
    for (const [at, [happens, says]] of steps.entries()) {
      happens(world)
      assert.equal(world.says, says, `step ${at}`)
    }
  })

test('what happens is told: openings and why, probes and their results, panic', () => {
  const world = new World()
  repeat(4, () => world.fail())
  pass(world, 500)
  world.fail()
  pass(world, 1000)
  world.take().release()
  world.answer()
  assert.deepEqual(world.told('opened'), ['in_a_row', 'half_open'])
  assert.deepEqual(world.told('probed'), ['reopened', 'inconclusive', 'closed'])
  assert.deepEqual(world.told('panic'), ['panic'])
})

test('a pass-through is only counted: it takes no place of a probe', () => {
  const world = new World()
  world.fail('REFUSED')
  pass(world, 500)
  assert.equal(world.live.take(world.ids[0] ?? '').probe, false)
  assert.equal(world.says, 'half_open one 100')
})

test('where we probe ourselves no request is a probe, unless ours is late', () => {
  const asked: number[] = []
  const world = new World({ probed: true }, (_id, afterMs) => asked.push(afterMs))
  const retested = (because: string | undefined): void =>
    world.live.retested({ endpointId: world.ids[0] ?? '', tookMs: 0, because, answered: true }, world.nowMs, 0.5)
  world.fail('REFUSED')
  assert.deepEqual(asked, [500])
  retested(undefined)
  assert.equal(world.says, 'open none 100', 'not before its time')
  pass(world, 500)
  assert.equal(world.says, 'half_open none 100')
  retested('status 503')
  assert.equal(world.says, 'open none 100')
  assert.deepEqual(asked.slice(1), [1000])
  pass(world, 1000)
  retested(undefined)
  assert.equal(world.says, 'ramping any 10')
  assert.deepEqual(world.told('probed'), ['reopened', 'closed'])
  world.fail('REFUSED')
  pass(world, 2000 + 12_000)
  assert.equal(world.says, 'half_open one 100')
})

test('outlier rules take at most half of the replicas out; refused connections as many as there are', () => {
  const ejected = (endpoints: number, failure: FailureClass, outlier: Outlier = {}): number => {
    const world = new World({ endpoints, outlier })
    for (let at = 0; at < endpoints; at++) repeat(4, () => world.fail(failure, { at }))
    return world.ids.filter((id) => world.live.endpoint(id).circuit.state === 'open').length
  }
  assert.deepEqual(
    [1, 2, 3, 4, 5, 10].map((endpoints) => ejected(endpoints, 'RETRY_SAME')),
    [1, 1, 1, 2, 2, 5],
  )
  assert.equal(ejected(10, 'RETRY_SAME', { maxEjectedPercent: 20 }), 2)
  assert.equal(ejected(10, 'RETRY_SAME', { maxEjectedPercent: 0 }), 0)
  assert.equal(ejected(10, 'REFUSED'), 10)
})

test('an endpoint that may not be taken out is, once there is room', () => {
  const world = new World({ endpoints: 2 })
  repeat(3, () => world.fail())
  repeat(3, () => world.fail('RETRY_SAME', { at: 1 }))
  const second = (): string => world.live.endpoint(world.ids[1] ?? '').circuit.state
  assert.equal(second(), 'closed')
  pass(world, 500)
  world.answer()
  world.fail('RETRY_SAME', { at: 1 })
  assert.equal(second(), 'open')
})

test('an endpoint that comes to others begins with a tenth of its share; the first ones of a model do not', () => {
  const live = new Live()
  live.apply(tableOf({ endpoints: 2 }), 1000)
  const table = tableOf({ endpoints: 3 })
  live.apply(table, 2000)
  assert.deepEqual(
    [...table.endpoints.keys()].map((id) => rampPercent(live.endpoint(id).circuit, 2000)),
    [100, 100, 10],
  )
})

const CLASS_NAMES: readonly FailureClass[] = ['RETRY_SAME', 'REFUSED', 'CAPACITY', 'RATE_LIMIT', 'OUR_DEADLINE', 'BAD_RESPONSE', 'CONTENT']
const dice = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })
const at = fc.nat({ max: 4 })
const event = fc.oneof(
  fc.record({ kind: fc.constant('take' as const), at }),
  fc.record({ kind: fc.constant('answered' as const), guard: fc.nat({ max: 40 }) }),
  fc.record({ kind: fc.constant('released' as const), guard: fc.nat({ max: 40 }) }),
  fc.record({ kind: fc.constant('failed' as const), guard: fc.nat({ max: 40 }), class: fc.constantFrom(...CLASS_NAMES), dice }),
  fc.record({ kind: fc.constant('passed' as const), ms: fc.integer({ min: 1, max: 3000 }) }),
)

test('whatever happens: one probe at a time, no failure shortens a time, outlier rules keep their share, in flight is what was taken', () => {
  fc.assert(
    fc.property(fc.array(event, { maxLength: 200, size: 'max' }), (events) => {
      const world = new World({ endpoints: 5 })
      const taken: { guard: Guard; at: number; open: boolean }[] = []
      for (const one of events) {
        const before = world.ids.map((id) => world.live.endpoint(id))
        const opens = before.map(({ circuit, coolUntilMs }) => ({ state: circuit.state, coolUntilMs }))
        if (one.kind === 'passed') pass(world, one.ms)
        else if (one.kind === 'take') {
          const may = admits(world.live.endpoint(world.ids[one.at] ?? ''), world.nowMs)
          const guard = world.take(one.at)
          assert.equal(guard.probe, may === 'one')
          taken.push({ guard, at: one.at, open: true })
        } else {
          const found = taken[one.guard]
          if (found === undefined) continue
          found.open = false
          if (one.kind === 'answered') found.guard.succeeded(world.nowMs)
          else if (one.kind === 'released') found.guard.release()
          else {
            found.guard.failed({ class: one.class, because: 'x' }, world.nowMs, one.dice)
            const was = opens[found.at]
            const is = world.live.endpoint(world.ids[found.at] ?? '')
            if (was !== undefined && is.circuit.state === 'open') assert.ok(is.coolUntilMs >= was.coolUntilMs)
          }
        }
        const states = world.ids.map((id) => world.live.endpoint(id))
        assert.ok(states.filter(({ circuit }) => circuit.state === 'open' && circuit.trip !== 'refused').length <= 2)
        for (const [index, state] of states.entries()) {
          assert.equal(state.inFlight, taken.filter((other) => other.open && other.at === index).length)
          if (admits(state, world.nowMs) === 'one') assert.equal(state.probing, false)
        }
      }
    }),
    { numRuns: 100 },
  )
})

test('the share of outlier rules is at least one endpoint, and never more than it says', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 50 }), fc.integer({ min: 1, max: 100 }), (endpoints, percent) => {
      let ejected = 0
      while (mayEject(ejected, endpoints, percent)) ejected++
      assert.ok(ejected >= 1 && (ejected === 1 || ejected / endpoints <= percent / 100))
    }),
  )
})

/** S15: an outage of a minute, a request each four seconds, another target beside it. */
function outage(world: World, failure: FailureClass, dices: () => number): { probes: number; backAfterMs: number } {
  const startMs = world.nowMs
  let probes = 0
  for (;;) {
    const down = world.nowMs - startMs < 60_000
    if (admits(world.view, world.nowMs) !== 'none') {
      if (!down) return { probes, backAfterMs: world.nowMs - startMs - 60_000 }
      probes++
      world.fail(failure, { dice: dices() })
    }
    pass(world, 4000)
  }
}

for (const failure of ['CAPACITY', 'RETRY_SAME', 'REFUSED'] as const)
  test(`an outage of a minute that shows as ${failure}: back within 30 s of its end, after few tries`, () => {
    fc.assert(
      fc.property(fc.infiniteStream(dice), (dices) => {
        const { probes, backAfterMs } = outage(new World(), failure, () => dices.next().value ?? 0)
        assert.ok(backAfterMs <= 19_000 && probes <= 15, `${probes} tries, back after ${backAfterMs} ms`)
      }),
    )
  })
