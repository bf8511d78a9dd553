const FORM = /^([0-9]{1,5}(h|m|s|ms)){1,4}$/
const PARTS = /([0-9]{1,5})(h|ms|m|s)/g
const UNIT_MS: Readonly<Record<string, number>> = { h: 3_600_000, m: 60_000, s: 1000, ms: 1 }

/** Reads a duration as the Gateway API writes it, such as "500ms" or "1m30s", into milliseconds. Undefined = it is none. PURE. */
export function parseDuration(text: string): number | undefined {
  if (!FORM.test(text)) return undefined
  return [...text.matchAll(PARTS)].reduce((sum, [, amount, unit]) => sum + Number(amount) * (UNIT_MS[unit ?? ''] ?? 0), 0)
}
