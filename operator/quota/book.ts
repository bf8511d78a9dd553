/**
 * Shares of limits that hold over all proxies together (docs/adr/0011-shares-of-limits.md). In: what proxies say they have, use and want, who
 * comes and who goes, the time. Out: orders, each proxy's new caps. What the proxies of one limit may hold together is never more than the
 * limit: a cap that is taken back is free when its proxy has said so, and that of a proxy that is gone when it can no longer be used.
 * PURE but for its own state. One per term of a leader; it knows no sockets and no Kubernetes.
 */
import type { MeterReport } from '../../proxy/routing-table/frames.ts'
import { KEPT_FOR_MS, keptPart } from '../../proxy/routing-table/kept-share.ts'
import { dayOf, type SavedDays, type SavedMeter } from './days.ts'
import { type Held, MeterBook } from './meter-book.ts'

/** What one proxy says of all its limits, or of those that changed. */
export interface Told {
  readonly answered: number
  /** Proxies that its leader had when it last spoke to it; 0 = it never had a leader. */
  readonly fleet: number
  readonly meters: readonly MeterReport[]
  /** Keys of limits that it does not have any more. */
  readonly gone: readonly string[]
  /** It has said all that it has. */
  readonly complete: boolean
}

export interface Orders {
  readonly number: number
  readonly fleet: number
  readonly caps: readonly (readonly [key: string, cap: number])[]
}

interface Proxy {
  /** "namespace/pod" and mode: of all its processes. */
  readonly name: string
  /** Undefined = it is here. */
  readonly goneAtMs: number | undefined
  /** Its process has ended: no more is used. */
  readonly ended: boolean
  /** It had shares from a leader before this one. */
  readonly isOld: boolean
  /** It has been here in this term, and before that too. */
  readonly wasHere: boolean
  readonly isBack: boolean
  /** Turn in which it came: it is given something in a later one, when the others know of it. */
  readonly cameInTurn: number
  readonly complete: boolean
  number: number
  toldFleet: number
}

/** Proxies of the leader before have so long to come back, before anything of a day that nobody is known to hold is free. */
const RETURN_WITHIN_MS = 10_000
/** A slot more than a minute. */
const MINUTE_MS = 60_250
/**
 * A leader may know of a loss so much earlier than the proxy: the silence that it takes to notice, and what is under way. And what was used
 * of a larger share is in the proxy's window for a minute more.
 */
const LONGER_MS = 12_000 + MINUTE_MS
const MAX_METERS = 50_000
const MAX_PROXIES = 10_000

export class QuotaBook {
  readonly #startMs: number
  readonly #waits: boolean
  readonly #proxies = new Map<string, Proxy>()
  readonly #meters = new Map<string, MeterBook>()
  readonly #dirty = new Set<string>()
  /** What proxies of the leader before have brought with them, by key. */
  readonly #brought = new Map<string, number>()
  /** Old ones that have come back and said all, and how many there are. */
  readonly #came = new Set<string>()
  #expected = 0
  #knowsDays = false
  #turn = 0
  #day: number

  /** `first`: no leader was there before. */
  constructor(nowMs: number, first: boolean) {
    this.#startMs = nowMs
    this.#waits = !first
    this.#day = dayOf(nowMs)
  }

