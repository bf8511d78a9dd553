import { DISABLED_MS } from '../live/circuit-booking.ts'
import type { Guard } from '../live/live.ts'
import type { AttemptOutcome } from './attempt.ts'
import { type Failure, shownCause } from './failure.ts'
import type { Run, Sent } from './run.ts'

/** A timer may be this early. */
const EARLY_MS = 2
const RATE_LIMIT_MIN_MS = 1000
const RATE_LIMIT_JITTER_MS = 9000

export interface Tried {
  readonly guard: Guard
  readonly credential: string | undefined
  readonly startMs: number
  /** What was left of the chain's deadline at the start. */
  readonly remainingMs: number
}

/**
 * Books how an attempt ended, and ends its guard, in the tick in which it is known. True: it was only the credential's fault, and another
 * one may be tried at once.
 */
export function learn(run: Run, sent: Sent, outcome: AttemptOutcome, tried: Tried): boolean {
  const { guard, credential, startMs } = tried
  learnPace(run, sent, outcome, run.now() - startMs)
  if (outcome.kind === 'answered') {
    guard.succeeded(run.now())
    if (credential !== undefined) run.live.credentials.succeeded(credential, startMs)
  } else if (run.upload?.error !== undefined)
    guard.release() // the client's own form
  else if (outcome.kind === 'failed' || outcome.kind === 'interrupted') return failed(run, sent, outcome.failure, tried)
  else guard.release()
  return false
}

/** How fast it was, or how long nothing came: an engine that was slow with a request that did not go well was slow. */
function learnPace({ live, now, facts }: Run, { endpoint }: Sent, outcome: AttemptOutcome, wholeMs: number): void {
  const { kind, firstTokenMs, usage, events } = outcome
  if (firstTokenMs !== undefined && kind !== 'diverged') {
    const { promptTokens, stream } = facts
    const outputTokens = usage?.outputTokens ?? events
    live.answered(endpoint.id, { promptTokens, outputTokens, firstTokenMs: stream ? firstTokenMs : undefined, wholeMs }, now())
  } else if (kind === 'gone' || (kind === 'failed' && outcome.failure.class === 'OUR_DEADLINE')) {
    live.silent(endpoint.id, facts.promptTokens, wholeMs, now())
  }
}

function failed({ live, now, dice, dialect }: Run, { endpoint }: Sent, failure: Failure, tried: Tried): boolean {
  const { guard, credential } = tried
  const nowMs = now()
  if (failure.class === 'NOT_IMPLEMENTED' && dialect.capability !== undefined) live.lacks(endpoint.id, dialect.capability)
  if (isCallersDeadline(failure, nowMs, tried)) {
    guard.release()
    return false
  }
  const because = shownCause(failure)
  if (credential === undefined || (failure.class !== 'ENDPOINT_DISABLED' && failure.class !== 'RATE_LIMIT')) {
    guard.failed({ class: failure.class, retryAfterMs: failure.retryAfterMs, because }, nowMs, dice())
    return false
  }
  const kind = failure.class === 'RATE_LIMIT' ? 'rate_limit' : 'disabled'
  const forMs = kind === 'disabled' ? DISABLED_MS : (failure.retryAfterMs ?? RATE_LIMIT_MIN_MS + dice() * RATE_LIMIT_JITTER_MS)
  const ids = endpoint.backend.auth?.credentials ?? []
  const soonest = live.credentials.park(credential, ids, { kind, sinceMs: nowMs, untilMs: nowMs + forMs, because })
  if (soonest === undefined) guard.release()
  else {
    const class_ = soonest.kind === 'rate_limit' ? 'RATE_LIMIT' : 'ENDPOINT_DISABLED'
    guard.failed({ class: class_, retryAfterMs: soonest.untilMs - nowMs, because: soonest.because }, nowMs, dice())
  }
  return soonest === undefined
}

/** The chain's own deadline is the caller's: too short a one is no fault of the endpoint. */
const isCallersDeadline = (failure: Failure, nowMs: number, { startMs, remainingMs }: Tried): boolean =>
  failure.class === 'OUR_DEADLINE' && failure.phase === 'total' && nowMs - startMs >= remainingMs - EARLY_MS
