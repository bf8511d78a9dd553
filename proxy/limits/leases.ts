import type { MeterReport, OperatorFrame, ProxyFrame } from '../routing-table/frames.ts'
import { METERS_PER_FRAME } from '../routing-table/frames.ts'
import { keptPart } from '../routing-table/kept-share.ts'
import { LastMinute } from './last-minute.ts'
import type { Limits } from './limits.ts'
import type { MeterReading } from './meter.ts'

/** What holds of shared limits while no operator says who has how much of them. */
export const ON_LOSS = ['Shrink', 'Open', 'Closed'] as const
export type QuotaOnLoss = (typeof ON_LOSS)[number]

type QuotaOrder = Extract<OperatorFrame, { type: 'quota' }>
type QuotaReport = Extract<ProxyFrame, { type: 'quota' }>

/** Another leader is found sooner, as a rule: until then shares are kept, whatever is to hold without one. */
const LOST_AFTER_MS = 10_000
const DAY_MS = 86_400_000
const EPSILON = 1e-9

interface Lease {
  readonly window: 'minute' | 'day'
  /** As last told. */
  readonly cap: number
}

/**
 * This proxy's shares of limits that hold over all proxies together. In: an operator's orders, what the meters say, the time. Out: caps, and
 * what the operator is told: each second what changed; at once where a request lacks room, or an order is to be answered. What it uses is
 * never more than the cap that it was last given. A proxy that nobody leases to has no use for it.
 */
export class Leases {
  readonly #limits: Limits
  readonly #onLoss: QuotaOnLoss
  readonly #leases = new Map<string, Lease>()
  readonly #told = new Map<string, MeterReport>()
  readonly #wanted = new Map<string, LastMinute>()
  /** By key, of a request that found no room, until there is some. */
  readonly #needs = new Map<string, number>()
  /** Keys that the operator is to hear of at once. */
  readonly #urgent = new Set<string>()
  #onUrgent: () => void = () => {}
  #answered = 0
  #fleet = 0
  #hasOperator = false
  /** In this stream. */
  #hasSaid = false
  #lostAtMs: number
  /** What is to hold without an operator holds now. */
  #isOver = false

