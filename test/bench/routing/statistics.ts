/** Means over seeds and how sure they are. PURE. */

/** 97.5th percentiles of Student's t by degrees of freedom, from 1; from 30 on that of the last row is a little too careful. */
const T_975: readonly number[] = [
  12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.16, 2.145, 2.131, 2.12, 2.11, 2.101, 2.093, 2.086,
  2.08, 2.074, 2.069, 2.064, 2.06, 2.056, 2.052, 2.048, 2.045, 2.042,
]

export interface Estimate {
  readonly mean: number
  /** Bounds of the interval that holds the mean with 95 %; NaN with fewer than two values. */
  readonly low: number
  readonly high: number
}

export function estimate(values: readonly number[]): Estimate {
  const count = values.length
  const mean = meanOf(values)
  if (count < 2) return { mean, low: Number.NaN, high: Number.NaN }
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (count - 1)
  const half = (T_975[Math.min(count - 1, T_975.length) - 1] ?? 0) * Math.sqrt(variance / count)
  return { mean, low: mean - half, high: mean + half }
}

/** Of ratios seed by seed: both runs of a pair had the same requests. */
export const ratioOf = (values: readonly number[], others: readonly number[]): Estimate =>
  estimate(values.map((value, at) => value / (others[at] ?? Number.NaN)))

export const meanOf = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length

/** `part` of all values are not above it. */
export function quantile(values: readonly number[], part: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.max(0, Math.ceil(part * sorted.length) - 1)] ?? Number.NaN
}
