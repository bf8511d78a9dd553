import type { OperatorFrame, ProxyFrame } from '../../proxy/routing-table/frames.ts'
import { METERS_PER_FRAME } from '../../proxy/routing-table/frames.ts'
import { type Orders, QuotaBook } from '../quota/book.ts'
import type { SavedDays } from '../quota/days.ts'

export type QuotaReport = Extract<ProxyFrame, { type: 'quota' }>
type QuotaOrder = Extract<OperatorFrame, { type: 'quota' }>

/** One stream of a proxy, as far as its shares of limits go. */
export interface QuotaClient {
  /** Of its process: random, new with each. */
  readonly instance: string
  /** The same for every stream of one proxy. */
  readonly proxy: string
  order(frame: QuotaOrder): void
}

export interface QuotaDeskOptions {
  readonly now: () => number
  /** Whether this proxy's pod is over for sure. */
  readonly isOver: (proxy: string) => boolean
  /** A proxy is gone: what it has used of a day is worth writing down. */
  readonly onGone: () => void
}

const TICK_MS = 1_000
/** So that requests that come together are answered together. */
const ANSWER_AFTER_MS = 5

/** Gives proxies their shares of limits, while this operator leads. Owner: Sessions; `close()` once. */
export class QuotaDesk {
  readonly #options: QuotaDeskOptions
  /** By process: those that are here. */
  readonly #clients = new Map<string, QuotaClient>()
  readonly #ticker: NodeJS.Timeout
  #answering: NodeJS.Timeout | undefined
  #book: QuotaBook | undefined

  constructor(options: QuotaDeskOptions) {
    this.#options = options
    this.#ticker = setInterval(() => this.#tick(), TICK_MS)
  }

  /** A term begins. Nothing of a day is given to anyone before `restore`. */
  begin(first: boolean): void {
    if (this.#book !== undefined) return
    const nowMs = this.#options.now()
    this.#book = new QuotaBook(nowMs, first)
    for (const [id, { proxy }] of this.#clients) this.#book.joined(id, proxy, nowMs)
  }

  restore(saved: SavedDays | undefined): void {
    this.#book?.restore(saved)
    this.#answerSoon()
  }

  end(): void {
    this.#book = undefined
  }

  /** Undefined: this operator does not lead. */
  days(): SavedDays | undefined {
    return this.#book?.days()
  }

  close(): void {
    clearInterval(this.#ticker)
    clearTimeout(this.#answering)
    this.#book = undefined
  }

  joined(client: QuotaClient): void {
    this.#clients.set(idOf(client), client)
    this.#book?.joined(idOf(client), client.proxy, this.#options.now())
  }

  left(client: QuotaClient): void {
    if (this.#clients.get(idOf(client)) !== client) return
    this.#clients.delete(idOf(client))
    this.#book?.left(idOf(client), this.#options.now(), false)
    this.#options.onGone()
  }

  told(client: QuotaClient, report: QuotaReport): void {
    if (this.#clients.get(idOf(client)) !== client) return
    this.#book?.told(idOf(client), report)
    if (report.stops === true) this.#stops(client)
    else if (report.meters.some(({ need }) => need > 0)) this.#answerSoon()
  }

  #stops(client: QuotaClient): void {
    this.#clients.delete(idOf(client))
    this.#book?.left(idOf(client), this.#options.now(), true)
    this.#options.onGone()
  }

  #tick(): void {
    this.#book?.tick(this.#options.now(), this.#options.isOver)
    this.#answer()
  }

  #answerSoon(): void {
    this.#answering ??= setTimeout(() => this.#answer(), ANSWER_AFTER_MS)
  }

  #answer(): void {
    clearTimeout(this.#answering)
    this.#answering = undefined
    for (const [id, orders] of this.#book?.orders(this.#options.now()) ?? []) this.#order(id, orders)
  }

  /** The last of several frames brings the number: it answers for all. */
  #order(id: string, { number, fleet, caps }: Orders): void {
    for (let at = 0; at === 0 || at < caps.length; at += METERS_PER_FRAME) {
      const end = at + METERS_PER_FRAME
      const frame = { type: 'quota' as const, number: end >= caps.length ? number : number - 1, fleet, caps: caps.slice(at, end) }
      this.#clients.get(id)?.order(frame)
    }
  }
}

/** Nobody speaks for another proxy's process, whatever instance it names. */
const idOf = ({ proxy, instance }: QuotaClient): string => `${proxy} ${instance}`