  constructor(limits: Limits, onLoss: QuotaOnLoss, nowMs: number) {
    this.#limits = limits
    this.#onLoss = onLoss
    this.#lostAtMs = nowMs
    limits.leaseDefault(0)
    limits.onShort((key, needed) => this.#short(key, needed))
  }

  /** Must not throw. Called when `urgentFrames` has something to say. */
  onUrgent(listener: () => void): void {
    this.#onUrgent = listener
  }

  /** For metrics. `fleet`: proxies that may hold shares, as the operator said last; `lostMs`: how long it has been away, 0 = it is there. */
  readings(nowMs: number): { readonly fleet: number; readonly lostMs: number } {
    return { fleet: this.#fleet, lostMs: this.#hasOperator ? 0 : nowMs - this.#lostAtMs }
  }

  /** A new stream, to an operator that has heard nothing yet: what was kept meanwhile is what there is. */
  begin(nowMs: number): void {
    this.#limits.leaseDefault(0)
    this.#shrink(nowMs)
    for (const [key, { window }] of this.#leases) this.#leases.set(key, { window, cap: this.#kept(key, nowMs) })
    this.#hasOperator = true
    this.#isOver = false
    this.#answered = 0
    this.#hasSaid = false
    this.#told.clear()
  }

  /** The stream is over. */
  end(nowMs: number): void {
    if (!this.#hasOperator) return
    this.#hasOperator = false
    this.#lostAtMs = nowMs
  }

  take({ number, fleet, caps }: QuotaOrder, nowMs: number): void {
    this.#answered = number
    this.#fleet = fleet
    for (const [key, cap] of caps) {
      this.#leases.set(key, { window: this.#limits.reading(key, nowMs)?.window ?? 'minute', cap })
      this.#limits.lease(key, cap)
      this.#urgent.add(key)
    }
    if (caps.length > 0) this.#onUrgent()
  }

  /** Once a second, whether there is an operator or not. */
  tick(nowMs: number): void {
    if (this.#hasOperator) return
    if (this.#onLoss === 'Shrink') return this.#shrink(nowMs)
    if (nowMs - this.#lostAtMs < LOST_AFTER_MS || this.#isOver) return
    this.#isOver = true
    for (const key of this.#leases.keys()) this.#limits.lease(key, this.#onLoss === 'Open' ? undefined : 0)
    if (this.#onLoss === 'Open') this.#limits.leaseDefault(1)
  }

  #shrink(nowMs: number): void {
    for (const key of this.#leases.keys()) this.#limits.lease(key, this.#kept(key, nowMs))
  }

  /** A share of a minute is kept and then halved each minute; one of a day is kept while the day lasts, as nobody else gets it. */
  #kept(key: string, nowMs: number): number {
    const { window, cap } = this.#leases.get(key) ?? NONE
    if (this.#hasOperator) return cap
    if (window === 'minute') return cap * keptPart(nowMs - this.#lostAtMs)
    return Math.floor(nowMs / DAY_MS) === Math.floor(this.#lostAtMs / DAY_MS) ? cap : 0
  }

  /** What changed since the operator was told last; all, if it has been told nothing. */
  frames(nowMs: number): readonly ProxyFrame[] {
    const isFirst = !this.#hasSaid
    this.#hasSaid = true
    const reports: MeterReport[] = []
    const keys = new Set<string>()
    for (const reading of this.#limits.meters(nowMs)) {
      keys.add(reading.key)
      const report = this.#report(reading, nowMs)
      if (this.#urgent.has(reading.key) || !same(this.#told.get(reading.key), report)) reports.push(report)
    }
    const gone = [...this.#told.keys()].filter((key) => !keys.has(key))
    for (const key of gone) this.#forget(key)
    this.#urgent.clear()
    return isFirst || reports.length + gone.length > 0 ? this.#framesOf(reports, gone) : []
  }

  /** Of the limits that the operator is to hear of at once. */
  urgentFrames(nowMs: number): readonly ProxyFrame[] {
    const reports: MeterReport[] = []
    const gone: string[] = []
    for (const key of this.#urgent) {
      const reading = this.#limits.reading(key, nowMs)
      if (reading === undefined) gone.push(key)
      else reports.push(this.#report(reading, nowMs))
    }
    for (const key of gone) this.#forget(key)
    this.#urgent.clear()
    return reports.length + gone.length > 0 ? this.#framesOf(reports, gone) : []
  }

  /** The last: nothing more is used, and what is not used is given back. */
  lastFrames(nowMs: number): readonly ProxyFrame[] {
    for (const { key, used } of this.#limits.meters(nowMs)) this.#limits.lease(key, used)
    const frames = this.frames(nowMs)
    const last: QuotaReport = { ...this.#frame([], [], true), stops: true }
    return [...frames, last]
  }

  #short(key: string, needed: number): void {
    this.#needs.set(key, needed)
    this.#urgent.add(key)
    this.#onUrgent()
  }

  #report({ key, window, max, cap, used, wanted }: MeterReading, nowMs: number): MeterReport {
    const need = this.#needs.get(key) ?? 0
    const isShort = need > 0 && used + need > cap + EPSILON
    if (!isShort) this.#needs.delete(key)
    const lastMinute = this.#wanted.get(key) ?? new LastMinute()
    this.#wanted.set(key, lastMinute)
    return {
      key,
      window,
      max,
      cap: Math.max(cap, used),
      used,
      wanted: lastMinute.of(wanted, nowMs),
      need: isShort && Number.isFinite(need) ? need : 0,
    }
  }

  #forget(key: string): void {
    this.#told.delete(key)
    this.#wanted.delete(key)
    this.#needs.delete(key)
    this.#leases.delete(key)
    this.#limits.lease(key, undefined)
  }

  #framesOf(reports: readonly MeterReport[], gone: readonly string[]): readonly ProxyFrame[] {
    for (const report of reports) this.#told.set(report.key, report)
    const frames: ProxyFrame[] = []
    const rest = Math.max(reports.length, gone.length, 1)
    for (let at = 0; at < rest; at += METERS_PER_FRAME) {
      const end = at + METERS_PER_FRAME
      frames.push(this.#frame(reports.slice(at, end), gone.slice(at, end), end >= rest))
    }
    return frames
  }

  #frame(meters: readonly MeterReport[], gone: readonly string[], complete: boolean): QuotaReport {
    return { type: 'quota', answered: this.#answered, fleet: this.#fleet, meters, gone, complete }
  }
}

const NONE: Lease = { window: 'minute', cap: 0 }

const same = (a: MeterReport | undefined, b: MeterReport): boolean =>
  a !== undefined && a.cap === b.cap && a.used === b.used && a.wanted === b.wanted && a.need === b.need && a.max === b.max
