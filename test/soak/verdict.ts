/** What a soak must show, and its words. PURE. */
import type { Findings } from './clients.ts'
import { floors, perHour, type Sample } from './samples.ts'

export interface Soaked {
  readonly minutes: number
  readonly seed: number
  readonly tables: number
  /** Before the first request; after the last one, when all is quiet again. */
  readonly before: Sample
  readonly after: Sample
  /** Under load. */
  readonly samples: readonly Sample[]
  readonly findings: Findings
  readonly errors: readonly string[]
  readonly ended: boolean
}

/** The heap and the pools fill at first: what grows then is no leak. */
const WARM_SHARE = 1 / 3
/** A shorter run says nothing of growth. */
const LEAST_MINUTES_FOR_GROWTH = 10
/** Samples of which the one with the least heap counts: between two of them the heap has been collected. */
const FLOOR_SAMPLES = 18
/** What may be noise, and what may be added each hour. */
const GROWTH = { rssMb: [60, 10], heapMb: [15, 3], descriptors: [15, 5] } as const
const MOST_RSS_MB = 400
const MOST_DESCRIPTORS_LEFT = 10

export interface Slopes {
  readonly rssMb: number | undefined
  readonly heapMb: number | undefined
  readonly descriptors: number | undefined
}

export function slopesOf({ samples }: Soaked): Slopes {
  const warm = samples.slice(Math.floor(samples.length * WARM_SHARE))
  const low = floors(warm, FLOOR_SAMPLES)
  return {
    rssMb: perHour(warm, ({ rssMb }) => rssMb),
    heapMb: perHour(low, ({ heapMb }) => heapMb),
    descriptors: perHour(warm, ({ descriptors }) => descriptors),
  }
}

/** Each bound that is broken, in a sentence. */
export function brokenBounds(soaked: Soaked): string[] {
  const { findings, errors, ended, before, after, samples, minutes } = soaked
  const slopes = slopesOf(soaked)
  const hours = (minutes * (1 - WARM_SHARE)) / 60
  const grows = (what: keyof Slopes): boolean =>
    minutes >= LEAST_MINUTES_FOR_GROWTH && (slopes[what] ?? 0) * hours > GROWTH[what][0] + GROWTH[what][1] * hours
  const most = Math.max(...samples.map(({ rssMb }) => rssMb))
  const checks: readonly (readonly [boolean, string])[] = [
    [ended, 'the proxy ended'],
    [findings.requests === 0, 'nothing was asked'],
    [findings.unexplained > 0, `${findings.unexplained} answers that nothing explains`],
    [errors.length > 0, `the proxy reported errors: ${errors[0]}`],
    [after.inFlight !== 0, `${after.inFlight} requests still count as in flight`],
    [after.heldBytes !== 0, `${after.heldBytes} bytes of bodies are still held`],
    [after.tableSeq !== soaked.tables, `table ${after.tableSeq} is in use, ${soaked.tables} was the last one written`],
    [
      after.descriptors > before.descriptors + MOST_DESCRIPTORS_LEFT,
      `${after.descriptors - before.descriptors} descriptors were left open`,
    ],
    [most > MOST_RSS_MB, `resident memory rose to ${most.toFixed(0)} MB; ${MOST_RSS_MB} are allowed`],
    [grows('rssMb'), `resident memory grows by ${slopes.rssMb?.toFixed(1)} MB an hour`],
    [grows('heapMb'), `what stays on the heap grows by ${slopes.heapMb?.toFixed(1)} MB an hour`],
    [grows('descriptors'), `descriptors grow by ${slopes.descriptors?.toFixed(1)} an hour`],
  ]
  return checks.flatMap(([broken, says]) => (broken ? [says] : []))
}

const counts = (of: ReadonlyMap<string, number>): string =>
  [...of]
    .sort(([, a], [, b]) => b - a)
    .map(([name, count]) => `${name} ${count}`)
    .join(', ')

export const sampleLine = (sample: Sample, startMs: number): string =>
  `${String(Math.round((sample.atMs - startMs) / 1000)).padStart(5)} s  rss ${sample.rssMb.toFixed(0)} MB  heap ${sample.heapMb.toFixed(0)} MB  ` +
  `fds ${sample.descriptors} (${sample.sockets} sockets)  in flight ${sample.inFlight}  lag ${sample.lagMs.toFixed(0)} ms  table ${sample.tableSeq}  ${counts(sample.outcomes)}`

const rounded = (value: number | undefined): string => (value === undefined ? '–' : value.toFixed(1))

/** A part of docs/benchmarks.md. */
export function reportOf(soaked: Soaked, machine: string): string {
  const { minutes, findings, before, after, samples, tables, seed } = soaked
  const slopes = slopesOf(soaked)
  const worst = (of: (sample: Sample) => number): string => Math.max(...samples.map(of)).toFixed(0)
  return [
    `Written by \`make soak\`. ${machine}. ${minutes} minutes, seed ${seed}.`,
    '',
    'Backends that answer, fail, reset, fall silent, cut and garble by a plan that each request carries; streams and whole answers on every route, slow readers, clients that leave at any moment, and a new table every few seconds with other weights and endpoints.',
    '',
    '| | |',
    '| --- | --- |',
    `| requests · tables | ${findings.requests} · ${tables} |`,
    `| answers that no plan explains | ${findings.unexplained} |`,
    `| tries that failed and that no client noticed | ${findings.hidden} |`,
    `| endings the clients saw | ${counts(findings.counts)} |`,
    `| resident memory before · highest · after (MB) | ${before.rssMb.toFixed(0)} · ${worst(({ rssMb }) => rssMb)} · ${after.rssMb.toFixed(0)} |`,
    `| growth an hour, after the first third: resident memory · what stays on the heap (MB) | ${rounded(slopes.rssMb)} · ${rounded(slopes.heapMb)} |`,
    `| file descriptors before · highest · after · growth an hour | ${before.descriptors} · ${worst(({ descriptors }) => descriptors)} · ${after.descriptors} · ${rounded(slopes.descriptors)} |`,
    `| worst lag of the event loop (ms) | ${worst(({ lagMs }) => lagMs)} |`,
  ].join('\n')
}