  /** What the leader before wrote down; undefined = nothing. Until then nothing of a day is given to anyone. */
  restore(saved: SavedDays | undefined): void {
    this.#knowsDays = true
    if (saved?.day === this.#day) for (const [key, meter] of Object.entries(saved.meters)) this.#restore(key, meter, saved.names)
    for (const key of this.#meters.keys()) this.#dirty.add(key)
  }

  #restore(key: string, { max, gone, by }: SavedMeter, names: SavedDays['names']): void {
    const meter = this.#meters.get(key) ?? new MeterBook({ window: 'day', max })
    meter.gone += gone
    this.#meters.set(key, meter)
    for (const [instance, [used, held]] of Object.entries(by)) {
      if (this.#proxies.get(instance)?.complete === true) continue
      meter.take(instance, { key, window: 'day', max, cap: held, used, wanted: 0, need: 0 }, 0)
      unsettle(meter, instance)
      if (!this.#proxies.has(instance)) this.#addGone(instance, names[instance] ?? '')
    }
  }

  /** Of a proxy whose next process is here already, nothing more is used. */
  #addGone(instance: string, name: string): void {
    const ended = [...this.#proxies.values()].some((proxy) => proxy.name === name && proxy.goneAtMs === undefined)
    this.#proxies.set(instance, { ...UNSEEN, name, goneAtMs: this.#startMs, ended })
  }

  /** A process that has never been seen under this name is another one: those before it have ended. */
  joined(instance: string, name: string, nowMs: number): void {
    for (const [other, proxy] of this.#proxies)
      if (proxy.name === name && other !== instance) this.#put(other, { ...proxy, goneAtMs: proxy.goneAtMs ?? nowMs, ended: true })
    if (this.#proxies.size >= MAX_PROXIES && !this.#proxies.has(instance)) return
    const before = this.#proxies.get(instance)
    this.#put(instance, {
      ...UNSEEN,
      name,
      isOld: before?.isOld ?? false,
      isBack: before?.wasHere ?? false,
      wasHere: true,
      cameInTurn: this.#turn,
    })
    for (const meter of this.#meters.values()) unsettle(meter, instance)
  }

  left(instance: string, nowMs: number, ended: boolean): void {
    const proxy = this.#proxies.get(instance)
    if (proxy !== undefined && proxy.goneAtMs === undefined) this.#put(instance, { ...proxy, goneAtMs: nowMs, ended })
  }

  told(instance: string, { answered, fleet, meters, gone, complete }: Told): void {
    const proxy = this.#proxies.get(instance)
    if (proxy === undefined || proxy.goneAtMs !== undefined) return
    const isFirst = !proxy.complete
    const brings = isFirst && !proxy.isBack && fleet > 0
    if (brings) this.#expected = Math.max(this.#expected, fleet)
    if (isFirst) this.#proxies.set(instance, { ...proxy, isOld: proxy.isOld || brings, complete })
    for (const report of meters) this.#take(instance, report, answered, brings)
    for (const key of gone) this.#drop(instance, key)
    if (isFirst && complete) {
      if (brings) this.#came.add(instance)
      this.#forgetUnsaid(instance)
    }
  }

  #take(instance: string, report: MeterReport, answered: number, brought: boolean): void {
    const { key, cap } = report
    const meter = this.#meters.get(key) ?? new MeterBook(report)
    if (meter.window !== report.window || (meter.isEmpty && this.#meters.size >= MAX_METERS)) return
    this.#meters.set(key, meter)
    meter.take(instance, report, answered)
    if (brought) this.#brought.set(key, (this.#brought.get(key) ?? 0) + cap)
    this.#dirty.add(key)
  }

  #drop(instance: string, key: string): void {
    const meter = this.#meters.get(key)
    if (meter?.holders.delete(instance)) this.#dropIfEmpty(key, meter)
  }

  /** What it does not speak of it does not have. */
  #forgetUnsaid(instance: string): void {
    for (const [key, meter] of this.#meters) {
      if (meter.holders.get(instance)?.told === UNSAID) this.#drop(instance, key)
    }
  }

  /** Once a second. `isOver`: nothing of this proxy runs any more, as far as is known. */
  tick(nowMs: number, isOver: (name: string) => boolean): void {
    this.#turn++
    if (dayOf(nowMs) !== this.#day) this.#newDay(nowMs)
    for (const [instance, proxy] of this.#proxies) {
      if (proxy.goneAtMs === undefined) continue
      const goneMs = nowMs - proxy.goneAtMs
      if (!proxy.ended && goneMs > RETURN_WITHIN_MS && proxy.name !== '' && isOver(proxy.name))
        this.#put(instance, { ...proxy, ended: true })
      if (proxy.ended ? goneMs > MINUTE_MS : goneMs > KEPT_FOR_MS + LONGER_MS) this.#bury(instance, proxy.ended)
    }
    if (this.#isWatchful(nowMs)) for (const key of this.#meters.keys()) this.#dirty.add(key)
  }

  /** Shares of a day end with it; who is gone then gives up those that it has. */
  #newDay(nowMs: number): void {
    this.#day = dayOf(nowMs)
    for (const [key, meter] of this.#meters) {
      if (meter.window !== 'day') continue
      for (const instance of meter.holders.keys()) if (this.#proxies.get(instance)?.goneAtMs !== undefined) meter.holders.delete(instance)
      meter.gone = 0
      this.#dropIfEmpty(key, meter)
    }
  }

  /** Of a minute nothing is left; of a day what it holds stays, unless it has ended: then what it has used. */
  #bury(instance: string, ended: boolean): void {
    let holds = false
    for (const [key, meter] of this.#meters) {
      if (meter.window === 'day' && !ended) holds ||= meter.holders.has(instance)
      else if (meter.holders.has(instance)) {
        meter.bury(instance)
        this.#dropIfEmpty(key, meter)
      }
    }
    if (!holds) this.#proxies.delete(instance)
  }

  #dropIfEmpty(key: string, meter: MeterBook): void {
    this.#dirty.add(key)
    if (meter.isEmpty) this.#meters.delete(key)
  }

  /** Something is free later without anybody saying so. */
  #isWatchful(nowMs: number): boolean {
    if (nowMs - this.#startMs < 2 * MINUTE_MS || this.#missing(nowMs) > 0) return true
    return [...this.#proxies.values()].some(({ goneAtMs }) => goneAtMs !== undefined)
  }

  #missing(nowMs: number): number {
    return nowMs - this.#startMs >= KEPT_FOR_MS + LONGER_MS ? 0 : Math.max(0, this.#expected - this.#came.size)
  }

  /** By instance: what is new for it. Looks only at limits of which there is news. */
  orders(nowMs: number): ReadonlyMap<string, Orders> {
    const caps = new Map<string, (readonly [string, number])[]>()
    const fleet = this.#fleet(nowMs)
    const number = (instance: string): number => (this.#proxies.get(instance)?.number ?? 0) + 1
    for (const key of this.#dirty) {
      const meter = this.#meters.get(key)
      if (meter === undefined) continue
      const here = (instance: string): boolean => this.#mayGet(instance)
      for (const { instance, cap } of meter.orders(here, this.#reserved(key, meter, nowMs), number)) {
        const list = caps.get(instance) ?? []
        list.push([key, cap])
        caps.set(instance, list)
      }
    }
    this.#keepDirty()
    for (const [instance, { goneAtMs, toldFleet, complete }] of this.#proxies)
      if (goneAtMs === undefined && complete && toldFleet !== fleet && !caps.has(instance)) caps.set(instance, [])
    return new Map([...caps].map(([instance, list]) => [instance, this.#order(instance, fleet, list)]))
  }

  #order(instance: string, fleet: number, caps: Orders['caps']): Orders {
    const proxy = this.#proxies.get(instance)
    const number = (proxy?.number ?? 0) + 1
    if (proxy !== undefined) Object.assign(proxy, { number, toldFleet: fleet })
    return { number, fleet, caps }
  }

  /** Newcomers are looked at again in the next turn. */
  #keepDirty(): void {
    const newcomers = new Set([...this.#proxies].flatMap(([instance, { cameInTurn }]) => (cameInTurn === this.#turn ? instance : [])))
    for (const key of this.#dirty) {
      const holders = this.#meters.get(key)?.holders.keys() ?? []
      if (newcomers.size === 0 || ![...holders].some((instance) => newcomers.has(instance))) this.#dirty.delete(key)
    }
  }

  #mayGet(instance: string): boolean {
    const proxy = this.#proxies.get(instance)
    return proxy !== undefined && proxy.goneAtMs === undefined && proxy.complete && (proxy.isOld || proxy.cameInTurn < this.#turn)
  }

  /** What is kept for proxies that are not here, or not yet, and for those that no one has heard of since the leader before. */
  #reserved(key: string, meter: MeterBook, nowMs: number): number {
    const others = [...meter.holders].filter(([instance]) => !this.#mayGet(instance))
    let reserved = 0
    for (const [instance, holder] of others) reserved += this.#keptFor(instance, holder, meter.window, nowMs)
    return Math.min(meter.max, reserved + this.#keptForUnknown(key, meter, nowMs))
  }

  #keptFor(instance: string, { held }: Held, window: 'minute' | 'day', nowMs: number): number {
    const { goneAtMs, ended } = this.#proxies.get(instance) ?? UNSEEN
    if (goneAtMs === undefined || window === 'day') return held
    if (ended) return nowMs - goneAtMs > MINUTE_MS ? 0 : held
    return held * keptPart(nowMs - goneAtMs - LONGER_MS)
  }

  #keptForUnknown(key: string, meter: MeterBook, nowMs: number): number {
    if (meter.window === 'day' && !this.#knowsDays) return meter.max
    if (!this.#waits || (this.#expected > 0 && this.#missing(nowMs) === 0)) return 0
    const sinceMs = nowMs - this.#startMs
    if (meter.window === 'day' ? sinceMs >= RETURN_WITHIN_MS : this.#expected === 0 && sinceMs >= MINUTE_MS) return 0
    const known = meter.window === 'day' ? meter.heldBy(() => true) + meter.gone : (this.#brought.get(key) ?? 0)
    return Math.max(0, meter.max - known) * keptPart(sinceMs - LONGER_MS)
  }

  /** Proxies that may hold something; 0 = who was here before is not known yet, and whoever has come meanwhile does not stand for them. */
  #fleet(nowMs: number): number {
    if (this.#knowsNobody(nowMs)) return 0
    const counts = ({ name, goneAtMs = nowMs, ended }: Proxy): boolean =>
      name !== '' && nowMs - goneAtMs <= (ended ? MINUTE_MS : KEPT_FOR_MS + LONGER_MS)
    return [...this.#proxies.values()].filter(counts).length + this.#missing(nowMs)
  }

  #knowsNobody(nowMs: number): boolean {
    return this.#waits && this.#expected === 0 && nowMs - this.#startMs < MINUTE_MS
  }

  /** Of limits a day, for the next leader. */
  days(): SavedDays {
    const meters: Record<string, SavedMeter> = {}
    for (const [key, { window, max, gone, holders }] of this.#meters)
      if (window === 'day')
        meters[key] = { max, gone, by: Object.fromEntries([...holders].map(([instance, { used, held }]) => [instance, [used, held]])) }
    const names = Object.fromEntries([...this.#proxies].map(([instance, { name }]) => [instance, name]))
    return { day: this.#day, meters, names }
  }

  #put(instance: string, proxy: Proxy): void {
    this.#proxies.set(instance, proxy)
    for (const [key, { holders }] of this.#meters) if (holders.has(instance)) this.#dirty.add(key)
  }
}

const UNSEEN: Proxy = {
  name: '',
  goneAtMs: undefined,
  ended: false,
  isOld: false,
  wasHere: false,
  isBack: false,
  cameInTurn: 0,
  complete: false,
  number: 0,
  toldFleet: -1,
}

/** Told with no order of this stream: until its proxy speaks of it. */
const UNSAID = -1

function unsettle(meter: MeterBook, instance: string): void {
  const holder = meter.holders.get(instance)
  if (holder !== undefined) meter.holders.set(instance, { ...holder, told: UNSAID })
}
