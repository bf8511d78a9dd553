import type { Registry } from 'prom-client'
import { ReadCounter, ReadHistogram } from './readings.ts'
import { type LabelValues, Series } from './series.ts'

/** A scrape holds the event loop for each line: a counter's label set is one line, a histogram's about 17. */
const MAX_COUNTER_SERIES = 2000
const MAX_HISTOGRAM_SERIES = 300

export interface CellsOptions<Names extends readonly string[]> {
  readonly name: string
  readonly help: string
  readonly labelNames: Names
  readonly registry: Registry
  readonly maxSeries?: number
  /** Told the metric's name for each observation that is counted under "_other". */
  readonly onDropped?: (metric: string) => void
}

/** A counter for the request path: a look-up and an addition, no label object. */
export class CounterCells<const Names extends readonly string[]> {
  readonly #series: Series<{ value: number }>

  constructor({ name, labelNames, maxSeries = MAX_COUNTER_SERIES, onDropped, ...rest }: CellsOptions<Names>) {
    this.#series = new Series({ labelNames, maxSeries, make: () => ({ value: 0 }), onDropped: () => onDropped?.(name) })
    new ReadCounter({ ...rest, name, labelNames, read: () => this.#series.all().map(({ labels, cell: { value } }) => ({ labels, value })) })
  }

  /** An amount of 0 shows the series before anything has happened. */
  add(values: LabelValues<Names>, amount = 1): void {
    this.#series.at(values).value += amount
  }

  tidy(label: Names[number], isKnown: (value: string) => boolean): void {
    this.#series.tidy(label, isKnown)
  }
}

interface Observed {
  readonly counts: Float64Array
  sum: number
}

/** A histogram for the request path. `bounds`: upper bounds, ascending, without +Inf. */
export class HistogramCells<const Names extends readonly string[]> {
  readonly #series: Series<Observed>
  readonly #bounds: readonly number[]

  constructor({
    name,
    labelNames,
    maxSeries = MAX_HISTOGRAM_SERIES,
    onDropped,
    bounds,
    ...rest
  }: CellsOptions<Names> & { readonly bounds: readonly number[] }) {
    this.#bounds = bounds
    const make = (): Observed => ({ counts: new Float64Array(bounds.length + 1), sum: 0 })
    this.#series = new Series({ labelNames, maxSeries, make, onDropped: () => onDropped?.(name) })
    new ReadHistogram({
      ...rest,
      name,
      labelNames,
      bounds,
      read: () => this.#series.all().map(({ labels, cell: { counts, sum } }) => ({ labels, counts, sum })),
    })
  }

  observe(values: LabelValues<Names>, value: number): void {
    const cell = this.#series.at(values)
    let bucket = 0
    while (bucket < this.#bounds.length && value > (this.#bounds[bucket] ?? 0)) bucket++
    cell.counts[bucket] = (cell.counts[bucket] ?? 0) + 1
    cell.sum += value
  }

  tidy(label: Names[number], isKnown: (value: string) => boolean): void {
    this.#series.tidy(label, isKnown)
  }
}
