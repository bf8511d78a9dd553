import { Counter, Gauge, Histogram, type Registry } from 'prom-client'

export type Labels = Readonly<Record<string, string>>

/** One line of the exposition. */
export interface Reading {
  readonly labels: Labels
  readonly value: number
}

/** One label set of a histogram. `counts`: one number a bucket, not cumulative; the last one is +Inf. */
export interface Distribution {
  readonly labels: Labels
  readonly counts: Float64Array
  readonly sum: number
}

export interface ReadOptions {
  readonly name: string
  readonly help: string
  readonly labelNames?: readonly string[]
  readonly registry: Registry
  /** Asked at each scrape; what it leaves out is absent then. Must not throw: the whole scrape would fail. */
  readonly read: () => Iterable<Reading> | Promise<Iterable<Reading>>
}

/** A gauge whose values are read when it is scraped. */
export class ReadGauge extends Gauge<string> {
  readonly #read: ReadOptions['read']

  constructor(options: ReadOptions) {
    super(configOf(options))
    this.#read = options.read
  }

  override async get() {
    return { ...(await super.get()), values: [...(await this.#read())] }
  }
}

/** A counter that is counted elsewhere. */
export class ReadCounter extends Counter<string> {
  readonly #read: ReadOptions['read']

  constructor(options: ReadOptions) {
    super(configOf(options))
    this.#read = options.read
  }

  override async get() {
    return { ...(await super.get()), values: [...(await this.#read())] }
  }
}

export interface ReadHistogramOptions extends Omit<ReadOptions, 'read'> {
  /** Upper bounds, ascending, without +Inf. */
  readonly bounds: readonly number[]
  readonly read: () => Iterable<Distribution>
}

/** A histogram that is counted elsewhere. */
export class ReadHistogram extends Histogram<string> {
  readonly #options: ReadHistogramOptions

  constructor(options: ReadHistogramOptions) {
    super({ ...configOf(options), buckets: [...options.bounds] })
    this.#options = options
  }

  /** What a registry asks a histogram for: the labels that a series' lines share stand apart, so that they are formatted once. */
  async getForPromString() {
    const { name, help, read } = this.#options
    return { name, help, type: 'histogram', aggregator: 'sum', values: [...read()].flatMap((series) => this.#lines(series)) }
  }

  #lines({ labels: sharedLabels, counts, sum }: Distribution) {
    const { name, bounds } = this.#options
    let total = 0
    const buckets = Array.from(counts, (count, index) => {
      total += count
      return { metricName: `${name}_bucket`, labels: { le: bounds[index] ?? '+Inf' }, sharedLabels, value: total }
    })
    const line = (suffix: string, value: number) => ({ metricName: `${name}_${suffix}`, labels: {}, sharedLabels, value })
    return [...buckets, line('sum', sum), line('count', total)]
  }
}

const configOf = ({ name, help, labelNames = [], registry }: Omit<ReadOptions, 'read'>) => ({
  name,
  help,
  labelNames: [...labelNames],
  registers: [registry],
})
