/**
 * Reads gauges out of Prometheus text (version 0.0.4 and OpenMetrics). Only the asked names are parsed: an engine's histograms are long.
 * In: the text. Out: sums or maxima over all label sets; undefined when no finite sample is there.
 */

/** A longer text is not read at all: half of it would be a wrong sum. */
export const MAX_METRICS_CHARACTERS = 1_048_576
/** Labels and value of one line; a longer line is no gauge of an engine. */
const MAX_LINE_CHARACTERS = 4096

/** Whether a sample with these labels ("{a="b",…}", or "") counts. */
export type Keeps = (labels: string) => boolean

/**
 * Sum over all label sets of the first alias that has a sample. vLLM labels by engine rank: their queues add up.
 * Each alias also matches with `_total` (Python's client appends it) and with `_` for `:` (some exporters replace it).
 */
export function sumOf(metrics: string, aliases: readonly string[], keeps?: Keeps): number | undefined {
  return firstOf({ metrics, aliases, keeps }, (samples) => total(samples.map(({ value }) => value)))
}

/** Sum over the values of one label of the greatest sample each: for what several processes tell of one queue. */
export function sumOfEach(metrics: string, aliases: readonly string[], label: string): number | undefined {
  const of = new RegExp(`[{,]\\s*${label}="([^"]*)"`)
  return firstOf({ metrics, aliases, keeps: undefined }, (samples) => {
    const greatest = new Map<string, number>()
    for (const { labels, value } of samples) {
      const each = of.exec(labels)?.[1] ?? ''
      greatest.set(each, Math.max(value, greatest.get(each) ?? value))
    }
    return total([...greatest.values()])
  })
}

/** The greatest sample, for shares: the fullest rank is the one that stalls. */
export function maxOf(metrics: string, aliases: readonly string[], keeps?: Keeps): number | undefined {
  return firstOf({ metrics, aliases, keeps }, (samples) => Math.max(...samples.map(({ value }) => value)))
}

/** A share in 0..1, else unknown. */
export function shareOf(metrics: string, aliases: readonly string[], keeps?: Keeps): number | undefined {
  const value = maxOf(metrics, aliases, keeps)
  return value !== undefined && value >= 0 && value <= 1 ? value : undefined
}

const total = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0)

interface Sample {
  readonly labels: string
  readonly value: number
}

interface Asked {
  readonly metrics: string
  readonly aliases: readonly string[]
  readonly keeps: Keeps | undefined
}

function firstOf({ metrics, aliases, keeps }: Asked, fold: (samples: readonly Sample[]) => number): number | undefined {
  if (metrics.length > MAX_METRICS_CHARACTERS) return undefined
  for (const name of aliases.flatMap(spellings)) {
    const samples = samplesOf(metrics, name, keeps)
    if (samples.length > 0) return fold(samples)
  }
  return undefined
}

function spellings(name: string): string[] {
  return [name, `${name}_total`, name.replaceAll(':', '_')]
}

/** Those with a finite value of the lines that start with exactly this name, whatever their labels. */
function samplesOf(metrics: string, name: string, keeps: Keeps | undefined): Sample[] {
  const samples: Sample[] = []
  for (let at = metrics.indexOf(name); at >= 0; at = metrics.indexOf(name, at + name.length)) {
    if (at > 0 && metrics[at - 1] !== '\n') continue
    const end = metrics.indexOf('\n', at)
    const sample = sampleOf(metrics.slice(at + name.length, Math.min(end < 0 ? metrics.length : end, at + MAX_LINE_CHARACTERS)))
    if (sample !== undefined && keeps?.(sample.labels) !== false) samples.push(sample)
  }
  return samples
}

/** What follows the name: `{labels} value [timestamp]`. Label values may hold spaces, braces and escaped quotes. */
function sampleOf(rest: string): Sample | undefined {
  const [, labels = '', text] = /^(\{(?:[^"}]|"(?:[^"\\]|\\.)*")*\})?[ \t]+(\S+)/.exec(rest) ?? []
  const value = text === undefined ? Number.NaN : Number(text)
  return Number.isFinite(value) ? { labels, value } : undefined
}
