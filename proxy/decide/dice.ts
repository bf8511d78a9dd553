/** A run of numbers in [0, 1) that grows from one dice, so that a decision can be made again from its dice alone (mulberry32). */
export function rolls(dice: number): () => number {
  let state = Math.floor(dice * 0x1_0000_0000) >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 0x1_0000_0000
  }
}

/** One item by weight; all weights 0 = all alike. Undefined only for an empty list. */
export function byWeight<T>(items: readonly T[], weightOf: (item: T) => number, roll: number): T | undefined {
  if (items.length < 2) return items[0]
  const total = items.reduce((sum, item) => sum + weightOf(item), 0)
  if (total <= 0) return items[Math.floor(roll * items.length)]
  let left = roll * total
  for (const item of items) {
    left -= weightOf(item)
    if (left < 0) return item
  }
  return items.findLast((item) => weightOf(item) > 0)
}
