import type { Refusal } from '../decide/decision.ts'
import type { ApiError } from '../errors.ts'
import { type Failure, failureLabel } from './failure.ts'
import type { Run, Sent } from './run.ts'

/** A longer wait is told, but no client library should sleep through it. */
const MAX_WORTH_WAITING_MS = 60_000

/** A decision's refusal as the client reads it. */
export function refused({ code, message, param, retryAfterMs }: Refusal): ApiError {
  return {
    code,
    message,
    ...(param !== undefined && { param }),
    ...(retryAfterMs !== undefined && { retryAfterMs, shouldRetry: retryAfterMs <= MAX_WORTH_WAITING_MS }),
  }
}

/** The first cause, not the last fallback's complaint. */
export function finalError(first: Failure, sent: Sent | undefined, run: Run): ApiError {
  const { code, message, status, param, upstream } = first
  const waits = code === 'upstream_rate_limited' || code === 'upstream_overloaded'
  const retryAfterMs = waits ? (earliestRecoveryMs(sent, run) ?? first.retryAfterMs ?? 1000) : undefined
  return {
    code,
    message,
    ...(status !== undefined && { status }),
    ...(param !== undefined && { param }),
    ...(upstream !== undefined && { upstream }),
    ...(retryAfterMs !== undefined && { retryAfterMs }),
    shouldRetry: waits,
    label: failureLabel(first),
  }
}

function earliestRecoveryMs(sent: Sent | undefined, { live, now }: Run): number | undefined {
  const waits = (sent?.candidates ?? [])
    .flatMap(({ model }) => model.endpoints.map(({ id }) => live.endpoint(id).coolUntilMs - now()))
    .filter((ms) => ms > 0)
  return waits.length === 0 ? undefined : Math.min(...waits)
}

/** After the content commit: told inside the stream. */
export function interrupted({ message, upstream }: Failure, { facts }: Run): ApiError {
  const about = facts.stream ? 'The answer is not complete; send the request again.' : 'The answer could not be completed.'
  return {
    code: 'upstream_stream_interrupted',
    message: `${message} ${about}`,
    ...(upstream !== undefined && { upstream }),
    shouldRetry: false,
  }
}
