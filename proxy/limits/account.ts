import type { Shortage } from '../decide/limits-view.ts'
import { costOf } from '../decide/price.ts'
import type { ClientLimits, Pricing } from '../routing-table/v1.ts'
import type { Used } from './booking.ts'
import { type Demand, Outputs } from './demand.ts'
import { METERED, METERED_LIMITS, Meter, type Need, type Shares, Taken } from './meter.ts'

export interface Books extends Shares {
  /** What had been used by then, before this process began; taken once. */
  carriedOf(key: string): { readonly amount: number; readonly atMs: number } | undefined
}

const KEPT_DURATION = 0.9
const MIN_WAIT_MS = 100
const MAX_WAIT_MS = 60_000
const UNKNOWN_WAIT_MS = 1000

/** What became of requests that a limit could have kept out. */
export class Tally {
  admitted = 0
  /** Answers that a limit on cost could not price. */
  unpriced = 0
  readonly refused = new Map<Shortage['limit'], number>()

  refuse(limit: Shortage['limit']): void {
    this.refused.set(limit, (this.refused.get(limit) ?? 0) + 1)
  }
}

/** All limits of one model, or of one client under one policy. */
export class Account {
  readonly #key: string
  readonly #books: Books
  readonly #outputs = new Outputs()
  #meters: readonly Meter[] = []
  #maxConcurrent = Number.POSITIVE_INFINITY
  #prices: Pricing | undefined
  #running = 0
  #usualMs: number | undefined
  readonly #tally: Tally

  constructor(key: string, { books, tally }: { books: Books; tally: Tally }) {
    this.#key = key
    this.#books = books
    this.#tally = tally
  }

  get idle(): boolean {
    return this.#running === 0
  }

  get limited(): boolean {
    return this.#meters.length > 0 || this.#maxConcurrent !== Number.POSITIVE_INFINITY
  }

  get p95OutputTokens(): number | undefined {
    return this.#outputs.p95
  }

  get meters(): readonly Meter[] {
    return this.#meters
  }

  /** A limit that stays keeps what it has counted. `prices`: what is reserved of a limit on cost. */
  configure(limits: ClientLimits, prices?: Pricing): void {
    const before = new Map(this.#meters.map((meter) => [meter.limit, meter]))
    this.#meters = METERED_LIMITS.flatMap((limit) => {
      const max = limits[limit]
      if (max === undefined) return []
      const meter = before.get(limit) ?? this.#newMeter(limit, max)
      meter.max = max
      return [meter]
    })
    this.#maxConcurrent = limits.maxConcurrent ?? Number.POSITIVE_INFINITY
    this.#prices = prices
  }

  #newMeter(limit: Meter['limit'], max: number): Meter {
    const meter = new Meter(`${this.#key} ${limit}`, limit, max, this.#books)
    const carried = this.#books.carriedOf(meter.key)
    if (carried !== undefined) meter.window.add(carried.amount, carried.atMs)
    return meter
  }

  /** Of all limits without room the one that takes longest. */
  shortage(demand: Demand, nowMs: number): Shortage | undefined {
    let longest = this.#running < this.#maxConcurrent ? undefined : this.#concurrency()
    for (const meter of this.#meters) {
      const shortage = meter.shortage(this.#needOf(meter, demand), nowMs)
      if (shortage !== undefined && (longest === undefined || shortage.resetMs > longest.resetMs)) longest = shortage
    }
    return longest
  }

  /** One of those that run must end first: by how long they usually take. */
  #concurrency(): Shortage {
    const eachMs = this.#usualMs === undefined ? UNKNOWN_WAIT_MS : this.#usualMs / Math.max(1, this.#running)
    return {
      key: `${this.#key} maxConcurrent`,
      limit: 'maxConcurrent',
      max: this.#maxConcurrent,
      remaining: 0,
      needed: 1,
      resetMs: Math.min(MAX_WAIT_MS, Math.max(MIN_WAIT_MS, eachMs)),
      leased: false,
    }
  }

  #needOf(meter: Meter, { tokens, inputTokens, outputTokens }: Demand): Need {
    switch (METERED[meter.limit].unit) {
      case 'requests':
        return { amount: 1, certain: 1 }
      case 'tokens':
        return { amount: tokens, certain: inputTokens }
      case 'usd':
        return {
          amount: costOf({ inputTokens, outputTokens, cachedInputTokens: 0 }, this.#prices),
          certain: costOf({ inputTokens, outputTokens: 0, cachedInputTokens: 0 }, this.#prices),
        }
    }
  }

  missed(shortage: Shortage): void {
    this.#tally.refuse(shortage.limit)
    this.#meters.find(({ key }) => key === shortage.key)?.missed(shortage.needed)
  }

  open(demand: Demand, nowMs: number): Opened {
    this.#tally.admitted++
    this.#running++
    return { taken: this.#meters.map((meter) => new Taken(meter, this.#needOf(meter, demand).amount, nowMs)), sinceMs: nowMs }
  }

  /** `used` undefined: it is not known, and stays as estimated; 'nothing': all of it comes back. True: something came back. */
  close({ taken, sinceMs }: Opened, used: Used | 'nothing' | undefined, nowMs: number): boolean {
    this.#running--
    let freed = this.#maxConcurrent !== Number.POSITIVE_INFINITY
    for (const one of taken) if (used !== undefined && one.settle(usedOf(one.unit, used), nowMs)) freed = true
    if (used === undefined || used === 'nothing') return freed
    this.#outputs.add(used.outputTokens)
    this.#usualMs = this.#usualMs === undefined ? nowMs - sinceMs : KEPT_DURATION * this.#usualMs + (1 - KEPT_DURATION) * (nowMs - sinceMs)
    if (used.pricing === undefined && taken.some(({ unit }) => unit === 'usd')) this.#tally.unpriced++
    return freed
  }
}

export interface Opened {
  readonly taken: readonly Taken[]
  readonly sinceMs: number
}

function usedOf(unit: Taken['unit'], used: Used | 'nothing'): number {
  if (used === 'nothing') return 0
  switch (unit) {
    case 'requests':
      return 1
    case 'tokens':
      return used.inputTokens + used.outputTokens
    case 'usd':
      return used.costUsd ?? costOf(used, used.pricing)
  }
}
