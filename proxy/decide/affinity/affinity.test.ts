/** What is kept together, through `decide` and the live state as proxies have them; time is simulated. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { makeTable } from '../../../test/support/table.ts'
import { Live } from '../../live/live.ts'
import { compileTable, type EndpointStrategy } from '../../routing-table/index.ts'
import { decide } from '../decide.ts'
import type { Decision } from '../decision.ts'
import { rolls } from '../dice.ts'
import type { AffinityKeys, Facts } from '../input.ts'
import { hashOf, scoreOf } from './hash.ts'

const FACTS: Facts = {
  route: 'chat',
  path: '/v1/chat/completions',
  asked: 'm',
  stream: false,
  needs: ['chat'],
  promptTokens: 100,
  maxOutputTokens: undefined,
  headers: {},
  client: { name: undefined, namespace: 'default' },
}
const keysOf = (key: number): AffinityKeys => ({ session: () => key, prefix: () => key })

type Send = Extract<Decision, { kind: 'send' }>

class Chooser {
  readonly live = new Live()
  readonly #table

  constructor(loadBalancing: EndpointStrategy, endpoints: number) {
    const url = Array.from({ length: endpoints }, (_, at) => `http://10.0.0.${at}`)
    this.#table = compileTable(makeTable({ models: { m: { loadBalancing, backends: [{ url }] } } }))
    this.live.apply(this.#table)
  }

  decide(key: number | undefined, nowMs: number, dice: number): Send {
    const facts = key === undefined ? FACTS : { ...FACTS, keys: keysOf(key) }
    const decision = decide({ facts, table: this.#table, live: this.live, nowMs, dice, past: [], turn: false, waitingFor: () => 0 })
    assert.ok(decision.kind === 'send')
    return decision
  }
}

interface Outcome {
  /** Of requests whose prefix has been there before: those that went where most of their kind went. */
  readonly kept: number
  /** The most that one endpoint had under way, for the mean of all, while that was four or more. */
  readonly peak: number
}

/** Requests come at random; each endpoint serves eight at a time, two seconds each. `load`: of what all of them can serve. */
function simulated(load: number, { keys, hot }: { keys: number; hot: number }): Outcome {
  const [endpoints, slots, serviceMs, requests] = [4, 8, 2000, 4000]
  const chooser = new Chooser('PrefixHash', endpoints)
  const dice = rolls(0.42)
  const everyMs = serviceMs / (endpoints * slots * load)
  const ends: { readonly atMs: number; readonly release: () => void }[] = []
  const places = new Map<number, Map<string, number>>()
  let [nowMs, peak] = [0, 0]
  for (let at = 0; at < requests; at++) {
    nowMs += -Math.log(1 - dice()) * everyMs
    while (ends[0] !== undefined && ends[0].atMs <= nowMs) ends.shift()?.release()
    const key = hashOf(`prefix ${dice() < hot ? 0 : Math.floor(dice() * keys)}`)
    const { endpoint } = chooser.decide(key, nowMs, dice())
    const guard = chooser.live.take(endpoint.id, nowMs)
    ends.push({ atMs: nowMs + serviceMs, release: () => guard.release() })
    const seen = places.get(key) ?? new Map<string, number>()
    places.set(key, seen.set(endpoint.id, (seen.get(endpoint.id) ?? 0) + 1))
    if (ends.length >= endpoints * 4) peak = Math.max(peak, chooser.live.endpoint(endpoint.id).inFlight / (ends.length / endpoints))
  }
  const counts = [...places.values()].map((seen) => ({ all: sum([...seen.values()]), most: Math.max(...seen.values()) }))
  const repeated = counts.filter(({ all }) => all > 1)
  return { kept: sum(repeated.map(({ most }) => most)) / sum(repeated.map(({ all }) => all)), peak }
}

const sum = (numbers: readonly number[]): number => numbers.reduce((total, one) => total + one, 0)

test('at 70 % load at least 90 % of repeated prefixes stay at one endpoint', () => {
  const { kept } = simulated(0.7, { keys: 200, hot: 0 })
  assert.ok(kept >= 0.9, `${(kept * 100).toFixed(1)} %`)
})

test('one prefix that has half of all requests is shed by the bound, and does not bury its endpoint', () => {
  const { kept, peak } = simulated(0.9, { keys: 200, hot: 0.5 })
  assert.ok(kept < 0.9 && peak < 2, `${(kept * 100).toFixed(1)} % kept, ${peak.toFixed(2)} times the mean`)
})

test('all proxies agree where a key belongs, whatever their dice', () => {
  const [one, other] = [new Chooser('Session', 8), new Chooser('Session', 8)]
  for (let at = 0; at < 200; at++) {
    const key = hashOf(`session ${at}`)
    assert.equal(one.decide(key, 0, at / 200).endpoint.id, other.decide(key, 0, 1 - (at + 1) / 200).endpoint.id)
  }
})

test('a key that was shed is at home again when there is room', () => {
  const chooser = new Chooser('Session', 2)
  const home = chooser.decide(7, 0, 0).endpoint.id
  const guards = Array.from({ length: 20 }, () => chooser.live.take(home, 0))
  const shed = chooser.decide(7, 0, 0)
  assert.notEqual(shed.endpoint.id, home)
  assert.deepEqual([shed.affinity, shed.why], ['shed', 'only target left; session, but its place is busy'])
  for (const guard of guards) guard.release()
  assert.deepEqual([chooser.decide(7, 0, 0).endpoint.id, chooser.decide(7, 0, 0).affinity], [home, 'kept'])
})

test('without a key it is power of two', () => {
  const sent = new Chooser('PrefixHash', 4).decide(undefined, 0, 0.3)
  assert.deepEqual([sent.affinity, sent.why], ['none', 'only target left; power of two'])
})

const owner = (key: number, members: readonly { id: string; weight: number }[]): string =>
  members.toSorted((a, b) => scoreOf(key, b.id, b.weight) - scoreOf(key, a.id, a.weight))[0]?.id ?? ''

test('a member that goes moves its own keys only', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 2, maxLength: 8 }), fc.nat(), (weights, gone) => {
      const members = weights.map((weight, at) => ({ id: `e${at}`, weight }))
      const left = members.filter((_, at) => at !== gone % weights.length)
      for (let at = 0; at < 50; at++) {
        const key = hashOf(`${at}`)
        const before = owner(key, members)
        if (left.some(({ id }) => id === before)) assert.equal(owner(key, left), before)
      }
    }),
    { numRuns: 30 },
  )
})

test('keys are shared by weight', () => {
  const members = [1, 2, 5].map((weight, at) => ({ id: `e${at}`, weight }))
  const counts = new Map<string, number>()
  for (let at = 0; at < 8000; at++) {
    const id = owner(hashOf(`key ${at}`), members)
    counts.set(id, (counts.get(id) ?? 0) + 1)
  }
  for (const [at, share] of [1 / 8, 2 / 8, 5 / 8].entries())
    assert.ok(Math.abs((counts.get(`e${at}`) ?? 0) / 8000 - share) < 0.02, JSON.stringify([...counts]))
})
