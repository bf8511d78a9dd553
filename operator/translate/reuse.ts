/** The earlier of two equal values: what did not change keeps its identity, and whoever compares by identity sees that. */
export const reuse = <T>(before: T | undefined, after: T): T => (before !== undefined && equal(before, after) ? before : after)

/** Each item takes the identity of the equal item that had its key. */
export function reuseItems<T>(before: readonly T[], after: readonly T[], keyOf: (item: T) => string): readonly T[] {
  const known = new Map(before.map((item) => [keyOf(item), item]))
  const items = after.map((item) => reuse(known.get(keyOf(item)), item))
  return items.length === before.length && items.every((item, index) => item === before[index]) ? before : items
}

/** Of plain values: numbers, texts, lists and records. */
export function equal(a: unknown, b: unknown): boolean {
  if (a === b) return true
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null || Array.isArray(a) !== Array.isArray(b)) return false
  const [ofA, ofB] = [new Map(Object.entries(a)), new Map(Object.entries(b))]
  return ofA.size === ofB.size && [...ofA].every(([key, value]) => ofB.has(key) && equal(value, ofB.get(key)))
}
