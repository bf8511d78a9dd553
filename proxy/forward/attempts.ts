/**
 * The one attempt loop, for every route and both modes: decide, try, learn, decide again. In: a request that has been read, the table it
 * began with, live state, the client's answer. Out: how it ended and every attempt's record. Writes nothing but through the attempts.
 */
import { afterFailure } from '../decide/after-failure.ts'
import type { PastAttempt } from '../decide/input.ts'
import type { ApiError } from '../errors.ts'
import type { Booking } from '../limits/booking.ts'
import type { AttemptOutcome } from './attempt.ts'
import { badResponse } from './classify.ts'
import type { ClientAnswer } from './client-answer.ts'
import { type Continuation, continuationFor } from './continuation.ts'
import type { Failure } from './failure.ts'
import { finalError, interrupted, refused } from './final-error.ts'
import { nextStep, repeatsSame } from './next-step.ts'
import type { AttemptRecord, Ending, Run, Sent } from './run.ts'
import { settle } from './settle.ts'
import { tryOnce } from './try-once.ts'

export async function runAttempts(run: Run): Promise<Ending> {
  const past: PastAttempt[] = []
  const attempts: AttemptRecord[] = []
  let first: Failure | undefined
  let waitMs = 0
  let sent: Sent | undefined
  let seen: AttemptOutcome | undefined
  let going: Continuation | undefined
  let firstTokenMs: number | undefined
  let malformed = 0
  let admission: Booking | undefined
  let deadlineMs = run.startMs + run.timeoutMs
  const end = (
    kind: { kind: 'answered' } | { kind: 'gone' } | Pick<Extract<Ending, { kind: 'failed' }>, 'kind' | 'error' | 'refused'>,
  ): Ending => {
    if (admission !== undefined && sent !== undefined && seen !== undefined) {
      settle(admission, { outcome: seen, facts: run.facts, endpoint: sent.endpoint }, run.now())
    }
    return { ...kind, sent, attempts, usage: seen?.usage, firstTokenMs, malformed }
  }
  const failed = (error: ApiError): Ending => end({ kind: 'failed', error, refused: undefined })
  const spent = (failure: Failure): ApiError =>
    going?.cause === undefined ? finalError(failure, sent, run) : interrupted(going.cause, run)
  for (;;) {
    const standing = { past, admitted: admission !== undefined, deadlineMs }
    if (waitMs > 0 && repeatsSame(run, standing) && !(await waited(waitMs, run.answer))) return end({ kind: 'gone' })
    const step = await nextStep(run, standing)
    if (step.kind === 'gone') return end({ kind: 'gone' })
    if (step.kind === 'refuse') {
      return end({
        kind: 'failed',
        error: first === undefined ? refused(step.decision) : spent(first),
        refused: first === undefined ? step.decision : undefined,
      })
    }
    const { sent: decision, reserved } = step
    sent = decision
    admission ??= reserved.admission
    const attemptStartMs = run.now()
    if (!run.answer.contentCommitted) going = continuationFor(run, decision)
    deadlineMs = Math.min(deadlineMs, run.startMs + (decision.endpoint.backend.timeouts.totalMs ?? Number.POSITIVE_INFINITY))
    const { outcome, record, otherCredential } = await tryOnce(run, decision, reserved, {
      attempt: attempts.length + 1,
      remainingMs: deadlineMs - run.now(),
      going,
    })
    attempts.push(record)
    seen = outcome
    if (outcome.firstTokenMs !== undefined) firstTokenMs ??= attemptStartMs - run.startMs + outcome.firstTokenMs
    malformed += outcome.malformed
    if (outcome.kind === 'answered' || outcome.kind === 'gone') return end({ kind: outcome.kind })
    if (outcome.kind === 'diverged') return failed(interrupted(going?.cause ?? DIVERGED, run))
    first ??= outcome.failure
    if (run.upload?.begun === true) return failed(run.upload.error ?? spent(first))
    const goesOn = outcome.kind === 'interrupted' ? going?.after(outcome.failure, decision.endpoint.id) : undefined
    if (outcome.kind === 'interrupted' && goesOn === undefined) return failed(interrupted(going?.cause ?? outcome.failure, run))
    if (otherCredential && goesOn === undefined && deadlineMs > run.now() && mayRotate(decision, past)) {
      past.push(rotatedAway(decision, outcome.failure))
      waitMs = 0
      continue
    }
    const { class: failure, when, silent, retryAfterMs } = goesOn?.failure ?? outcome.failure
    const atOnce = otherCredential || goesOn?.again === true
    const budget = run.live.budget(decision.model.entry.ref)
    const next = afterFailure({
      failed: { failure, when, silent, retryAfterMs },
      endpointId: decision.endpoint.id,
      past,
      retry: decision.model.entry.retry,
      remainingMs: deadlineMs - run.now(),
      budgetAllows: budget.allows(run.now(), decision.model.entry.retry.budgetPercent),
      dice: run.dice(),
    })
    if (next.kind === 'stop') return failed(spent(first))
    budget.retry(run.now())
    waitMs = atOnce ? 0 : next.waitMs
    past.push({
      endpointId: decision.endpoint.id,
      model: decision.model.entry.ref,
      failure: otherCredential ? 'RETRY_SAME' : failure,
      when,
      mayRepeat: next.mayRepeat || atOnce,
      interrupted: goesOn?.by,
    })
  }
}

/** Each credential once: a budget of its own, apart from that of retries. */
function mayRotate({ endpoint }: Sent, past: readonly PastAttempt[]): boolean {
  const rotations = past.filter(({ endpointId, rotated }) => rotated === true && endpointId === endpoint.id).length
  return rotations < (endpoint.backend.auth?.credentials.length ?? 0) - 1
}

const rotatedAway = ({ endpoint, model }: Sent, { when }: Failure): PastAttempt => ({
  endpointId: endpoint.id,
  model: model.entry.ref,
  failure: 'RETRY_SAME',
  when,
  mayRepeat: true,
  rotated: true,
})

const DIVERGED = badResponse('The target did not repeat the answer that it was to go on with.')

/** False: the client left while we waited. */
function waited(ms: number, answer: ClientAnswer): Promise<boolean> {
  return new Promise((resolve) => {
    const done = (stays: boolean): void => {
      clearTimeout(timer)
      answer.onGone(undefined)
      resolve(stays)
    }
    const timer = setTimeout(() => done(true), ms)
    answer.onGone(() => done(false))
  })
}
