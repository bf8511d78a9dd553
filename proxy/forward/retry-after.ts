import type { IncomingHttpHeaders } from 'node:http'
import { heardLimits } from '../limits/limit-headers.ts'
import { waitOf, waitOfMs } from '../limits/wait-text.ts'

/**
 * How long an upstream asks us to wait: `retry-after-ms`, `x-ms-retry-after-ms`, then `retry-after` (seconds or an HTTP date), then the
 * latest reset of a limit that has nothing remaining, then Google's `retryDelay` in the body. Undefined = it does not say.
 */
export function retryAfterMs(headers: IncomingHttpHeaders, body: string, nowMs: number): number | undefined {
  const millis = waitOfMs(only(headers['retry-after-ms'])) ?? waitOfMs(only(headers['x-ms-retry-after-ms']))
  if (millis !== undefined) return millis
  const inBody = /"retryDelay"\s*:\s*"([^"]{1,20})"/.exec(body)?.[1]
  return waitOf(headers['retry-after'], nowMs) ?? usedUpMs(headers, nowMs) ?? waitOf(inBody, nowMs)
}

function usedUpMs(headers: IncomingHttpHeaders, nowMs: number): number | undefined {
  const resets = heardLimits(headers, nowMs).flatMap(({ remaining, resetMs }) => (remaining === 0 && resetMs !== undefined ? resetMs : []))
  return resets.length === 0 ? undefined : Math.max(...resets)
}

const only = (value: string | string[] | undefined): string | undefined => (typeof value === 'string' ? value : undefined)
