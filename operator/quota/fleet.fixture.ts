/**
 * Proxies, a leader and the network between them, on a clock of the test's: messages take their time, connections break, leaders change. Each
 * proxy counts an exact window, keeps what does not fit in a queue, and follows its caps just as docs/wire.md says.
 */
import type { MeterReport } from '../../proxy/routing-table/frames.ts'
import { keptPart } from '../../proxy/routing-table/kept-share.ts'
import { type Orders, QuotaBook } from './book.ts'
import type { SavedDays } from './days.ts'

const MINUTE_MS = 60_000
const QUEUE = 5

export interface FleetOptions {
  readonly max: number
  readonly window?: 'minute' | 'day'
  readonly proxies: number
  /** In [0, 1). */
  readonly dice: () => number
  /** Longest way of a message. */
  readonly delayMs?: number
  /** Of the clock at the start. */
  readonly startMs?: number
}

interface Use {
  readonly atMs: number
  readonly amount: number
}

export class SimulatedProxy {
  readonly name: string
  instance: string
  cap = 0
  used = 0
  wanted = 0
  fleet = 0
  answered = 0
  connected = false
  /** Nothing gets through, and neither side knows. */
  severed = false
  lostAtMs: number | undefined
  capAtLoss = 0
  stream = 0
  waiting: number[] = []
  need = 0
  #uses: Use[] = []
  #asked: Use[] = []

  constructor(name: string) {
    this.name = name
    this.instance = `${name}-0`
  }

  slide(nowMs: number, window: 'minute' | 'day'): void {
    this.#asked = this.#asked.filter(({ atMs }) => atMs > nowMs - MINUTE_MS)
    this.wanted = total(this.#asked)
    if (window === 'minute') {
      this.#uses = this.#uses.filter(({ atMs }) => atMs > nowMs - MINUTE_MS)
      this.used = total(this.#uses)
    }
    if (this.lostAtMs !== undefined && window === 'minute') this.cap = this.capAtLoss * keptPart(nowMs - this.lostAtMs)
  }

  ask(nowMs: number, amount: number): boolean {
    this.#asked.push({ atMs: nowMs, amount })
    if (this.waiting.length === 0 && this.#admit(nowMs, amount)) return true
    this.need = this.waiting[0] ?? amount
    if (this.waiting.length < QUEUE) this.waiting.push(amount)
    return false
  }

  /** What waits and fits now. */
  *admitWaiting(nowMs: number): Generator<number> {
    for (let next = this.waiting[0]; next !== undefined && this.#admit(nowMs, next); next = this.waiting[0]) {
      this.waiting.shift()
      yield next
    }
    this.need = this.waiting[0] ?? 0
  }

  #admit(nowMs: number, amount: number): boolean {
    if (this.used + amount > this.cap + 1e-9) return false
    this.#uses.push({ atMs: nowMs, amount })
    this.used += amount
    return true
  }

  restart(): void {
    this.instance = `${this.name}-${Number(this.instance.split('-').at(-1)) + 1}`
    Object.assign(this, { cap: 0, used: 0, wanted: 0, fleet: 0, answered: 0, lostAtMs: undefined, waiting: [], need: 0 })
    this.#uses = []
    this.#asked = []
  }

  report(key: string, max: number, window: 'minute' | 'day'): MeterReport {
    const { cap, used, wanted, need } = this
    return { key, window, max, cap: Math.max(cap, used), used, wanted, need }
  }
}

const total = (uses: readonly Use[]): number => uses.reduce((sum, { amount }) => sum + amount, 0)

export class SimulatedFleet {
  nowMs: number
  readonly proxies: readonly SimulatedProxy[]
  readonly admitted: Use[] = []
  readonly refused: Use[] = []
  readonly #options: Required<FleetOptions>
  readonly #events: { atMs: number; run: () => void }[] = []
  readonly #over = new Set<string>()
  #book: QuotaBook | undefined
  #saved: SavedDays | undefined
  /** Instance → the stream that the leader knows it by. */
  readonly #streams = new Map<string, number>()
  #term = 0
  messages = 0

  constructor(options: FleetOptions) {
    this.#options = { window: 'minute', delayMs: 20, startMs: 1_800_000_000_000, ...options }
    this.nowMs = this.#options.startMs
    this.proxies = Array.from({ length: options.proxies }, (_, index) => new SimulatedProxy(`p${index}`))
  }

  /** Another leader; proxies dial it within a while, those that `staysAway` names not at all. */
  lead(first: boolean, staysAway: (proxy: SimulatedProxy) => boolean = () => false): void {
    this.loseLeader()
    this.#streams.clear()
    this.#book = new QuotaBook(this.nowMs, first)
    this.#at(500, () => this.#book?.restore(this.#saved))
    for (const proxy of this.proxies) if (!staysAway(proxy)) this.#at(this.#options.dice() * 3000, () => this.connect(proxy))
  }

  loseLeader(): void {
    this.#saved = this.#book?.days() ?? this.#saved
    this.#book = undefined
    this.#term++
    for (const proxy of this.proxies) this.#proxyLoses(proxy)
  }

  connect(proxy: SimulatedProxy): void {
    if (this.#book === undefined || proxy.connected) return
    proxy.stream++
    proxy.answered = 0
    proxy.connected = true
    proxy.severed = false
    proxy.lostAtMs = undefined
    const { instance, name, stream } = proxy
    this.#toLeader(proxy, () => {
      this.#streams.set(instance, stream)
      this.#book?.joined(instance, name, this.nowMs)
    })
    this.report(proxy)
  }

  /** Both sides notice in their own time; what is under way is lost. */
  cut(proxy: SimulatedProxy): void {
    const { instance, stream } = proxy
    proxy.severed = true
    this.#at(this.#options.dice() * 8000, () => proxy.stream === stream && this.#proxyLoses(proxy))
    const term = this.#term
    this.#at(this.#options.dice() * 8000, () => {
      if (term === this.#term && this.#streams.get(instance) === stream) this.#book?.left(instance, this.nowMs, false)
    })
  }

