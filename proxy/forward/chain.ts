import { afterFailure } from '../decide/after-failure.ts'
import type { Refusal } from '../decide/decision.ts'
import type { PastAttempt } from '../decide/input.ts'
import type { ApiError } from '../errors.ts'
import type { Booking } from '../limits/booking.ts'
import type { Ref } from '../routing-table/v1.ts'
import type { AttemptOutcome } from './attempt.ts'
import { badResponse } from './classify.ts'
import type { ClientAnswer } from './client-answer.ts'
import { type Continuation, continuationFor } from './continuation.ts'
import { type Failure, isUnsent } from './failure.ts'
import { finalError, interrupted, refused } from './final-error.ts'
import { nextStep, repeatsSame, type Step } from './next-step.ts'
import type { AttemptRecord, Ending, Run, Sent } from './run.ts'
import { costUsdOf, settle, type UsedByAttempt, usedBy } from './settle.ts'
import { giveBack, tryOnce } from './try-once.ts'

type HowItEnded = { kind: 'answered' } | { kind: 'gone' } | Pick<Extract<Ending, { kind: 'failed' }>, 'kind' | 'error' | 'refused'>

const DIVERGED = badResponse('The target did not repeat the answer that it was to go on with.')

/** All attempts of one request, and what is known between them. Owner of the client's admission: `release` gives it back. */
export class Chain {
  readonly #run: Run
  readonly #past: PastAttempt[] = []
  readonly #attempts: AttemptRecord[] = []
  #deadlineMs: number
  /** Before the same endpoint is asked again. */
  #waitMs = 0
  /** The model whose retry budget has the next attempt already. */
  #charged: Ref | undefined
  /** The first cause, which is what the client is told in the end. */
  #first: Failure | undefined
  #sent: Sent | undefined
  #going: Continuation | undefined
  #admission: Booking | undefined
  #used: UsedByAttempt | undefined
  /** Of the last attempt. */
  #costUsd: number | undefined
  #firstTokenMs: number | undefined
  #malformed = 0

  constructor(run: Run) {
    this.#run = run
    this.#deadlineMs = run.startMs + run.timeoutMs
  }

