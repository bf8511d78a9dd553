/** The figures of a benchmark, how rounds become one, and the gates. PURE. */

export interface Figures {
  /** CPU time of the process, in microseconds: a request at full load, a request at 1,000 a second, an event of a stream. */
  readonly cpu1k: number
  readonly cpu64k: number
  readonly cpu1kAtRate: number
  readonly cpuEvent: number
  /** Latency at 1,000 requests a second, and how long an event is on its way, in microseconds. */
  readonly p50: number
  readonly p99: number
  readonly eventP50: number
  readonly eventP99: number
  /** Highest resident memory: of a fresh process at 1,000 streams, and of one under all the other loads. */
  readonly streamsMb: number
  readonly otherLoadsMb: number
}

export const FIGURES = [
  'cpu1k',
  'cpu64k',
  'cpu1kAtRate',
  'cpuEvent',
  'p50',
  'p99',
  'eventP50',
  'eventP99',
  'streamsMb',
  'otherLoadsMb',
] as const satisfies readonly (keyof Figures)[]

/** Lowest of the rounds, figure by figure: noise of a shared machine only ever adds. */
export function lowest(rounds: readonly Figures[]): Figures {
  const least = (name: keyof Figures): number => Math.min(...rounds.map((round) => round[name]))
  return {
    cpu1k: least('cpu1k'),
    cpu64k: least('cpu64k'),
    cpu1kAtRate: least('cpu1kAtRate'),
    cpuEvent: least('cpuEvent'),
    p50: least('p50'),
    p99: least('p99'),
    eventP50: least('eventP50'),
    eventP99: least('eventP99'),
    streamsMb: least('streamsMb'),
    otherLoadsMb: least('otherLoadsMb'),
  }
}

export interface Results {
  readonly direct: Figures
  readonly nginx: Figures
  readonly proxy: Figures
  /** Lowest of several starts. */
  readonly listeningMs: number
  readonly readyMs: number
}

export interface Gate {
  readonly what: string
  readonly allowed: string
  readonly measured: string
  readonly passed: boolean
}

export function gates({ nginx, proxy, readyMs }: Results): Gate[] {
  return [
    ratioGate('CPU per request, 1 KiB', proxy.cpu1k / nginx.cpu1k, 3.5),
    ratioGate('CPU per request, 64 KiB', proxy.cpu64k / nginx.cpu64k, 4.5),
    ratioGate('CPU per event of a stream', proxy.cpuEvent / nginx.cpuEvent, 2.5),
    gate(
      '99th percentile at 1,000 requests a second',
      (proxy.p99 - nginx.p99) / 1000,
      1,
      (ms) => `nginx ${ms < 0 ? '−' : '+'} ${Math.abs(ms).toFixed(2)} ms`,
    ),
    gate('memory at 1,000 streams', proxy.streamsMb, 180, (mb) => `${mb.toFixed(0)} MB`),
    gate('from start to ready', readyMs, 300, (ms) => `${ms.toFixed(0)} ms`),
  ]
}

const ratioGate = (what: string, ratio: number, most: number): Gate => gate(what, ratio, most, (times) => `${times.toFixed(2)} × nginx`)

function gate(what: string, value: number, most: number, show: (value: number) => string): Gate {
  return { what, allowed: `≤ ${show(most)}`, measured: show(value), passed: value <= most }
}
