const MAX_MS = 7 * 24 * 3600 * 1000
const DURATION_PART = /([0-9.]+)(h|ms|m|s)/y
const UNIT_MS: Readonly<Record<string, number>> = { h: 3_600_000, m: 60_000, s: 1000, ms: 1 }
/** Larger bare numbers are instants since the epoch: seconds, and milliseconds above the second bound. */
const EPOCH_SECONDS = 1e9
const EPOCH_MS = 1e11

/**
 * How long from now, 0 to a week: an RFC 3339 instant or HTTP date, seconds, an instant since the epoch, or Go's "1m0.5s". Undefined = it
 * is none of them. Takes anything.
 */
export function waitOf(text: string | undefined, nowMs: number): number | undefined {
  const ms = text === undefined || text.length > 64 ? Number.NaN : parsed(text.trim(), nowMs)
  return Number.isNaN(ms) ? undefined : Math.min(Math.max(0, ms), MAX_MS)
}

/** A wait in milliseconds, as some name it; bounded alike. */
export function waitOfMs(text: string | undefined): number | undefined {
  const ms = numberOf(text)
  return ms === undefined ? undefined : Math.min(ms, MAX_MS)
}

function parsed(text: string, nowMs: number): number {
  if (/^[0-9]+([.][0-9]+)?$/.test(text)) return bareNumber(Number(text), nowMs)
  const ms = duration(text)
  return Number.isNaN(ms) && text.length > 5 ? Date.parse(text) - nowMs : ms
}

/** NaN = it is none. */
function duration(text: string): number {
  let ms = 0
  let at = 0
  while (at < text.length) {
    DURATION_PART.lastIndex = at
    const part = DURATION_PART.exec(text)
    if (part === null) return Number.NaN
    ms += Number(part[1]) * (UNIT_MS[part[2] ?? ''] ?? 0)
    at = DURATION_PART.lastIndex
  }
  return at === 0 ? Number.NaN : ms
}

function bareNumber(value: number, nowMs: number): number {
  if (value > EPOCH_MS) return value - nowMs
  return value > EPOCH_SECONDS ? value * 1000 - nowMs : value * 1000
}

/** Negative numbers mean "unknown" where they are sent at all. "100, 100;w=60" is 100. */
export function numberOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const end = text.search(/[,;]/)
  const first = (end < 0 ? text : text.slice(0, end)).trim()
  const number = first === '' ? Number.NaN : Number(first)
  return Number.isFinite(number) && number >= 0 ? number : undefined
}
