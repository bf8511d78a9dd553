import { ApiError } from '../kube/api-error.ts'
import { BadLineError, ErrorEvent } from './watch-event.ts'

/** Why a list or watch is over; the closed list that metrics use as label. */
export type EndReason =
  | 'ended'
  | 'expired'
  | 'error event'
  | 'bad line'
  | 'silent'
  | 'diverged'
  | 'went back'
  | 'throttled'
  | 'refused'
  | 'unreachable'
  | 'bug'

export interface SessionEnd {
  readonly reason: EndReason
  /** What is known may be wrong: list again. Otherwise the watch goes on from the last version. */
  readonly relist: boolean
  /** For people. */
  readonly message: string
  /** Of HTTP, where the server refused. */
  readonly status?: number
  readonly retryAfterMs?: number
}

/** Ends a session from within. */
export class SessionEndError extends Error {
  override readonly name = 'SessionEndError'
  readonly end: SessionEnd

  constructor(end: SessionEnd) {
    super(end.message)
    this.end = end
  }
}

export const ENDED: SessionEnd = { reason: 'ended', relist: false, message: 'the server ended the watch' }

/** What to make of what a list or watch threw. */
export function judgeEnd(error: unknown): SessionEnd {
  if (error instanceof SessionEndError) return error.end
  if (error instanceof BadLineError) return { reason: 'bad line', relist: false, message: error.message }
  if (error instanceof ErrorEvent) return judgeApiError(error.error, { reason: 'error event', relist: true })
  if (error instanceof ApiError) return judgeApiError(error, { reason: 'refused', relist: false })
  const message = error instanceof Error ? (error.stack ?? error.message) : String(error)
  return { reason: 'bug', relist: true, message }
}

function judgeApiError({ status, message, retryAfterMs }: ApiError, other: Pick<SessionEnd, 'reason' | 'relist'>): SessionEnd {
  const facts = { message, ...(status === 0 ? {} : { status }), ...(retryAfterMs === undefined ? {} : { retryAfterMs }) }
  if (status === 0) return { ...facts, reason: 'unreachable', relist: false }
  // 504: our version is newer than any the server has, as after a restored backup. 400: it makes nothing of our version.
  if (status === 410 || status === 504 || status === 400) return { ...facts, reason: 'expired', relist: true }
  if (status === 429 || status === 503) return { ...facts, reason: 'throttled', relist: false }
  return { ...facts, ...other }
}
