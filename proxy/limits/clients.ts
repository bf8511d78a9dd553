import { termsFor } from '../decide/client-terms.ts'
import type { Client } from '../decide/input.ts'
import type { Limiting } from '../decide/limits-view.ts'
import { dearest } from '../decide/price.ts'
import type { CompiledPolicy, CompiledTable } from '../routing-table/compiled.ts'
import type { ClientLimits, Pricing, Ref } from '../routing-table/v1.ts'
import { Account, type Books, Tally } from './account.ts'

/** Beyond it those that have been idle longest are forgotten, and begin anew if they return. */
const MAX_ACCOUNTS = 5000
/** How many of the oldest are looked at for one that has no request running. */
const LOOKED_AT = 32

interface Entry {
  readonly key: string
  readonly policy: Ref
  /** What it reserves; another object for each version of the policy, so that it tells which one's limits it has. Undefined = none yet. */
  prices: Pricing | undefined
  readonly account: Account
}

/** Accounts of clients, one for each client of each policy or rule that limits it; a client without a name is its namespace. */
export class ClientAccounts {
  /** Oldest use first. */
  readonly #entries = new Map<string, Entry>()
  /** By policy. */
  readonly #tallies = new Map<string, Tally>()
  readonly #books: Books
  #policies: CompiledTable['policies'] = new Map()
  /** Of the policies of this table, and of those before that are still asked. */
  #prices = new WeakMap<CompiledPolicy, Pricing>()

  constructor(books: Books) {
    this.#books = books
  }

  /** Undefined = neither the rule nor its policy limits clients. */
  of(rule: Limiting, client: Client): Account | undefined {
    return this.#entryOf(rule, client)?.account
  }

  /** The same, and it is the newest use. */
  use(rule: Limiting, client: Client): Account | undefined {
    const entry = this.#entryOf(rule, client)
    if (entry === undefined) return undefined
    this.#entries.delete(entry.key)
    this.#entries.set(entry.key, entry)
    return entry.account
  }

  #entryOf(rule: Limiting, client: Client): Entry | undefined {
    const { policy } = rule
    if (policy === undefined || (rule.limits ?? policy.entry.clients) === undefined) return undefined
    const key = `${rule.limits === undefined ? policy.entry.ref : rule.key} ${client.name ?? client.namespace}`
    const entry = this.#entries.get(key) ?? this.#make(key, policy)
    const prices = this.#pricesOf(policy)
    if (entry.prices !== prices) {
      entry.prices = prices
      entry.account.configure(rule.limits ?? strictestFor(policy, client), prices)
    }
    return entry
  }

  #pricesOf(policy: CompiledPolicy): Pricing {
    const prices = this.#prices.get(policy) ?? dearest(policy, this.#policies)
    this.#prices.set(policy, prices)
    return prices
  }

  #make(key: string, { entry: { ref } }: CompiledPolicy): Entry {
    if (this.#entries.size >= MAX_ACCOUNTS) this.#forgetOne()
    const account = new Account(`client ${key}`, { books: this.#books, tally: this.#tallyOf(ref) })
    const entry = { key, policy: ref, prices: undefined, account }
    this.#entries.set(key, entry)
    return entry
  }

  #tallyOf(policy: string): Tally {
    const tally = this.#tallies.get(policy) ?? new Tally()
    this.#tallies.set(policy, tally)
    return tally
  }

  get tallies(): ReadonlyMap<string, Tally> {
    return this.#tallies
  }

  #forgetOne(): void {
    let looked = 0
    for (const [key, { account }] of this.#entries) {
      if (!account.idle && ++looked < LOOKED_AT) continue
      this.#entries.delete(key)
      return
    }
  }

  /** Undefined = none, or forgotten. */
  at(key: string): Account | undefined {
    return this.#entries.get(key)?.account
  }

  /** Those of a table. */
  apply(policies: CompiledTable['policies']): void {
    if (policies !== this.#policies) this.#prices = new WeakMap()
    this.#policies = policies
    for (const [key, { policy }] of this.#entries) if (!policies.has(policy)) this.#entries.delete(key)
    for (const policy of this.#tallies.keys()) if (!policies.has(policy)) this.#tallies.delete(policy)
  }

  /** The newest use at the end. */
  all(): Iterable<{ readonly account: Account }> {
    return this.#entries.values()
  }
}

const strictestFor = (policy: CompiledPolicy, client: Client): ClientLimits =>
  strictest(termsFor(policy, client).flatMap(({ limits }) => limits ?? []))

const strictest = (all: readonly ClientLimits[]): ClientLimits => {
  const least: { -readonly [K in keyof ClientLimits]: ClientLimits[K] } = {}
  for (const limits of all) {
    for (const name of CLIENT_LIMITS) {
      const max = limits[name]
      if (max !== undefined) least[name] = Math.min(max, least[name] ?? max)
    }
  }
  return least
}

const CLIENT_LIMITS = ['requestsPerMinute', 'tokensPerMinute', 'tokensPerDay', 'costPerDay', 'maxConcurrent'] as const
