/**
 * The one attempt loop, for every route and both modes: decide, try, learn, decide again. In: a request that has been read, the table it
 * began with, live state, the client's answer. Out: how it ended and every attempt's record. Writes nothing but through the attempts.
 */
import { afterFailure } from '../decide/after-failure.ts'
import { decide } from '../decide/decide.ts'
import type { PastAttempt } from '../decide/input.ts'
import type { AttemptOutcome } from './attempt.ts'
import type { ClientAnswer } from './client-answer.ts'
import type { Failure } from './failure.ts'
import { finalError, interrupted, refused } from './final-error.ts'
import type { AttemptRecord, Ending, Run, Sent } from './run.ts'
import { learn, tryOnce } from './try-once.ts'

export async function runAttempts(run: Run): Promise<Ending> {
  const past: PastAttempt[] = []
  const attempts: AttemptRecord[] = []
  let first: Failure | undefined
  let waitMs = 0
  let sent: Sent | undefined
  let seen: AttemptOutcome | undefined
  let attemptStartMs = run.startMs
  let deadlineMs = run.startMs + run.timeoutMs
  const end = (
    kind: { kind: 'answered' } | { kind: 'gone' } | Pick<Extract<Ending, { kind: 'failed' }>, 'kind' | 'error' | 'refused'>,
  ): Ending => ({
    ...kind,
    sent,
    attempts,
    usage: seen?.usage,
    firstTokenMs: seen?.firstTokenMs === undefined ? undefined : attemptStartMs - run.startMs + seen.firstTokenMs,
    malformed: seen?.malformed ?? 0,
  })
  for (;;) {
    const decision = decide({ facts: run.facts, table: run.table, live: run.live, nowMs: run.now(), dice: run.dice(), past })
    if (decision.kind === 'refuse') {
      return end({
        kind: 'failed',
        error: first === undefined ? refused(decision) : finalError(first, sent, run),
        refused: first === undefined ? decision : undefined,
      })
    }
    run.live.advance(decision.steps)
    if (decision.endpoint.id === past.at(-1)?.endpointId && !(await waited(waitMs, run.answer))) return end({ kind: 'gone' })
    sent = decision
    attemptStartMs = run.now()
    deadlineMs = Math.min(deadlineMs, run.startMs + (decision.endpoint.backend.timeouts.totalMs ?? Number.POSITIVE_INFINITY))
    const { outcome, record, credential } = await tryOnce(run, decision, attempts.length + 1, deadlineMs - run.now())
    attempts.push(record)
    seen = outcome
    if (outcome.kind === 'answered' || outcome.kind === 'gone') return end({ kind: outcome.kind })
    first ??= outcome.failure
    const otherCredential = learn(run, decision, outcome.failure, credential)
    if (outcome.kind === 'interrupted') return end({ kind: 'failed', error: interrupted(outcome.failure, run), refused: undefined })
    const budget = run.live.budget(decision.model.entry.ref)
    const next = afterFailure({
      failed: {
        failure: outcome.failure.class,
        when: outcome.failure.when,
        silent: outcome.failure.silent,
        retryAfterMs: outcome.failure.retryAfterMs,
      },
      endpointId: decision.endpoint.id,
      past,
      retry: decision.model.entry.retry,
      remainingMs: deadlineMs - run.now(),
      budgetAllows: budget.allows(run.now(), decision.model.entry.retry.budgetPercent),
      dice: run.dice(),
    })
    if (next.kind === 'stop') return end({ kind: 'failed', error: finalError(first, sent, run), refused: undefined })
    budget.retry(run.now())
    waitMs = otherCredential ? 0 : next.waitMs
    past.push({
      endpointId: decision.endpoint.id,
      model: decision.model.entry.ref,
      failure: otherCredential ? 'RETRY_SAME' : outcome.failure.class,
      when: outcome.failure.when,
      mayRepeat: next.mayRepeat || otherCredential,
    })
  }
}

/** False: the client left while we waited. */
function waited(ms: number, answer: ClientAnswer): Promise<boolean> {
  if (ms <= 0) return Promise.resolve(!answer.gone)
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
