const UNIT_MS: Readonly<Record<string, number>> = { h: 3_600_000, m: 60_000, s: 1000, ms: 1 }

/** Thirty years: what the schema's longest durations mean in practice, and the most a table takes. */
const MAX_MS = 1_000_000_000_000

/** "1m30s" → 90000. The schema has checked the form; text of another form counts as far as it can be read. */
export function parseDurationMs(text: string): number {
  let totalMs = 0
  for (const [, amount, unit] of text.matchAll(/([0-9]+)(ms|h|m|s)/g)) totalMs += Number(amount) * (UNIT_MS[unit ?? ''] ?? 0)
  return Math.min(totalMs, MAX_MS)
}

/** Reads every duration that is set: `{ intervalMs: '5s', timeoutMs: undefined }` → `{ intervalMs: 5000 }`. */
export function durationsMs<K extends string>(fields: Readonly<Record<K, string | undefined>>): Partial<Record<K, number>> {
  const result: Partial<Record<K, number>> = {}
  for (const key in fields) {
    const text = fields[key]
    if (text !== undefined) result[key] = parseDurationMs(text)
  }
  return result
}
