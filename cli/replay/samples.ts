/** A bounded part of many values, each as likely in it as any other, the same for the same values: for percentiles. */
const KEPT = 2000

export class Samples {
  readonly #values: number[] = []
  #seen = 0

  /** `chance`: from 0 to 1. */
  add(value: number, chance: number): void {
    this.#seen++
    if (this.#values.length < KEPT) this.#values.push(value)
    else if (chance * this.#seen < KEPT) this.#values[Math.floor(chance * this.#seen)] = value
  }

  get count(): number {
    return this.#seen
  }

  /** One of them; undefined = there is none. */
  drawn(chance: number): number | undefined {
    return this.#values[Math.floor(chance * this.#values.length)]
  }

  percentile(percent: number): number | undefined {
    const sorted = this.#values.toSorted((a, b) => a - b)
    return sorted[Math.min(sorted.length - 1, Math.floor((sorted.length * percent) / 100))]
  }
}
