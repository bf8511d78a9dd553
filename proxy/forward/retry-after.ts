import type { IncomingHttpHeaders } from 'node:http'

const MAX_MS = 7 * 24 * 3600 * 1000
const DURATION_PARTS = /([0-9.]+)(h|ms|m|s)/g
const UNIT_MS: Readonly<Record<string, number>> = { h: 3_600_000, m: 60_000, s: 1000, ms: 1 }

/**
 * How long an upstream asks us to wait: `retry-after-ms`, `x-ms-retry-after-ms`, then `retry-after` (seconds or an HTTP date), then the
 * latest `…-reset…` of a limit that has nothing remaining, then Google's `retryDelay` in the body. Undefined = it does not say.
 */
export function retryAfterMs(headers: IncomingHttpHeaders, body: string, nowMs: number): number | undefined {
  const millis = numberOf(headers['retry-after-ms']) ?? numberOf(headers['x-ms-retry-after-ms'])
  if (millis !== undefined) return bounded(millis)
  const after = headers['retry-after']
  const inBody = /"retryDelay"\s*:\s*"([^"]{1,20})"/.exec(body)?.[1]
  return timeOf(after, nowMs) ?? resetMs(headers, nowMs) ?? timeOf(inBody, nowMs)
}

const timeOf = (text: string | undefined, nowMs: number): number | undefined =>
  text === undefined ? undefined : bounded(parseReset(text, nowMs))

function resetMs(headers: IncomingHttpHeaders, nowMs: number): number | undefined {
  const resets = Object.keys(headers).flatMap((name) => {
    if (!name.includes('ratelimit') || !name.includes('remaining') || numberOf(headers[name]) !== 0) return []
    const reset = headers[name.replace('remaining', 'reset')]
    return typeof reset === 'string' ? (timeOf(reset, nowMs) ?? []) : []
  })
  return resets.length === 0 ? undefined : Math.max(...resets)
}

/** RFC 3339 or HTTP date, epoch seconds, seconds, or Go's "1m0.5s". */
function parseReset(text: string, nowMs: number): number | undefined {
  const value = text.trim()
  if (/^[0-9]+([.][0-9]+)?$/.test(value)) return Number(value) > 1e9 ? Number(value) * 1000 - nowMs : Number(value) * 1000
  if (/^([0-9.]+(h|ms|m|s))+$/.test(value)) {
    return [...value.matchAll(DURATION_PARTS)].reduce((sum, [, amount, unit]) => sum + Number(amount) * (UNIT_MS[unit ?? ''] ?? 0), 0)
  }
  const at = value.length > 5 ? Date.parse(value) : Number.NaN
  return Number.isNaN(at) ? undefined : at - nowMs
}

function numberOf(value: string | string[] | undefined): number | undefined {
  const number = typeof value === 'string' && value.trim() !== '' ? Number(value) : Number.NaN
  return Number.isFinite(number) && number >= 0 ? number : undefined
}

const bounded = (ms: number | undefined): number | undefined =>
  ms === undefined || Number.isNaN(ms) ? undefined : Math.min(Math.max(0, ms), MAX_MS)