  kill(proxy: SimulatedProxy): void {
    this.cut(proxy)
    proxy.connected = false
    proxy.stream++
    proxy.restart()
  }

  #proxyLoses(proxy: SimulatedProxy): void {
    if (!proxy.connected) return
    proxy.connected = false
    proxy.stream++
    proxy.lostAtMs = this.nowMs
    proxy.capAtLoss = proxy.cap
  }

  report(proxy: SimulatedProxy): void {
    if (!proxy.connected) return
    const { instance, answered, fleet } = proxy
    if (proxy.severed) return
    const meters = [proxy.report('k', this.#options.max, this.#options.window)]
    this.#toLeader(proxy, () => {
      this.#book?.told(instance, { answered, fleet, meters, gone: [], complete: true })
      if (meters[0] !== undefined && meters[0].need > 0) this.#at(5, () => this.#order())
    })
  }

  #order(): void {
    for (const [instance, orders] of this.#book?.orders(this.nowMs) ?? []) {
      const proxy = this.proxies.find((one) => one.instance === instance)
      if (proxy?.connected === true) this.#toProxy(proxy, orders)
    }
  }

  #toProxy(proxy: SimulatedProxy, { number, fleet, caps }: Orders): void {
    const { stream } = proxy
    this.messages++
    this.#at(this.#delay(), () => {
      if (proxy.stream !== stream || proxy.severed || !proxy.connected) return
      proxy.slide(this.nowMs, this.#options.window)
      Object.assign(proxy, { answered: number, fleet })
      for (const [, cap] of caps) proxy.cap = cap
      this.#serveWaiting(proxy)
      this.report(proxy)
    })
  }

  #toLeader(proxy: SimulatedProxy, run: () => void): void {
    const { stream } = proxy
    this.messages++
    this.#at(this.#delay(), () => proxy.stream === stream && !proxy.severed && run())
  }

  /** In order on each stream: all take the same time within one step of the clock. */
  #delay(): number {
    return this.#options.delayMs
  }

  #at(inMs: number, run: () => void): void {
    this.#events.push({ atMs: this.nowMs + inMs, run })
  }

  #serveWaiting(proxy: SimulatedProxy): void {
    for (const amount of proxy.admitWaiting(this.nowMs)) this.admitted.push({ atMs: this.nowMs, amount })
  }

  ask(proxy: SimulatedProxy, amount: number): void {
    proxy.slide(this.nowMs, this.#options.window)
    this.#serveWaiting(proxy)
    const isAdmitted = proxy.ask(this.nowMs, amount)
    ;(isAdmitted ? this.admitted : this.refused).push({ atMs: this.nowMs, amount })
    if (!isAdmitted) this.report(proxy)
  }

  /** Moves the clock in steps of 10 ms; `each` is called in each step. */
  run(ms: number, each: () => void = () => undefined): void {
    const untilMs = this.nowMs + ms
    while (this.nowMs < untilMs) {
      this.nowMs += 10
      for (const event of this.#due()) event.run()
      if (this.nowMs % 1000 === 0) this.#second()
      each()
    }
  }

  #due(): readonly { run: () => void }[] {
    const due = this.#events.filter(({ atMs }) => atMs <= this.nowMs).toSorted((a, b) => a.atMs - b.atMs)
    for (const event of due) this.#events.splice(this.#events.indexOf(event), 1)
    return due
  }

  #second(): void {
    for (const proxy of this.proxies) {
      proxy.slide(this.nowMs, this.#options.window)
      this.#serveWaiting(proxy)
      this.report(proxy)
    }
    this.#book?.tick(this.nowMs, (name) => this.#over.has(name))
    this.#order()
  }

  /** The most that was admitted in any minute, or of a day in all. */
  most(): number {
    if (this.#options.window === 'day') return total(this.admitted)
    let [first, sum, most] = [0, 0, 0]
    for (const { atMs, amount } of this.admitted) {
      sum += amount
      for (let old = this.admitted[first]; old !== undefined && old.atMs <= atMs - MINUTE_MS; old = this.admitted[++first])
        sum -= old.amount
      most = Math.max(most, sum)
    }
    return most
  }

  admittedSince(sinceMs: number): number {
    return total(this.admitted.filter(({ atMs }) => atMs > sinceMs))
  }
}
