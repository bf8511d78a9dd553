/** JSON with the keys of every object in order, and maps as lists of their entries in order: equal values give equal text. */
export function canonicalText(value: unknown): string {
  return JSON.stringify(value, inOrder) ?? ''
}

function inOrder(_key: string, value: unknown): unknown {
  if (value instanceof Map) return [...value].sort(byKey)
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value
  return Object.fromEntries(Object.entries(value).sort(byKey))
}

function byKey([a]: readonly [unknown, unknown], [b]: readonly [unknown, unknown]): number {
  if (String(a) === String(b)) return 0
  return String(a) < String(b) ? -1 : 1
}
