import type { Books } from './account.ts'

/** Keys that may have a lease or an amount carried over before there is a meter for them. */
const MAX_KEYS = 50_000

/** This proxy's shares of limits, by key of the meter; without a lease the default share of the whole. */
export class Caps implements Books {
  readonly #leases = new Map<string, number>()
  readonly #carried = new Map<string, { readonly amount: number; readonly atMs: number }>()
  #defaultShare = 1

  capOf(key: string, max: number): number {
    return Math.min(max, this.#leases.get(key) ?? max * this.#defaultShare)
  }

  /** Whether there may be more room than before. Undefined ends the lease. */
  lease(key: string, cap: number | undefined): boolean {
    const before = this.#leases.get(key)
    if (cap === undefined) return this.#leases.delete(key)
    if (before === undefined && this.#leases.size >= MAX_KEYS) return false
    this.#leases.set(key, cap)
    return before === undefined || cap > before
  }

  /** True: there may be more room than before. */
  leaseDefault(share: number): boolean {
    const before = this.#defaultShare
    this.#defaultShare = share
    return share > before
  }

  carry(key: string, amount: number, atMs: number): void {
    if (this.#carried.size < MAX_KEYS) this.#carried.set(key, { amount, atMs })
  }

  carriedOf(key: string): { readonly amount: number; readonly atMs: number } | undefined {
    const carried = this.#carried.get(key)
    this.#carried.delete(key)
    return carried
  }
}
