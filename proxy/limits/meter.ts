import type { Shortage } from '../decide/limits-view.ts'
import { DayWindow, type Mark, MinuteWindow, type Window } from './window.ts'

/** Limits that all proxies share, and what each counts. */
export const METERED = {
  requestsPerMinute: { window: 'minute', unit: 'requests' },
  tokensPerMinute: { window: 'minute', unit: 'tokens' },
  tokensPerDay: { window: 'day', unit: 'tokens' },
  costPerDay: { window: 'day', unit: 'usd' },
} as const
export type MeteredLimit = keyof typeof METERED
export const METERED_LIMITS = ['requestsPerMinute', 'tokensPerMinute', 'tokensPerDay', 'costPerDay'] as const satisfies MeteredLimit[]

export interface MeterReading {
  /** "model NAMESPACE/NAME LIMIT" or "client NAMESPACE/POLICY[/RULE] CLIENT LIMIT". */
  readonly key: string
  readonly limit: MeteredLimit
  readonly window: 'minute' | 'day'
  /** Of the whole installation: requests, tokens or USD. */
  readonly max: number
  /** This proxy's share of it. */
  readonly cap: number
  /** By this proxy, in the window, what is only reserved included. */
  readonly used: number
  /** All that was ever asked of this proxy, admitted or not: only rises. */
  readonly wanted: number
}

/** What a request takes of a meter. */
export interface Need {
  /** As estimated. */
  readonly amount: number
  /** The part of it that is no guess: more than the whole limit can never be admitted. */
  readonly certain: number
}

const EPSILON = 1e-9

/** This proxy's share of each limit. */
export interface Shares {
  capOf(key: string, max: number): number
}

/** One limit that proxies share. `cap` is this proxy's part of it. */
export class Meter {
  readonly key: string
  readonly limit: MeteredLimit
  readonly window: Window
  max: number
  #wanted = 0
  readonly #shares: Shares

  constructor(key: string, limit: MeteredLimit, max: number, shares: Shares) {
    this.key = key
    this.limit = limit
    this.max = max
    this.window = METERED[limit].window === 'day' ? new DayWindow() : new MinuteWindow()
    this.#shares = shares
  }

  get cap(): number {
    return this.#shares.capOf(this.key, this.max)
  }

  /**
   * An answer's length is a guess: it never asks for more than the whole limit, so that a request whose prompt fits is admitted once the
   * window is empty. A prompt larger than the whole limit never is.
   */
  shortage({ amount, certain }: Need, nowMs: number): Shortage | undefined {
    const needed = Math.min(amount, Math.max(this.max, certain))
    const { cap, max, key, limit } = this
    const used = this.window.used(nowMs)
    if (used + needed <= cap + EPSILON) return undefined
    const resetMs = needed > max ? Number.POSITIVE_INFINITY : this.window.freesInMs(used + needed - cap, nowMs)
    return { key, limit, max, remaining: Math.max(0, cap - used), needed, resetMs, leased: cap < max }
  }

  take(amount: number, nowMs: number): Mark {
    this.#wanted += amount
    return this.window.add(amount, nowMs)
  }

  missed(amount: number): void {
    this.#wanted += amount
  }

  reading(nowMs: number): MeterReading {
    const { key, limit, max, cap } = this
    return { key, limit, window: METERED[limit].window, max, cap, used: this.window.used(nowMs), wanted: this.#wanted }
  }
}

/** An amount taken of a meter until it is known what was used. */
export class Taken {
  readonly #meter: Meter
  readonly #amount: number
  readonly #mark: Mark

  constructor(meter: Meter, amount: number, nowMs: number) {
    this.#meter = meter
    this.#amount = amount
    this.#mark = meter.take(amount, nowMs)
  }

  get unit(): (typeof METERED)[MeteredLimit]['unit'] {
    return METERED[this.#meter.limit].unit
  }

  /** What was not used comes back where it was taken; what was used beyond it counts from now. True: something came back. */
  settle(used: number, nowMs: number): boolean {
    const over = this.#amount - used
    if (over > 0) this.#meter.window.takeBack(over, this.#mark, nowMs)
    else if (over < 0) this.#meter.take(-over, nowMs)
    return over > 0
  }
}
