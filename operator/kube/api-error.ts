import { type Fields, isFields } from '../validate/problem.ts'

interface ApiErrorFacts {
  readonly status: number
  readonly reason: string
  readonly message: string
  readonly retryAfterMs?: number | undefined
  readonly cause?: unknown
}

/**
 * A call that the API server refused, or that did not get through to it.
 * `status` is that of HTTP, or 0 when there was no answer; then `reason` is Unreachable, Timeout or BadAnswer. Otherwise `reason` is the API's
 * (`Conflict`, `NotFound`, `Expired`, `Forbidden`, …). Messages name method and path, never a body or a credential.
 */
export class ApiError extends Error {
  override readonly name = 'ApiError'
  readonly status: number
  readonly reason: string
  /** How long the server asks to be left alone. */
  readonly retryAfterMs: number | undefined

  constructor({ status, reason, message, retryAfterMs, cause }: ApiErrorFacts) {
    super(message, cause === undefined ? undefined : { cause })
    this.status = status
    this.reason = reason
    this.retryAfterMs = retryAfterMs
  }
}

/** The answer, or one of these statuses instead of an error. */
export async function unless<T, Status extends number>(statuses: readonly Status[], act: () => Promise<T>): Promise<T | Status> {
  try {
    return await act()
  } catch (error) {
    const status = error instanceof ApiError ? statuses.find((one) => one === error.status) : undefined
    if (status === undefined) throw error
    return status
  }
}

/** What an answer of 400 and above says. `body` is a Status object, or whatever a proxy in between sent. */
export function refusal(call: string, status: number, retryAfter: string | undefined, body: unknown): ApiError {
  const answer = isFields(body) ? body : {}
  return new ApiError({
    status,
    reason: textOf(answer['reason']) ?? `HTTP ${status}`,
    message: `${call}: ${textOf(answer['message']) ?? `the API server answered ${status}`}`,
    retryAfterMs: retryAfterMs(retryAfter, answer),
  })
}

/** What an ERROR event of a watch, or any other Status object, says. */
export function statusError(call: string, object: unknown): ApiError {
  const status = isFields(object) ? object : {}
  const code = typeof status['code'] === 'number' ? status['code'] : 500
  return refusal(call, code, undefined, status)
}

const textOf = (value: unknown): string | undefined => (typeof value === 'string' && value !== '' ? value : undefined)

function retryAfterMs(header: string | undefined, answer: Fields): number | undefined {
  const details = isFields(answer['details']) ? answer['details']['retryAfterSeconds'] : undefined
  const seconds = header === undefined ? details : Number(header)
  return typeof seconds === 'number' && Number.isFinite(seconds) && seconds >= 0 ? seconds * 1000 : undefined
}
