/** Every strategy through `decide`, with the real live state as the owner of turns. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { makeTable } from '../../test/support/table.ts'
import { Live } from '../live/live.ts'
import {
  type CompiledTable,
  compileTable,
  ENDPOINT_STRATEGIES,
  type EndpointStrategy,
  STRATEGIES,
  type Strategy,
} from '../routing-table/index.ts'
import { decide } from './decide.ts'
import type { Decision } from './decision.ts'
import type { Facts } from './input.ts'
import { smoothAdvance, smoothNext } from './smooth.ts'
import { strategySuite, type World } from './strategies.suite.ts'

const NOW_MS = 1_000_000
/** What came back then has its full share by now. */
const LONG_AGO_MS = NOW_MS - 60_000
const FACTS: Facts = {
  route: 'chat',
  path: '/v1/chat/completions',
  asked: 'auto',
  stream: false,
  needs: ['chat'],
  promptTokens: 1,
  maxOutputTokens: undefined,
  headers: {},
  client: { name: undefined, namespace: 'default' },
}

function worldOf(table: CompiledTable, memberOf: (sent: Extract<Decision, { kind: 'send' }>) => string): World {
  const live = new Live()
  live.apply(table)
  const ids = [...table.endpoints.values()].map(({ id }) => id)
  const members = [...table.endpoints.values()].map(({ model, backend }) => `${model} ${backend.name}`)
  const idOf = (member: number): string => ids[member] ?? ''
  const running = new Map<string, number>()
  const report = (member: number, healthy: boolean): void =>
    live.report({ endpointId: idOf(member), healthy, atMs: LONG_AGO_MS, running: running.get(idOf(member)) ?? 0, signalsAtMs: NOW_MS })
  const decided = (dice: number): Decision =>
    decide({ facts: FACTS, table, live, nowMs: NOW_MS, dice, past: [], turn: false, waitingFor: () => 0 })
  return {
    next: (dice) => {
      const decision = decided(dice)
      if (decision.kind !== 'send') return undefined
      live.advance(decision.steps)
      return members.indexOf(memberOf(decision))
    },
    setUp: report,
    setRunning: (member, requests) => {
      running.set(idOf(member), requests)
      report(member, live.endpoint(idOf(member)).ready !== false)
    },
    recover: (member) => {
      for (const healthy of [false, true]) live.report({ endpointId: idOf(member), healthy, atMs: NOW_MS })
    },
    setSpeed: (member, firstTokenMs) => {
      const shown = { promptTokens: FACTS.promptTokens, outputTokens: 1, firstTokenMs, wholeMs: firstTokenMs }
      for (let at = 0; at < 8; at++) live.answered(idOf(member), shown, NOW_MS)
    },
    send: (dice) => {
      const decision = decided(dice)
      assert.equal(decision.kind, 'send')
      if (decision.kind !== 'send') return () => {}
      live.advance(decision.steps)
      const guard = live.take(decision.endpoint.id, NOW_MS, FACTS.promptTokens)
      return () => guard.succeeded(NOW_MS)
    },
    inFlight: (member) => live.endpoint(idOf(member)).inFlight,
  }
}

const memberOf = ({ endpoint }: Extract<Decision, { kind: 'send' }>): string => `${endpoint.model} ${endpoint.backend.name}`

/** One model of one endpoint per member, chosen by a policy. */
function targets(strategy: Strategy): (weights: readonly number[]) => World {
  return (weights) => {
    const models = weights.map((_, member): [string, { backends: { url: string; probed: true }[] }] => [
      `m${member}`,
      { backends: [{ url: `http://10.0.0.${member}`, probed: true }] },
    ])
    const chosen = weights.map((weight, member): [string, number] => [`m${member}`, weight])
    const table = makeTable({ models: Object.fromEntries(models), policies: { auto: { strategy, targets: chosen } } })
    return worldOf(compileTable(table), memberOf)
  }
}

/** One model, one backend per member with an endpoint each. */
function endpoints(loadBalancing: EndpointStrategy): (weights: readonly number[]) => World {
  return (weights) => {
    const backends = weights.map((weight, member) => ({ url: `http://10.0.0.${member}`, weight, probed: true }))
    return worldOf(compileTable(makeTable({ models: { auto: { loadBalancing, backends } } })), memberOf)
  }
}

