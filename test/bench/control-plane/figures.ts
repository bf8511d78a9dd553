/** The figures of the control plane's benchmark and their gates. PURE. */

/** Milliseconds. */
export interface Latency {
  readonly p50: number
  readonly p99: number
}

/** One round of changes at the first size. */
export interface Round {
  readonly changes: number
  /** From the API server's answer to the last proxy; the same for each kind of change; and from just before the request. */
  readonly fromAnswer: Latency
  readonly weight: Latency
  readonly endpoint: Latency
  readonly fromSending: Latency
}

/** What one change costs at one size of the table. */
export interface Cost {
  readonly models: number
  readonly endpoints: number
  readonly proxies: number
  /** Of the operator, in milliseconds, without what it uses at rest. */
  readonly cpuMsPerChange: number
  readonly cpuMsPerSecondAtRest: number
  /** Payload of the stream, to one proxy. */
  readonly bytesPerChange: number
  readonly fromAnswer: Latency
}

export interface Start {
  readonly models: number
  readonly endpoints: number
  readonly proxies: number
  readonly startToSyncedMs: number
  readonly listedToSyncedMs: number
  /** From the operator's start until the last proxy had the whole table. */
  readonly startToAllProxiesMs: number
  /** Resident after all of it, and the most it ever was. */
  readonly nowMb: number
  readonly peakMb: number
}

export interface Results {
  readonly proxies: number
  readonly models: number
  readonly endpoints: number
  readonly rounds: readonly Round[]
  readonly costs: readonly Cost[]
  readonly start: Start
}

export interface Gate {
  readonly what: string
  readonly allowed: string
  readonly measured: string
  readonly passed: boolean
}

export function percentile(values: readonly number[], part: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.ceil(sorted.length * part) - 1)] ?? Number.NaN
}

export const latencyOf = (values: readonly number[]): Latency => ({ p50: percentile(values, 0.5), p99: percentile(values, 0.99) })

export const median = (values: readonly number[]): number => percentile(values, 0.5)

/** A figure that was not measured passes no gate. */
export function gates({ rounds, start, costs }: Results): readonly Gate[] {
  const p99 = median(rounds.map(({ fromAnswer }) => fromAnswer.p99))
  return [
    gate('a change at all proxies, 99th percentile, median of rounds', p99, 1000, 'ms'),
    gate('from all listed to synced', start.listedToSyncedMs, 1000, 'ms'),
    gate("the operator's memory, the most it ever was", start.peakMb, 250, 'MB'),
    gate('CPU of a change, ten times the models', ratioOf(costs), MAX_RATIO, '×'),
  ]
}

/** Ten would be the cost of the table. */
const MAX_RATIO = 5

const ratioOf = ([small, large]: readonly Cost[]): number => (large?.cpuMsPerChange ?? Number.NaN) / (small?.cpuMsPerChange ?? Number.NaN)

function gate(what: string, value: number, most: number, unit: string): Gate {
  const show = (shown: number): string => `${shown.toFixed(unit === '×' ? 1 : 0)} ${unit}`
  return { what, allowed: `≤ ${show(most)}`, measured: show(value), passed: value <= most }
}
