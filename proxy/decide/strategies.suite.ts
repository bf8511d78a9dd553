/** What holds of every strategy, of targets and of endpoints alike. Chance comes from dice that are the same in every run. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { rolls } from './dice.ts'

/** Members 0, 1, 2 … with weights, of which one is chosen at a time. */
export interface World {
  /** The member chosen; undefined = refused. A turn that it takes is used up. */
  next(dice: number): number | undefined
  setUp(member: number, up: boolean): void
  setRunning(member: number, requests: number): void
  /** It was down and has come back this moment. */
  recover(member: number): void
  /** It has answered so fast, and not once only. */
  setSpeed(member: number, firstTokenMs: number): void
  /** A request is sent by a decision; the answer ends it, once or more often. */
  send(dice: number): () => void
  inFlight(member: number): number
}

export interface Subject {
  readonly name: string
  readonly world: (weights: readonly number[]) => World
}

const PICKS = 10_000
/** Of all picks: a member's part differs from its share by no more. */
const TOLERANCE = 0.01

/** `count` dice whose first roll falls once into each `count`th of [0, 1), in an order that looks like chance. */
function evenDice(count: number): readonly number[] {
  const taken = new Set<number>()
  const dice: number[] = []
  for (let at = 0; dice.length < count; at++) {
    const one = (at * 0.618_033_988_749_895) % 1
    const stratum = Math.floor(rolls(one)() * count)
    if (taken.has(stratum)) continue
    taken.add(stratum)
    dice.push(one)
  }
  return dice
}

const DICE = evenDice(PICKS)
const PHASES = 4
const PHASE_DICE = evenDice(PICKS / PHASES)

const weight = fc.integer({ min: 0, max: 1000 })
const someWeights = fc.array(weight, { minLength: 1, maxLength: 8 })

/** A share of all turns per member, by weight among those that are up. */
function shares(weights: readonly number[], isUp: (member: number) => boolean): number[] {
  const total = weights.reduce((sum, one, member) => sum + (isUp(member) ? one : 0), 0)
  const up = weights.filter((_, member) => isUp(member)).length
  return weights.map((one, member) => (isUp(member) ? (total > 0 ? one / total : 1 / up) : 0))
}

function count(world: World, picks: number[], dice: readonly number[]): void {
  for (const one of dice) {
    const chosen = world.next(one)
    assert.ok(chosen !== undefined)
    picks[chosen] = (picks[chosen] ?? 0) + 1
  }
}

function assertShares(picks: readonly number[], expected: readonly number[]): void {
  for (const [member, share] of expected.entries()) {
    const part = (picks[member] ?? 0) / PICKS
    assert.ok(Math.abs(part - share) <= TOLERANCE, `member ${member} has ${part} of the picks, its share is ${share}`)
  }
}