  /** One attempt, with the waits before it. Undefined: another one is to follow. */
  async next(): Promise<Ending | undefined> {
    const run = this.#run
    const standing = { past: this.#past, admitted: this.#admission !== undefined, deadlineMs: this.#deadlineMs }
    if (this.#waitMs > 0 && repeatsSame(run, standing) && !(await waited(this.#waitMs, run.answer))) return this.#end({ kind: 'gone' })
    const step = await nextStep(run, standing)
    if (step.kind === 'gone') return this.#end({ kind: 'gone' })
    return step.kind === 'refuse' ? this.#refused(step.decision) : await this.#try(step)
  }

  /** The client's admission ends with what its request has used. Once only, as a booking is. */
  release(): void {
    if (this.#admission !== undefined) settle(this.#admission, withCosts(this.#used, this.#attempts), this.#run.now())
  }

  #refused(decision: Refusal): Ending {
    if (this.#first !== undefined) return this.#failed(this.#spent(this.#first))
    return this.#end({ kind: 'failed', error: refused(decision), refused: decision })
  }

  async #try({ sent, reserved }: Extract<Step, { kind: 'send' }>): Promise<Ending | undefined> {
    const run = this.#run
    this.#sent = sent
    this.#admission ??= reserved.admission
    const startMs = run.now()
    this.#count(sent, startMs)
    if (!run.answer.contentCommitted) this.#going = continuationFor(run, sent)
    this.#deadlineMs = Math.min(this.#deadlineMs, run.startMs + (sent.endpoint.backend.timeouts.totalMs ?? Number.POSITIVE_INFINITY))
    const about = { attempt: this.#attempts.length + 1, remainingMs: this.#deadlineMs - startMs, going: this.#going }
    const { outcome, record, otherCredential } = await tryOnce(run, sent, reserved, about).finally(() => giveBack(reserved, run.now()))
    const used = usedBy(outcome, run.facts, sent.endpoint, run.live)
    this.#used = used ?? this.#used
    this.#costUsd = costUsdOf(outcome, used)
    this.#attempts.push({ ...record, ...this.#cost() })
    if (outcome.firstTokenMs !== undefined) this.#firstTokenMs ??= startMs - run.startMs + outcome.firstTokenMs
    this.#malformed += outcome.malformed
    return this.#judge(sent, outcome, otherCredential)
  }

  /** A model's retries are a share of all requests that reach it, as a fallback too; one that goes elsewhere is none of it. */
  #count({ model: { entry } }: Sent, nowMs: number): void {
    const { live } = this.#run
    if (this.#charged !== undefined && this.#charged !== entry.ref) live.budget(this.#charged).giveBack(nowMs)
    this.#charged = undefined
    if (!this.#past.some(({ model }) => model === entry.ref)) live.budget(entry.ref).request(nowMs)
  }

  #judge(sent: Sent, outcome: AttemptOutcome, otherCredential: boolean): Ending | undefined {
    const run = this.#run
    if (outcome.kind === 'answered' || outcome.kind === 'gone') return this.#end({ kind: outcome.kind })
    if (outcome.kind === 'diverged') return this.#failed(interrupted(this.#going?.cause ?? DIVERGED, run))
    const { failure } = outcome
    this.#first ??= failure
    if (run.upload?.begun === true) return this.#failed(run.upload.error ?? this.#spent(this.#first))
    if (outcome.kind === 'failed') return this.#retry(sent, failure, { otherCredential })
    const goesOn = this.#going?.after(failure, sent.endpoint.id)
    if (goesOn === undefined) return this.#failed(interrupted(this.#going?.cause ?? failure, run))
    return this.#retry(sent, goesOn.failure, { otherCredential, again: goesOn.again, interrupted: goesOn.by })
  }

  /** Notes the failure for the next decision, if there may be one. */
  #retry(
    sent: Sent,
    failed: Failure,
    {
      otherCredential,
      again = false,
      interrupted,
    }: { otherCredential: boolean; again?: boolean; interrupted?: PastAttempt['interrupted'] },
  ): Ending | undefined {
    const { live, now, dice } = this.#run
    const { class: failure, when, silent, retryAfterMs } = failed
    const [nowMs, past] = [now(), this.#past]
    if (otherCredential && interrupted === undefined && this.#deadlineMs > nowMs && mayRotate(sent, past)) {
      this.#waitMs = 0
      past.push({ ...attempted(sent), ...this.#cost(), failure: 'RETRY_SAME', when, mayRepeat: true, rotated: true })
      return undefined
    }
    const { retry, ref } = sent.model.entry
    const free = isUnsent(failed) && retry.budgetPercent !== 0
    const next = afterFailure({
      failed: { failure, when, silent, retryAfterMs },
      endpointId: sent.endpoint.id,
      past,
      retry,
      remainingMs: this.#deadlineMs - nowMs,
      budgetAllows: free || live.budget(ref).allows(nowMs, retry.budgetPercent),
      dice: dice(),
    })
    if (next.kind === 'stop') return this.#failed(this.#spent(this.#first))
    const atOnce = otherCredential || again
    this.#waitMs = atOnce ? 0 : next.waitMs
    const noted = otherCredential ? 'RETRY_SAME' : failure
    const spent = !next.sameModel && !atOnce
    if (next.sameModel && !atOnce && !free) this.#charge(ref, nowMs)
    past.push({ ...attempted(sent), ...this.#cost(), failure: noted, when, mayRepeat: next.mayRepeat || atOnce, spent, interrupted })
    return undefined
  }

  #cost(): { costUsd?: number } {
    return this.#costUsd === undefined ? {} : { costUsd: this.#costUsd }
  }

  /** At once, and not when the wait is over: all that wait together must not fit into the same room. */
  #charge(ref: Ref, nowMs: number): void {
    this.#run.live.budget(ref).retry(nowMs)
    this.#charged = ref
  }

  #spent(failure: Failure = DIVERGED): ApiError {
    const cause = this.#going?.cause
    return cause === undefined ? finalError(failure, this.#sent, this.#run) : interrupted(cause, this.#run)
  }

  #failed(error: ApiError): Ending {
    return this.#end({ kind: 'failed', error, refused: undefined })
  }

  #end(how: HowItEnded): Ending {
    const usage = this.#used === 'unknown' ? undefined : this.#used
    return {
      ...how,
      sent: this.#sent,
      attempts: this.#attempts,
      usage,
      firstTokenMs: this.#firstTokenMs,
      malformed: this.#malformed,
    }
  }
}

/** What a client pays for: all attempts that cost something, and not the last one alone. */
function withCosts(used: UsedByAttempt | undefined, attempts: readonly AttemptRecord[]): UsedByAttempt | undefined {
  const costs = attempts.flatMap(({ costUsd }) => costUsd ?? [])
  if (costs.length === 0 || used === undefined || used === 'unknown') return used
  return { ...used, costUsd: costs.reduce((sum, usd) => sum + usd, 0) }
}

const attempted = ({ endpoint, model }: Sent): Pick<PastAttempt, 'endpointId' | 'model'> => ({
  endpointId: endpoint.id,
  model: model.entry.ref,
})

/** Each credential once: a budget of its own, apart from that of retries. */
function mayRotate({ endpoint }: Sent, past: readonly PastAttempt[]): boolean {
  const rotations = past.filter(({ endpointId, rotated }) => rotated === true && endpointId === endpoint.id).length
  return rotations < (endpoint.backend.auth?.credentials.length ?? 0) - 1
}

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
