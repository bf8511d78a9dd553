/** The promises of limits that hold over all proxies, on simulated fleets. Each run names its seed. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SimulatedFleet } from './fleet.fixture.ts'

const MINUTE_MS = 60_000

/** mulberry32 */
function diceOf(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

interface Load {
  /** Of all proxies together, as a part of the limit, each minute. */
  readonly demand: number
  readonly meanAmount: number
  /** All of the same size. */
  readonly whole?: boolean
}

/** Asks with this demand, at the proxy that `choose` names. */
function load(fleet: SimulatedFleet, max: number, { demand, meanAmount, whole }: Load, dice: () => number, choose = dice): () => void {
  const perStep = (max * demand) / meanAmount / (MINUTE_MS / 10)
  let due = 0
  return () => {
    due += perStep
    for (; due >= 1; due--) {
      const proxy = fleet.proxies[Math.floor(choose() * fleet.proxies.length)]
      const amount = whole === true ? meanAmount : Math.max(1, Math.round(2 * meanAmount * dice()))
      if (proxy !== undefined) fleet.ask(proxy, amount)
    }
  }
}

function assertWithin(fleet: SimulatedFleet, max: number, largest: number): void {
  const most = fleet.most()
  assert.ok(most <= max + Math.max(0.02 * max, largest) + 1e-6, `${most} of ${max}`)
}

const SPREAD: readonly { readonly proxies: number; readonly max: number; readonly meanAmount: number; readonly whole?: boolean }[] = [
  { proxies: 3, max: 100, meanAmount: 1, whole: true },
  { proxies: 7, max: 100, meanAmount: 1, whole: true },
  { proxies: 10, max: 100, meanAmount: 1, whole: true },
  { proxies: 9, max: 105, meanAmount: 1, whole: true },
  { proxies: 20, max: 100, meanAmount: 1, whole: true },
  { proxies: 3, max: 10_000, meanAmount: 100 },
  { proxies: 10, max: 10_000, meanAmount: 100 },
  { proxies: 10, max: 64_100, meanAmount: 100 },
  { proxies: 3, max: 6000, meanAmount: 1, whole: true },
]

for (const { proxies, max, meanAmount, whole = false } of SPREAD) {
  for (const demand of [1.2, 3]) {
    test(`a demand of ${demand} over ${proxies} proxies: 98 % of ${max} is admitted, and no more, requests of ${meanAmount}`, (t) => {
      const dice = diceOf(proxies + max)
      const fleet = new SimulatedFleet({ max, proxies, dice })
      fleet.lead(true)
      fleet.run(5000)
      const each = load(fleet, max, { demand, meanAmount, whole }, dice)
      fleet.run(2 * MINUTE_MS, each)
      const sinceMs = fleet.nowMs
      fleet.run(2 * MINUTE_MS, each)
      const part = fleet.admittedSince(sinceMs) / (2 * max)
      t.diagnostic(`${(100 * part).toFixed(2)} %, most ${fleet.most()}, ${(fleet.messages / 245).toFixed(1)} messages a second`)
      assert.ok(part >= 0.98, String(part))
      assertWithin(fleet, max, 2 * meanAmount)
    })
  }
}

const FAULTS: readonly {
  readonly proxies: number
  readonly max: number
  readonly meanAmount: number
  readonly window?: 'minute' | 'day'
}[] = [
  { proxies: 3, max: 20, meanAmount: 1 },
  { proxies: 3, max: 1000, meanAmount: 1 },
  { proxies: 5, max: 10_000, meanAmount: 100 },
  { proxies: 3, max: 2000, meanAmount: 1, window: 'day' },
  { proxies: 4, max: 20_000, meanAmount: 100, window: 'day' },
]

const SEEDS = Number(process.env['SEEDS'] ?? 4)

/** Every few seconds something happens to a proxy or the leader. */
function disturb(fleet: SimulatedFleet, dice: () => number): void {
  const proxy = fleet.proxies[Math.floor(dice() * fleet.proxies.length)]
  const what = dice()
  if (proxy === undefined) return
  if (what < 0.2) fleet.cut(proxy)
  else if (what < 0.35) fleet.kill(proxy)
  else if (what < 0.8) fleet.connect(proxy)
  else if (what < 0.9) fleet.lead(false, (one) => one === proxy)
  else if (what < 0.95) fleet.loseLeader()
  else fleet.lead(false)
}

for (const { proxies, max, meanAmount, window = 'minute' } of FAULTS) {
  test(`whatever breaks, at most ${max} a ${window} of ${proxies} proxies are admitted, requests of ${meanAmount}`, (t) => {
    let most = 0
    for (let seed = 1; seed <= SEEDS; seed++) {
      const dice = diceOf(seed * 1000 + proxies)
      const fleet = new SimulatedFleet({ max, proxies, window, dice, delayMs: seed % 3 === 0 ? 200 : 20 })
      fleet.lead(true)
      let favourite = dice()
      const each = load(fleet, max, { demand: 2, meanAmount }, dice, () => (dice() < 0.5 ? favourite : dice()))
      for (let round = 0; round < 40; round++) {
        fleet.run(500 + Math.floor(dice() * 1500) * 10, each)
        if (dice() < 0.3) favourite = dice()
        disturb(fleet, dice)
      }
      most = Math.max(most, fleet.most())
      assert.ok(fleet.most() <= max + Math.max(0.02 * max, 2 * meanAmount) + 1e-6, `seed ${seed}: ${fleet.most()} of ${max}`)
    }
    t.diagnostic(`most ${most}`)
  })
}

test('a request at an idle proxy waits for two messages, and where all is used for what slides out', () => {
  const fleet = new SimulatedFleet({ max: 4, proxies: 3, dice: diceOf(1) })
  const [one, two] = fleet.proxies
  assert.ok(one !== undefined && two !== undefined)
  fleet.lead(true)
  fleet.run(5000)
  for (let asked = 1; asked <= 4; asked++) {
    fleet.ask(one, 1)
    fleet.run(60)
    assert.equal(fleet.admitted.length, asked)
  }
  fleet.run(10_000)
  fleet.ask(two, 1)
  fleet.run(40_000)
  assert.equal(fleet.admitted.length, 4)
  fleet.run(12_000)
  assert.equal(fleet.admitted.length, 5)
  assertWithin(fleet, 4, 0)
})

test('a burst at one proxy gets what the others do not use, at once', (t) => {
  const max = 600
  const fleet = new SimulatedFleet({ max, proxies: 3, dice: diceOf(2) })
  const [one] = fleet.proxies
  assert.ok(one !== undefined)
  fleet.lead(true)
  fleet.run(5000)
  for (const proxy of fleet.proxies) fleet.ask(proxy, 1)
  fleet.run(3000)
  for (let step = 0; step < 200; step++) {
    for (let asked = 0; asked < 4; asked++) fleet.ask(one, 1)
    fleet.run(10)
  }
  t.diagnostic(`${fleet.admitted.length} in 2 s`)
  assert.ok(fleet.admitted.length >= 0.98 * max, String(fleet.admitted.length))
  assertWithin(fleet, max, 0)
})

test('demand that moves to another proxy has the whole limit there after a minute', () => {
  const max = 600
  const dice = diceOf(3)
  const fleet = new SimulatedFleet({ max, proxies: 3, dice })
  fleet.lead(true)
  fleet.run(5000)
  fleet.run(
    2 * MINUTE_MS,
    load(fleet, max, { demand: 1.5, meanAmount: 1, whole: true }, dice, () => 0),
  )
  const elsewhere = load(fleet, max, { demand: 1.5, meanAmount: 1, whole: true }, dice, () => 0.99)
  fleet.run(1.5 * MINUTE_MS, elsewhere)
  const sinceMs = fleet.nowMs
  fleet.run(2 * MINUTE_MS, elsewhere)
  assert.ok(fleet.admittedSince(sinceMs) >= 2 * 0.98 * max, String(fleet.admittedSince(sinceMs)))
  assertWithin(fleet, max, 0)
})

test('a new leader goes on once all have come back', () => {
  const max = 600
  const dice = diceOf(4)
  const fleet = new SimulatedFleet({ max, proxies: 3, dice })
  const each = load(fleet, max, { demand: 1.5, meanAmount: 1, whole: true }, dice)
  fleet.lead(true)
  fleet.run(2 * MINUTE_MS, each)
  fleet.lead(false)
  fleet.run(4000, each)
  const sinceMs = fleet.nowMs
  fleet.run(MINUTE_MS, each)
  assert.ok(fleet.admittedSince(sinceMs) >= 0.98 * max, String(fleet.admittedSince(sinceMs)))
  assertWithin(fleet, max, 0)
})

test('the share of a proxy that has ended is free after a minute, of one that is cut off after some', () => {
  for (const [ends, withinMs] of [
    [true, 1.5 * MINUTE_MS],
    [false, 9 * MINUTE_MS],
  ] as const) {
    const max = 600
    const dice = diceOf(5)
    const fleet = new SimulatedFleet({ max, proxies: 3, dice })
    const [one] = fleet.proxies
    assert.ok(one !== undefined)
    fleet.lead(true)
    fleet.run(5000)
    fleet.run(2 * MINUTE_MS, load(fleet, max, { demand: 1.5, meanAmount: 1, whole: true }, dice))
    if (ends) fleet.kill(one)
    else fleet.cut(one)
    fleet.run(9000)
    if (ends) fleet.connect(one)
    const others = load(fleet, max, { demand: 1.5, meanAmount: 1, whole: true }, dice, () => 0.4 + 0.5 * dice())
    fleet.run(withinMs, others)
    const sinceMs = fleet.nowMs
    fleet.run(MINUTE_MS, others)
    assert.ok(fleet.admittedSince(sinceMs) >= 0.98 * max, String(fleet.admittedSince(sinceMs)))
    assertWithin(fleet, max, 0)
  }
})

test('of a day all but a little is admitted, and the next day begins anew', () => {
  const max = 2000
  const dice = diceOf(6)
  const startMs = 1_800_000_000_000 - (1_800_000_000_000 % 86_400_000) + 86_400_000 - 10 * MINUTE_MS
  const fleet = new SimulatedFleet({ max, proxies: 3, window: 'day', dice, startMs })
  fleet.lead(true)
  fleet.run(5000)
  fleet.run(2 * MINUTE_MS, load(fleet, max, { demand: 0.8, meanAmount: 1, whole: true }, dice))
  assert.ok(fleet.most() >= 0.99 * max && fleet.most() <= max, String(fleet.most()))
  fleet.lead(false)
  fleet.run(15_000, load(fleet, max, { demand: 0.8, meanAmount: 1, whole: true }, dice))
  assert.ok(fleet.most() <= max, String(fleet.most()))
})
