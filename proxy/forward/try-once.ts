import { bodyFor } from '../dialects/request.ts'
import { profileOf } from '../engines/engines.ts'
import { DISABLED_MS } from '../live/live.ts'
import { type AttemptOutcome, runAttempt } from './attempt.ts'
import { deadlinesFor } from './deadlines.ts'
import { type Failure, shownCause } from './failure.ts'
import { upstreamHeaders } from './headers.ts'
import type { AttemptRecord, Run, Sent } from './run.ts'

/** A queued request may outlast its deadline by this much. */
const MAX_QUEUED_MS = 60_000
const SIGNALS_FRESH_MS = 15_000

/** One attempt with all that is counted around it. `attempt`: its number in the request, from 1. */
export async function tryOnce(
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
export function learn({ live, now, dice, dialect }: Run, { endpoint }: Sent, failure: Failure, credential: string | undefined): boolean {
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
