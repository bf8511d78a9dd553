/**
 * The one attempt loop, for every route and both modes: decide, try, learn, decide again. In: a request that has been read, the table it
 * began with, live state, the client's answer. Out: how it ended and every attempt's record. Writes nothing but through the attempts.
 */
import type { IncomingHttpHeaders } from 'node:http'
import { afterFailure } from '../decide/after-failure.ts'
import type { FailureClass } from '../decide/classes.ts'
import { decide } from '../decide/decide.ts'
import type { Decision } from '../decide/decision.ts'
import type { Facts, PastAttempt } from '../decide/input.ts'
import type { Dialect, Usage } from '../dialects/dialect.ts'
import { bodyFor, type RequestBody } from '../dialects/request.ts'
import { profileOf } from '../engines/engines.ts'
import type { ApiError } from '../errors.ts'
import { DISABLED_MS, type Live } from '../live/live.ts'
import type { CompiledTable } from '../routing-table/compiled.ts'
import { type AttemptOutcome, runAttempt } from './attempt.ts'
import type { ClientAnswer } from './client-answer.ts'
import { deadlinesFor } from './deadlines.ts'
import { type Failure, shownCause } from './failure.ts'
import { upstreamHeaders } from './headers.ts'
import type { Pools } from './pools.ts'

/** A queued request may outlast its deadline by this much. */
const MAX_QUEUED_MS = 60_000
const SIGNALS_FRESH_MS = 15_000

export type Sent = Extract<Decision, { kind: 'send' }>

export interface AttemptRecord {
  readonly model: string
  readonly backend: string
  readonly endpoint: string
  readonly durationMs: number
  readonly outcome: 'answered' | 'gone' | FailureClass
  /** In the foreign error's own words; for the log only. */
  readonly cause: string | undefined
}

export interface Run {
  readonly requestId: string
  readonly facts: Facts
  readonly body: RequestBody
  readonly clientHeaders: IncomingHttpHeaders
  readonly dialect: Dialect
  readonly table: CompiledTable
  readonly live: Live
  readonly pools: Pools
  readonly answer: ClientAnswer
  /** The chain's deadline from the request, in ms from its start; Infinity without one. */
  readonly timeoutMs: number
  readonly startMs: number
  readonly now: () => number
  readonly dice: () => number
  /** The head of the status commit. */
  readonly head: (sent: Sent, attempts: number, upstream: IncomingHttpHeaders, stream: boolean) => readonly string[]
  /** Told of each decision to send, before its attempt. */
  readonly onSend: (sent: Sent, attempts: number) => void
}

export type Ending = {
  readonly sent: Sent | undefined
  readonly attempts: readonly AttemptRecord[]
  readonly usage: Usage | undefined
  /** From the request's start to the content commit; undefined where there was none. */
  readonly firstTokenMs: number | undefined
  readonly malformed: number
} & (
  | { readonly kind: 'answered' }
  | { readonly kind: 'gone' }
  | { readonly kind: 'failed'; readonly error: ApiError; readonly refused: Extract<Decision, { kind: 'refuse' }> | undefined }
)

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

