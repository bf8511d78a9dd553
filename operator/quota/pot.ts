/** One proxy's part of one limit, as its leader knows it. Amounts in the limit's unit. */
export interface Holder {
  /** The most that it may hold now: what it last said, or more, if more was granted since. */
  readonly held: number
  /** What it was last told to have, or said that it has. Below `used`: it gives up what slides out of its window. */
  readonly cap: number
  /** In the window, what is only reserved included. */
  readonly used: number
  /** All that was asked of it in the last minute, admitted or not. */
  readonly wanted: number
  /** Of a request that found no room; 0 = none waits. */
  readonly need: number
  /** It has answered all that it was told. */
  readonly settled: boolean
}

export interface Pot {
  readonly window: 'minute' | 'day'
  /** Of the limit, what proxies that are here may hold together. */
  readonly available: number
  /** Of a usual request. */
  readonly unit: number
  readonly holders: readonly Holder[]
}

/** A new cap; undefined = as it is. In the order of the holders. */
export type NewCaps = (number | undefined)[]

/** Amounts of money are fractions. */
export const EPSILON = 1e-9

export const sum = (amounts: readonly number[]): number => amounts.reduce((all, one) => all + one, 0)

/** What the holder would use if it could. */
export const demandOf = ({ wanted, used, need }: Holder): number => Math.max(wanted, used + need)

export const isBlocked = ({ used, need, cap }: Holder): boolean => need > 0 && used + need > cap + EPSILON
