import type { Labels } from './readings.ts'

/** The label value under which everything is counted that found no room. */
const OTHER = '_other'

/** One value a label name, in the same order. */
export type LabelValues<Names extends readonly string[]> = { readonly [K in keyof Names]: string }

interface Place<Cell> {
  readonly next: Map<string, Place<Cell>>
  cell: Cell | undefined
}

interface Kept<Cell> {
  readonly values: readonly string[]
  readonly labels: Labels
  readonly cell: Cell
}

export interface SeriesOptions<Cell> {
  readonly labelNames: readonly string[]
  readonly maxSeries: number
  readonly make: () => Cell
  /** Called each time a new label set found no room. */
  readonly onDropped: () => void
}

/** The label sets of one metric, found by a walk through one map a label. Holds at most `maxSeries` of them and the one named "_other". */
export class Series<Cell> {
  readonly #options: SeriesOptions<Cell>
  #root: Place<Cell> = { next: new Map(), cell: undefined }
  #kept: Kept<Cell>[] = []
  #other: Kept<Cell> | undefined

  constructor(options: SeriesOptions<Cell>) {
    this.#options = options
  }

  at(values: readonly string[]): Cell {
    let place: Place<Cell> | undefined = this.#root
    for (const value of values) {
      place = place.next.get(value)
      if (place === undefined) break
    }
    return place?.cell ?? this.#add(values)
  }

  /** In order of appearance, "_other" last. */
  all(): readonly Kept<Cell>[] {
    return this.#other === undefined ? this.#kept : [...this.#kept, this.#other]
  }

  /** Once half of the room is used: forgets the series whose `label` has a value that is no longer known. */
  tidy(label: string, isKnown: (value: string) => boolean): void {
    if (this.#kept.length <= this.#options.maxSeries / 2) return
    const stays = this.#kept.filter(({ labels }) => isKnown(labels[label] ?? ''))
    if (stays.length === this.#kept.length) return
    this.#root = { next: new Map(), cell: undefined }
    this.#kept = stays
    for (const kept of stays) this.#placeFor(kept.values).cell = kept.cell
  }

  #add(values: readonly string[]): Cell {
    if (this.#kept.length >= this.#options.maxSeries) {
      this.#options.onDropped()
      this.#other ??= this.#keep(this.#options.labelNames.map(() => OTHER))
      return this.#other.cell
    }
    const kept = this.#keep(values)
    this.#kept.push(kept)
    this.#placeFor(values).cell = kept.cell
    return kept.cell
  }

  #keep(values: readonly string[]): Kept<Cell> {
    const labels = Object.fromEntries(this.#options.labelNames.map((name, index) => [name, values[index] ?? '']))
    return { values, labels, cell: this.#options.make() }
  }

  #placeFor(values: readonly string[]): Place<Cell> {
    let place = this.#root
    for (const value of values) {
      const next: Place<Cell> = place.next.get(value) ?? { next: new Map(), cell: undefined }
      place.next.set(value, next)
      place = next
    }
    return place
  }
}
