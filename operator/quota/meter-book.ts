import type { MeterReport } from '../../proxy/routing-table/frames.ts'
import { byDemand } from './by-demand.ts'
import { byNeed } from './by-need.ts'
import { EPSILON, type Holder, isBlocked, type NewCaps, type Pot, sum } from './pot.ts'

/** From so many usual requests for each proxy on, what is too small a rest for one of them is no loss. */
const AMPLE_REQUESTS = 64
/** How much the newest need counts for what is usual. */
const NEWEST_PART = 0.1

/** A holder, and the number of the last order that it was told its cap with. */
export interface Held extends Holder {
  readonly told: number
}

export interface Order {
  readonly instance: string
  readonly cap: number
}

/** All that a leader knows of one limit: who holds how much of it. */
export class MeterBook {
  readonly window: 'minute' | 'day'
  readonly holders = new Map<string, Held>()
  /** By proxies that are gone for good, today. */
  gone = 0
  #max: number
  #unit: number | undefined

  constructor({ window, max }: Pick<MeterReport, 'window' | 'max'>) {
    this.window = window
    this.#max = max
  }

  get max(): number {
    return this.#max
  }

  get isEmpty(): boolean {
    return this.holders.size === 0 && this.gone === 0
  }

  /** `answered`: the number of the newest order that the proxy had taken when it wrote this. */
  take(instance: string, { max, cap, used, wanted, need }: MeterReport, answered: number): void {
    this.#max = max
    const before = this.holders.get(instance)
    const settled = before === undefined || answered >= before.told
    if (need > 0 && need !== before?.need) this.#unit = this.#unit === undefined ? need : this.#unit + NEWEST_PART * (need - this.#unit)
    this.holders.set(instance, {
      held: settled ? cap : Math.max(before.held, cap),
      cap: settled ? cap : before.cap,
      used,
      wanted,
      need,
      settled,
      told: Math.max(0, before?.told ?? 0),
    })
  }

  /** Its holder is gone for good. Of a day what it may have used stays, unseen, but for what it gave back in the end. */
  bury(instance: string): void {
    const holder = this.holders.get(instance)
    this.holders.delete(instance)
    if (holder !== undefined && this.window === 'day') this.gone += Math.max(holder.held, holder.used)
  }

  /** Who is given what: of those that are `here`, `reserved` being kept for others. `numberOf`: of the order that says so. */
  orders(here: (instance: string) => boolean, reserved: number, numberOf: (instance: string) => number): readonly Order[] {
    const entries = [...this.holders].filter(([instance]) => here(instance))
    if (entries.length === 0) return []
    const holders = entries.map(([, holder]) => holder)
    const caps = this.#share({ window: this.window, available: this.#max - reserved - this.gone, unit: this.#unit ?? 1, holders })
    return entries.flatMap(([instance, holder], index) => {
      const cap = caps[index]
      if (cap === undefined || Math.abs(cap - holder.cap) <= EPSILON) return []
      this.holders.set(instance, { ...holder, cap, held: Math.max(holder.held, cap), settled: false, told: numberOf(instance) })
      return { instance, cap }
    })
  }

  #share(pot: Pot): NewCaps {
    const { window, available, unit, holders } = pot
    const each = available / holders.length
    const isAmple = each >= AMPLE_REQUESTS * unit && !holders.some((holder) => isBlocked(holder) && holder.need > each)
    return window === 'minute' && isAmple ? byDemand(pot) : byNeed(pot)
  }

  /** What these may hold together. */
  heldBy(instances: (instance: string) => boolean): number {
    return sum([...this.holders].flatMap(([instance, { held }]) => (instances(instance) ? held : [])))
  }
}