export function strategySuite({ name, world: make }: Subject): void {
  test(`${name}: over 10,000 picks each member has its share within one percent`, () => {
    fc.assert(
      fc.property(someWeights, (weights) => {
        const picks = weights.map(() => 0)
        count(make(weights), picks, DICE)
        assertShares(
          picks,
          shares(weights, () => true),
        )
      }),
      { numRuns: 5 },
    )
  })

  test(`${name}: load in proportion to the weights changes no share`, () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 1000 }), { minLength: 1, maxLength: 8 }), (weights) => {
        const world = make(weights)
        for (const [member, one] of weights.entries()) world.setRunning(member, one * 4)
        const picks = weights.map(() => 0)
        count(world, picks, DICE)
        assertShares(
          picks,
          shares(weights, () => true),
        )
      }),
      { numRuns: 3 },
    )
  })

  test(`${name}: members that go and return have their share while they are up`, () => {
    const phases = fc.array(fc.array(fc.boolean(), { minLength: 8, maxLength: 8 }), { minLength: PHASES, maxLength: PHASES })
    fc.assert(
      fc.property(someWeights, phases, (weights, ups) => {
        const world = make(weights)
        const picks = weights.map(() => 0)
        const expected = weights.map(() => 0)
        for (const up of ups) {
          const isUp = (member: number): boolean => member === 0 || up[member] === true
          for (const member of weights.keys()) world.setUp(member, isUp(member))
          count(world, picks, PHASE_DICE)
          for (const [member, share] of shares(weights, isUp).entries()) expected[member] = (expected[member] ?? 0) + share / PHASES
        }
        assertShares(picks, expected)
      }),
      { numRuns: 5 },
    )
  })

  const anyMember = fc.record({ weight, up: fc.boolean(), running: fc.integer({ min: 0, max: 50 }) })
  const anyDice = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })

  test(`${name}: always one that is up, with a weight if any has one; none only when none is up`, () => {
    fc.assert(
      fc.property(
        fc.array(anyMember, { minLength: 1, maxLength: 6 }),
        fc.array(anyDice, { minLength: 1, maxLength: 10 }),
        (members, dice) => {
          const world = prepared(make, members)
          const weighted = members.some((member) => member.up && member.weight > 0)
          for (const one of dice) {
            const chosen = world.next(one)
            const member = chosen === undefined ? undefined : members[chosen]
            assert.equal(
              member?.up ?? false,
              members.some(({ up }) => up),
            )
            if (weighted) assert.ok(member !== undefined && member.weight > 0)
          }
        },
      ),
      { numRuns: 60 },
    )
  })

  test(`${name}: equal ones share evenly, whoever comes first`, () => {
    for (const part of partsOf(make([1, 1, 1, 1]), 4)) assert.ok(Math.abs(part - 1 / 4) <= TOLERANCE, `${part}`)
  })

  test(`${name}: one that came back this moment gets a tenth of its share, though it is idle`, () => {
    const world = make([1, 1, 1])
    world.recover(1)
    for (const member of [0, 2]) world.setRunning(member, 3)
    const [, part = 0] = partsOf(world, 3)
    assert.ok(part >= 0.02 && part <= 0.06, `${part}`)
  })

  test(`${name}: one of which nothing is known gets no more than the fastest and no less than the slowest`, () => {
    const world = make([1, 1, 1, 1])
    for (const [member, firstTokenMs] of [100, 200, 400].entries()) world.setSpeed(member, firstTokenMs)
    const [fastest = 0, , slowest = 0, unknown = 0] = partsOf(world, 4)
    assert.ok(unknown <= fastest + TOLERANCE && unknown >= slowest - TOLERANCE, `${fastest} ${slowest} ${unknown}`)
  })

  test(`${name}: in flight is what was sent and has not ended, however often an end comes`, () => {
    fc.assert(
      fc.property(fc.array(fc.record({ dice: anyDice, ends: fc.nat({ max: 3 }) }), { maxLength: 30 }), (requests) => {
        const world = make([1, 2, 3])
        let open = 0
        for (const { dice, ends } of requests) {
          const end = world.send(dice)
          for (let at = 0; at < ends; at++) end()
          if (ends === 0) open++
          const each = [0, 1, 2].map((member) => world.inFlight(member))
          assert.ok(each.every((one) => one >= 0))
          assert.equal(
            each.reduce((sum, one) => sum + one, 0),
            open,
          )
        }
      }),
      { numRuns: 10 },
    )
  })

  test(`${name}: the same past and the same dice give the same choice`, () => {
    fc.assert(
      fc.property(
        fc.array(anyMember, { minLength: 1, maxLength: 6 }),
        fc.array(anyDice, { minLength: 1, maxLength: 10 }),
        (members, dice) => {
          const [one, other] = [prepared(make, members), prepared(make, members)]
          for (const roll of dice) assert.equal(one.next(roll), other.next(roll))
        },
      ),
      { numRuns: 20 },
    )
  })
}

/** Parts of the picks of three members, or more, of equal weight. */
function partsOf(world: World, members: number): readonly number[] {
  const picks = Array.from({ length: members }, () => 0)
  count(world, picks, DICE)
  return picks.map((one) => one / PICKS)
}

interface Member {
  readonly weight: number
  readonly up: boolean
  readonly running: number
}

function prepared(make: Subject['world'], members: readonly Member[]): World {
  const world = make(members.map((member) => member.weight))
  for (const [index, { up, running }] of members.entries()) {
    world.setUp(index, up)
    world.setRunning(index, running)
  }
  return world
}