for (const strategy of STRATEGIES) strategySuite({ name: `targets, ${strategy}`, world: targets(strategy) })
for (const strategy of ENDPOINT_STRATEGIES) strategySuite({ name: `endpoints, ${strategy}`, world: endpoints(strategy) })

test('endpoints, PowerOfTwo: of two the one with fewer requests for its weight, whatever the dice', () => {
  const world = endpoints('PowerOfTwo')([1, 3])
  world.setRunning(0, 2)
  world.setRunning(1, 5)
  for (let at = 0; at < 100; at++) assert.equal(world.next(at / 100), 1)
})

test('endpoints, PowerOfTwo: the busiest of many gets only what no draw against another can spare it', () => {
  const world = endpoints('PowerOfTwo')([1, 1, 1, 1])
  world.setRunning(2, 9)
  for (let at = 0; at < 1000; at++) assert.notEqual(world.next(at / 1000), 2)
})

test('targets, LeastLoad: the least loaded for its weight, whatever the dice', () => {
  const world = targets('LeastLoad')([2, 1, 1])
  for (const [member, requests] of [5, 3, 4].entries()) world.setRunning(member, requests)
  for (let at = 0; at < 100; at++) assert.equal(world.next(at / 100), 0)
})

test('weights 5, 1, 1 take turns as nginx has it, not in bursts', () => {
  const world = targets('WeightedRoundRobin')([5, 1, 1])
  const turns = Array.from({ length: 14 }, () => world.next(0))
  assert.deepEqual(turns, [0, 0, 1, 0, 2, 0, 0, 0, 0, 1, 0, 2, 0, 0])
})

/** The farthest that any member's turns are from its share, over every beginning of `turns` turns. */
function farthest(weights: readonly number[], turns: number): number {
  const members = weights.map((weight, member) => ({ id: String(member), weight }))
  const total = weights.reduce((sum, weight) => sum + weight, 0)
  const owed = new Map<string, number>()
  const taken = weights.map(() => 0)
  let worst = 0
  for (let turn = 1; turn <= turns; turn++) {
    const chosen = Number(smoothNext(members, owed)?.id)
    smoothAdvance(owed, members, String(chosen))
    taken[chosen] = (taken[chosen] ?? 0) + 1
    for (const [member, weight] of weights.entries()) worst = Math.max(worst, Math.abs((taken[member] ?? 0) - (turn * weight) / total))
  }
  return worst
}

const positive = fc.integer({ min: 1, max: 1000 })

test('round robin: of up to three members none is ever more than one turn from its share', () => {
  fc.assert(
    fc.property(fc.array(positive, { minLength: 2, maxLength: 3 }), (weights) => farthest(weights, 300) <= 1),
    { numRuns: 200 },
  )
})

test('round robin: of sixteen members none is ever more than one and a half turns from its share', () => {
  // Seeded: for more than four members this is measured, not proven.
  fc.assert(
    fc.property(fc.array(positive, { minLength: 4, maxLength: 16 }), (weights) => farthest(weights, 300) <= 1.5),
    { numRuns: 100, seed: 7 },
  )
})

test('round robin: what is owed stays bounded while members come and go, and always adds up to nothing', () => {
  const round = fc.array(fc.boolean(), { minLength: 6, maxLength: 6 })
  fc.assert(
    fc.property(fc.array(positive, { minLength: 6, maxLength: 6 }), fc.array(round, { maxLength: 100 }), (weights, rounds) => {
      const owed = new Map<string, number>()
      for (const up of rounds) {
        const members = weights.flatMap((weight, member) => (up[member] === true ? [{ id: String(member), weight }] : []))
        const chosen = smoothNext(members, owed)
        if (chosen === undefined) continue
        smoothAdvance(owed, members, chosen.id)
        const values = [...owed.values()]
        assert.ok(Math.abs(values.reduce((sum, one) => sum + one, 0)) < 1e-9)
        assert.ok(values.every((one) => Math.abs(one) < 2))
      }
    }),
    { numRuns: 50, seed: 7 },
  )
})
