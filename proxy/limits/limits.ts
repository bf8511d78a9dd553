/**
 * Limits and quotas as one proxy keeps them: limits of ours on models and clients, and what upstreams allow us. In: routing tables,
 * requests that are about to be sent, what they used in the end, limit headers of upstreams, leases of shares. Out: shortages and headroom
 * for decide, bookings, `x-ratelimit-*`. PURE but for its own state: no clock (times arrive as values), no socket, no timer.
 *
 * Whoever books must do so in the turn of the event loop in which decide found room: between the two nobody else may book.
 */
import type { LimitedRequest, Limiting, LimitsView, Shortage } from '../decide/limits-view.ts'
import { PLAIN_TOKENS, type TokensView } from '../decide/tokens-view.ts'
import type { CompiledEndpoint, CompiledModel, CompiledTable } from '../routing-table/compiled.ts'
import type { Ref } from '../routing-table/v1.ts'
import { Account, type Opened, Tally } from './account.ts'
import type { Booking, Used } from './booking.ts'
import { Caps } from './caps.ts'
import { ClientAccounts } from './clients.ts'
import { demandOf } from './demand.ts'
import type { Headers } from './limit-headers.ts'
import type { Meter, MeterReading } from './meter.ts'
import { rateHeaders } from './rate-headers.ts'
import { Upstreams } from './upstreams.ts'

const NOTHING: Booking = { settle: () => {}, refund: () => {} }

export class Limits implements LimitsView {
  readonly #tokens: TokensView
  readonly #caps = new Caps()
  /** Models that have limits, or backends with a declared quota. */
  readonly #models = new Map<Ref, { readonly entry: CompiledModel['entry']; readonly account: Account; readonly tally: Tally }>()
  readonly #clients = new ClientAccounts(this.#caps)
  readonly #upstreams = new Upstreams()
  readonly #listeners = new Set<(model: Ref | undefined) => void>()
  #onShort: (key: string, needed: number) => void = () => {}
  #open = 0

  constructor(tokens: TokensView = PLAIN_TOKENS) {
    this.#tokens = tokens
  }

  /** Bookings that are neither settled nor refunded. */
  get open(): number {
    return this.#open
  }

  /** Follows a table swap: a limit that stays keeps what it has counted, whatever its new size. */
  apply(table: CompiledTable): void {
    for (const ref of this.#models.keys()) if (!table.models.has(ref)) this.#models.delete(ref)
    for (const { entry } of table.models.values()) this.#follow(entry)
    this.#clients.apply(table.policies)
    this.#upstreams.keep((id) => table.endpoints.get(id))
    this.#told(undefined)
  }

  #follow(entry: CompiledModel['entry']): void {
    const known = this.#models.get(entry.ref)
    if (known?.entry === entry) return
    if (entry.limits === undefined && !entry.backends.some(({ quota }) => quota !== undefined)) {
      this.#models.delete(entry.ref)
      return
    }
    const tally = known?.tally ?? new Tally()
    const account = known?.account ?? new Account(`model ${entry.ref}`, { books: this.#caps, tally })
    const { requestsPerMinute, tokensPerMinute, tokensPerDay } = entry.limits ?? {}
    account.configure({
      ...(requestsPerMinute !== undefined && { requestsPerMinute }),
      ...(tokensPerMinute !== undefined && { tokensPerMinute }),
      ...(tokensPerDay !== undefined && { tokensPerDay }),
    })
    this.#models.set(entry.ref, { entry, account, tally })
  }

  modelShortage(model: Ref, facts: LimitedRequest, nowMs: number): Shortage | undefined {
    const account = this.#models.get(model)?.account
    return account?.limited === true ? shortageOf(account, facts, this.#tokens.of(model, facts), nowMs) : undefined
  }

  clientShortage(rule: Limiting, facts: LimitedRequest, nowMs: number): Shortage | undefined {
    return shortageOf(this.#clients.of(rule, facts.client), facts, facts.promptTokens, nowMs)
  }

  headroom(endpoint: CompiledEndpoint, nowMs: number): number {
    return this.#upstreams.headroom(endpoint, nowMs)
  }

  /** Whether `headroom` can be anything but 1. */
  knowsQuota(endpoint: CompiledEndpoint): boolean {
    return this.#upstreams.knows(endpoint)
  }

  quotaPercent(endpoint: CompiledEndpoint, nowMs: number): number {
    return Math.round(100 * this.#upstreams.used(endpoint, nowMs))
  }

  /** The client's limits under the rule, maxConcurrent included: once a request, before its first attempt. */
  admit({ rule, facts }: { rule: Limiting; facts: LimitedRequest }, nowMs: number): Booking {
    const account = this.#clients.use(rule, facts.client)
    if (account?.limited !== true) return NOTHING
    const opened = account.open(demandOf(facts, account.p95OutputTokens), nowMs)
    return this.#booking((used, endMs) => {
      if (account.close(opened, used, endMs)) this.#told(undefined)
    })
  }

  /** The serving model's own limits, and the upstream's quota of this backend and credential: once an attempt. */
  book(
    { endpoint, credential, facts }: { endpoint: CompiledEndpoint; credential: string | undefined; facts: LimitedRequest },
    nowMs: number,
  ): Booking {
    const account = this.#models.get(endpoint.model)?.account
    const demand = demandOf(facts, account?.p95OutputTokens, this.#tokens.of(endpoint.model, facts))
    const upstream = this.#upstreams.send({ endpoint, credential }, demand, nowMs)
    if (account === undefined && upstream === undefined) return NOTHING
    const opened: Opened | undefined = account?.open(demand, nowMs)
    return this.#booking((used, endMs) => {
      if (upstream !== undefined) upstream.use.settle(upstream.sent, tokensOf(used), endMs)
      if (account !== undefined && opened !== undefined && account.close(opened, used, endMs)) this.#told(endpoint.model)
    })
  }

  #booking(end: (used: Used | 'nothing' | undefined, nowMs: number) => void): Booking {
    this.#open++
    let ended = false
    const once = (used: Used | 'nothing' | undefined, nowMs: number): void => {
      if (ended) return
      ended = true
      this.#open--
      end(used, nowMs)
    }
    return { settle: once, refund: (nowMs) => once('nothing', nowMs) }
  }

  /** A request was turned away or made to wait for want of this: counted, and its need stands in `wanted`. Once a request and limit. */
  missed(shortage: Shortage): void {
    this.#accountAt(shortage.key)?.missed(shortage)
    this.lacks(shortage)
  }

  /** A request that has been counted as missed still waits for want of this. */
  lacks({ key, needed }: Shortage): void {
    this.#onShort(key, needed)
  }

  /** The one who is told of each limit that had no room for a request, and of what that needs. Must not throw. */
  onShort(listener: (key: string, needed: number) => void): void {
    this.#onShort = listener
  }

  #accountAt(meterKey: string): Account | undefined {
    const key = meterKey.slice(0, meterKey.lastIndexOf(' '))
    return key.startsWith('model ') ? this.#models.get(key.slice('model '.length))?.account : this.#clients.at(key.slice('client '.length))
  }

