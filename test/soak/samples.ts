/** What the proxy says of itself at one moment, and what of it grows. PURE. */

export interface Sample {
  readonly atMs: number
  readonly rssMb: number
  readonly heapMb: number
  readonly externalMb: number
  readonly descriptors: number
  readonly sockets: number
  readonly inFlight: number
  readonly heldBytes: number
  /** The worst since the sample before. */
  readonly lagMs: number
  readonly tableSeq: number
  /** Settled requests by outcome. */
  readonly outcomes: ReadonlyMap<string, number>
}

const MB = 1024 * 1024
const LINE = /^([a-z_:]+)(?:\{(.*)\})? (\S+)$/

/** Reads the text of `/metrics`. */
export function sampleOf(text: string, atMs: number, { all, sockets }: { all: number; sockets: number }): Sample {
  const outcomes = new Map<string, number>()
  const sums = new Map<string, number>()
  for (const line of text.split('\n')) {
    const [, name = '', labels = '', number] = LINE.exec(line) ?? []
    const value = Number(number)
    if (name === 'llama_swap_requests_total') {
      const outcome = /outcome="([^"]*)"/.exec(labels)?.[1] ?? ''
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + value)
    }
    const key = labels.includes('percentile="100"') ? `${name} 100` : name
    sums.set(key, (sums.get(key) ?? 0) + value)
  }
  const of = (name: string): number => sums.get(name) ?? 0
  return {
    atMs,
    rssMb: of('process_resident_memory_bytes') / MB,
    heapMb: of('nodejs_heap_size_used_bytes') / MB,
    externalMb: of('nodejs_external_memory_bytes') / MB,
    descriptors: all,
    sockets,
    inFlight: of('llama_swap_endpoint_in_flight'),
    heldBytes: of('llama_swap_held_bytes'),
    lagMs: of('llama_swap_event_loop_lag_seconds 100') * 1000,
    tableSeq: of('llama_swap_table_seq'),
    outcomes,
  }
}

/** Slope of the straight line that fits best (least squares), in units per hour. Undefined with fewer than three samples. */
export function perHour(samples: readonly Sample[], value: (sample: Sample) => number): number | undefined {
  if (samples.length < 3) return undefined
  const mean = (of: (sample: Sample) => number): number => samples.reduce((sum, sample) => sum + of(sample), 0) / samples.length
  const meanMs = mean(({ atMs }) => atMs)
  const meanValue = mean(value)
  const spread = mean(({ atMs }) => (atMs - meanMs) ** 2)
  return (mean((sample) => (sample.atMs - meanMs) * (value(sample) - meanValue)) / spread) * 3_600_000
}

/** Of each `width` samples the one with the least heap: what stays after garbage was collected. */
export function floors(samples: readonly Sample[], width: number): Sample[] {
  const lowest: Sample[] = []
  for (let at = 0; at + width <= samples.length; at += width)
    lowest.push(samples.slice(at, at + width).reduce((low, sample) => (sample.heapMb < low.heapMb ? sample : low)))
  return lowest
}
