import { termsFor } from '../decide/client-terms.ts'
import type { Client } from '../decide/input.ts'
import { dearest } from '../decide/price.ts'
import type { CompiledPolicy } from '../routing-table/compiled.ts'
import type { ClientLimits } from '../routing-table/v1.ts'
import { Account, type Books, Tally } from './account.ts'

/** Beyond it those that have been idle longest are forgotten, and begin anew if they return. */
const MAX_ACCOUNTS = 5000
/** How many of the oldest are looked at for one that has no request running. */
const LOOKED_AT = 32

interface Entry {
  /** The policy that it was made for. */
  policy: CompiledPolicy
  readonly account: Account
}

/** Accounts of clients, one for each client of each policy that limits it; a client without a name is its namespace. */
export class ClientAccounts {
  /** Oldest use first. */
  readonly #entries = new Map<string, Entry>()
  /** By policy. */
  readonly #tallies = new Map<string, Tally>()
  readonly #books: Books

  constructor(books: Books) {
    this.#books = books
  }

  /** Undefined = the policy says nothing of clients. */
  of(policy: CompiledPolicy | undefined, client: Client): Account | undefined {
    return policy?.entry.clients === undefined ? undefined : this.#entryOf(keyOf(policy, client), policy, client).account
  }

  /** The same, and it is the newest use. */
  use(policy: CompiledPolicy | undefined, client: Client): Account | undefined {
    if (policy?.entry.clients === undefined) return undefined
    const key = keyOf(policy, client)
    const entry = this.#entryOf(key, policy, client)
    this.#entries.delete(key)
    this.#entries.set(key, entry)
    return entry.account
  }

  #entryOf(key: string, policy: CompiledPolicy, client: Client): Entry {
    const entry = this.#entries.get(key) ?? this.#make(key, policy, client)
    if (entry.policy !== policy) {
      entry.policy = policy
      configure(entry.account, policy, client)
    }
    return entry
  }

  #make(key: string, policy: CompiledPolicy, client: Client): Entry {
    if (this.#entries.size >= MAX_ACCOUNTS) this.#forgetOne()
    const account = new Account(`client ${key}`, { books: this.#books, tally: this.#tallyOf(policy.entry.ref) })
    configure(account, policy, client)
    const entry = { policy, account }
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

  keep(known: (policy: string) => boolean): void {
    for (const [key, { policy }] of this.#entries) if (!known(policy.entry.ref)) this.#entries.delete(key)
    for (const policy of this.#tallies.keys()) if (!known(policy)) this.#tallies.delete(policy)
  }

  /** The newest use at the end. */
  all(): Iterable<{ readonly account: Account }> {
    return this.#entries.values()
  }
}

const keyOf = (policy: CompiledPolicy, client: Client): string => `${policy.entry.ref} ${client.name ?? client.namespace}`

const configure = (account: Account, policy: CompiledPolicy, client: Client): void =>
  account.configure(strictest(termsFor(policy, client).flatMap(({ limits }) => limits ?? [])), dearest(policy))

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