async function tryOnce(
  run: Run,
  sent: Sent,
  attempt: number,
  remainingMs: number,
): Promise<{ outcome: AttemptOutcome; record: AttemptRecord; credential: string | undefined }> {
  const { endpoint, model } = sent
  const { live, facts, dialect } = run
  const startMs = run.now()
  if (attempt === 1) live.budget(model.entry.ref).request(startMs)
  const credential = endpoint.backend.auth && live.credentials.pick(endpoint.backend.auth.credentials, startMs)
  const guard = live.take(endpoint.id)
  run.onSend(sent, attempt)
  const engine = live.endpoint(endpoint.id).engine ?? endpoint.backend.engine
  const outcome = await runAttempt({
    dispatcher: run.pools.of(endpoint),
    path: endpoint.basePath + dialect.path.slice('/v1'.length),
    headers: upstreamHeaders(
      run.clientHeaders,
      endpoint,
      run.requestId,
      credential === undefined ? undefined : run.table.credentials.get(credential),
    ),
    body: bodyFor(
      run.body,
      {
        upstreamModel: sent.upstreamModel,
        clampOutputTokens: sent.clampOutputTokens,
        askUsage: profileOf(engine).usageMustBeAskedFor,
        engine,
      },
      dialect,
    ),
    stream: facts.stream,
    usageAsked: run.body.usageAsked,
    dialect,
    answer: run.answer,
    deadlines: deadlinesFor(endpoint, live.latency, facts.promptTokens, Math.max(0, remainingMs)),
    head: (upstream, stream) => run.head(sent, attempt, upstream, stream),
    isQueued: () => {
      const { waiting, signalsAtMs } = live.endpoint(endpoint.id)
      return (waiting ?? 0) > 0 && run.now() - signalsAtMs <= SIGNALS_FRESH_MS && run.now() - startMs < MAX_QUEUED_MS
    },
    now: run.now,
  })
  guard.release()
  const durationMs = run.now() - startMs
  if (outcome.kind === 'answered') remember(run, sent, outcome, { startMs, durationMs })
  return {
    outcome,
    record: { model: model.entry.ref, backend: endpoint.backend.name, endpoint: endpoint.id, durationMs, ...wordFor(outcome) },
    credential,
  }
}

const wordFor = (outcome: AttemptOutcome): Pick<AttemptRecord, 'outcome' | 'cause'> =>
  outcome.kind === 'answered' || outcome.kind === 'gone'
    ? { outcome: outcome.kind, cause: undefined }
    : { outcome: outcome.failure.class, cause: outcome.failure.cause }

function remember(
  { live, facts }: Run,
  { endpoint }: Sent,
  { firstTokenMs }: AttemptOutcome,
  { startMs, durationMs }: { startMs: number; durationMs: number },
): void {
  live.succeeded(endpoint.id, startMs)
  if (facts.stream && firstTokenMs !== undefined) live.latency.add(endpoint.model, 'firstToken', facts.promptTokens, firstTokenMs)
  live.latency.add(endpoint.model, 'whole', facts.promptTokens, durationMs)
}

/** Books the failure. True: it was only the credential's, and another one may be tried at once. */
function learn({ live, now, dice, dialect }: Run, { endpoint }: Sent, failure: Failure, credential: string | undefined): boolean {
  const nowMs = now()
  if (failure.class === 'NOT_IMPLEMENTED') live.lacks(endpoint.id, dialect.capability)
  const ids = endpoint.backend.auth?.credentials ?? []
  const isCredentials = failure.class === 'ENDPOINT_DISABLED' || failure.class === 'RATE_LIMIT'
  if (credential !== undefined && ids.length > 1 && isCredentials) {
    const untilMs = nowMs + (failure.class === 'RATE_LIMIT' ? (failure.retryAfterMs ?? 1000) : DISABLED_MS)
    if (live.credentials.park(credential, ids, untilMs, nowMs)) return true
  }
  live.failed(endpoint.id, { class: failure.class, retryAfterMs: failure.retryAfterMs, because: shownCause(failure) }, nowMs, dice())
  return false
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

function refused(decision: Extract<Decision, { kind: 'refuse' }>): ApiError {
  const { code, message, param, retryAfterMs } = decision
  return { code, message, ...(param !== undefined && { param }), ...(retryAfterMs !== undefined && { retryAfterMs, shouldRetry: true }) }
}

/** The first cause, not the last fallback's complaint. */
function finalError(first: Failure, sent: Sent | undefined, run: Run): ApiError {
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
  }
}

function earliestRecoveryMs(sent: Sent | undefined, { live, now }: Run): number | undefined {
  const waits = (sent?.candidates ?? [])
    .flatMap(({ model }) => model.endpoints.map(({ id }) => live.endpoint(id).coolUntilMs - now()))
    .filter((ms) => ms > 0)
  return waits.length === 0 ? undefined : Math.min(...waits)
}

function interrupted({ message, upstream }: Failure, { facts }: Run): ApiError {
  const about = facts.stream ? 'The answer is not complete; send the request again.' : 'The answer could not be completed.'
  return {
    code: 'upstream_stream_interrupted',
    message: `${message} ${about}`,
    ...(upstream !== undefined && { upstream }),
    shouldRetry: false,
  }
}