  /** Limit headers of an answer, whatever its status. The time until which this credential has nothing left; undefined = it has. */
  heard(endpoint: CompiledEndpoint, credential: string | undefined, headers: Headers, nowMs: number): number | undefined {
    return this.#upstreams.heard(endpoint, credential, headers, nowMs)
  }

  /**
   * Told of each room that came back before its time: the model whose limit it is, undefined = a client's, or any. Must not throw. Ends
   * with the call of what it returns.
   */
  onRoom(listener: (model: Ref | undefined) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  #told(model: Ref | undefined): void {
    for (const listener of this.#listeners) listener(model)
  }

  /** `x-ratelimit-*` of the strictest limit of ours that applies, name after name; empty = none applies. */
  headers({ model, rule, facts }: { model: Ref; rule: Limiting; facts: LimitedRequest }, nowMs: number): string[] {
    const own = this.#models.get(model)?.account.meters ?? []
    const clients = this.#clients.of(rule, facts.client)?.meters ?? []
    return own.length + clients.length === 0 ? [] : rateHeaders([...own, ...clients], nowMs)
  }

  /** Every meter there is: of models, and of clients that have asked; of those the newest use is at the end. */
  *meters(nowMs: number): Generator<MeterReading> {
    for (const { account } of this.#models.values()) for (const meter of account.meters) yield meter.reading(nowMs)
    for (const { account } of this.#clients.all()) for (const meter of account.meters) yield meter.reading(nowMs)
  }

  /** One of them; undefined = there is none now. */
  reading(key: string, nowMs: number): MeterReading | undefined {
    return this.#meterAt(key)?.reading(nowMs)
  }

  #meterAt(key: string): Meter | undefined {
    return this.#accountAt(key)?.meters.find((one) => one.key === key)
  }

  /** Of models that have limits or quotas, and of policies that limit clients. */
  *tallies(): Generator<{ readonly scope: 'model' | 'client'; readonly name: Ref; readonly tally: Tally }> {
    for (const [name, { tally }] of this.#models) yield { scope: 'model', name, tally }
    for (const [name, tally] of this.#clients.tallies) yield { scope: 'client', name, tally }
  }

  /** An endpoint of each backend of whose upstream's quota something is known. */
  upstreams(): Iterable<string> {
    return this.#upstreams.endpoints()
  }

  /** This proxy's share of one limit; undefined = the default share again. A key that has no meter yet is kept for it. */
  lease(key: string, cap: number | undefined): void {
    if (this.#caps.lease(key, cap)) this.#told(key.startsWith('model ') ? key.split(' ')[1] : undefined)
  }

  /** The share, 0 to 1, of limits without a lease; at the start 1. */
  leaseDefault(share: number): void {
    if (this.#caps.leaseDefault(share)) this.#told(undefined)
  }

  /** What was used of a limit a day before this process began, as of `atMs`. */
  carry(key: string, amount: number, atMs: number): void {
    const meter = this.#meterAt(key)
    if (meter === undefined) this.#caps.carry(key, amount, atMs)
    else meter.window.add(amount, atMs)
  }
}

const shortageOf = (account: Account | undefined, facts: LimitedRequest, promptTokens: number, nowMs: number): Shortage | undefined =>
  account?.limited === true ? account.shortage(demandOf(facts, account.p95OutputTokens, promptTokens), nowMs) : undefined

/** A request that failed used none as far as anybody counts. */
const tokensOf = (used: Used | 'nothing' | undefined): number | undefined =>
  used === 'nothing' ? 0 : used && used.inputTokens + used.outputTokens
