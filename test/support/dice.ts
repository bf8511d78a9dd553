/** Chance that a seed repeats (mulberry32). Not for secrets. */
export class Dice {
  #state: number

  constructor(seed: number) {
    this.#state = seed >>> 0
  }

  /** In [0, 1). */
  roll(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }

  chance(share: number): boolean {
    return this.roll() < share
  }

  /** A whole number in [0, below). */
  below(below: number): number {
    return Math.floor(this.roll() * below)
  }

  /** Of a list that is not empty. */
  pick<T>(list: readonly T[]): T {
    const picked = list.slice(this.below(list.length))[0]
    if (picked === undefined) throw new Error('nothing to pick from')
    return picked
  }
}

/** A seed made of a text (FNV-1a). */
export function seedOf(text: string | Uint8Array): number {
  let hash = 0x811c9dc5
  for (const byte of typeof text === 'string' ? Buffer.from(text) : text) hash = Math.imul(hash ^ byte, 0x01000193)
  return hash >>> 0
}
