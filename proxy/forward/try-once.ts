import type { IncomingHttpHeaders } from 'node:http'
import { DEFAULT_MAX_WAIT_MS } from '../decide/decision.ts'
import { bodyFor } from '../dialects/request.ts'
import { profileOf } from '../engines/engines.ts'
import type { Booking } from '../limits/booking.ts'
import type { Guard } from '../live/live.ts'
import { type AttemptOutcome, runAttempt } from './attempt.ts'
import type { Continuation } from './continuation.ts'
import { deadlinesFor } from './deadlines.ts'
import { failureLabel } from './failure.ts'
import { upstreamHeaders } from './headers.ts'
import { learn } from './learn.ts'
import { learnTokens } from './learn-tokens.ts'
import type { AttemptRecord, Run, Sent } from './run.ts'
import { settle, usedBy } from './settle.ts'
import { upstreamPath } from './upstream-path.ts'

const SIGNALS_FRESH_MS = 15_000

/** What a decision to send takes at once, before anything is awaited. */
export interface Reserved {
  readonly guard: Guard
  readonly credential: string | undefined
  /** Of the model's limits and the upstream's quota: for this attempt. */
  readonly booking: Booking
  /** Of the client's limits: for the whole request. Undefined = it has been admitted before. */
  readonly admission: Booking | undefined
}

export function reserve({ live, facts, now }: Run, { endpoint, rule }: Sent, admitted: boolean): Reserved {
  const nowMs = now()
  const credential = endpoint.backend.auth && live.credentials.pick(endpoint.backend.auth.credentials, nowMs)
  return {
    guard: live.take(endpoint.id, nowMs, facts.promptTokens),
    credential,
    booking: live.limits.book({ endpoint, credential, facts }, nowMs),
    admission: admitted ? undefined : live.limits.admit({ rule, facts }, nowMs),
  }
}

/** One attempt with all that is counted around it; gives back what was reserved. `attempt`: its number in the request, from 1. */
export async function tryOnce(
  run: Run,
  sent: Sent,
  { guard, credential, booking }: Reserved,
  { attempt, remainingMs, going }: { attempt: number; remainingMs: number; going: Continuation | undefined },
): Promise<{ outcome: AttemptOutcome; record: AttemptRecord; otherCredential: boolean }> {
  const { endpoint, model } = sent
  const { live, facts, dialect } = run
  const startMs = run.now()
  run.onSend(sent, attempt)
  const engine = live.endpoint(endpoint.id).engine ?? endpoint.backend.engine
  const part = going?.part(sent, engine)
  const { upload } = run
  const kept = bodyFor(
    run.body,
    {
      upstreamModel: sent.upstreamModel,
      clampOutputTokens: part === undefined ? sent.clampOutputTokens : part.clampOutputTokens,
      askUsage: profileOf(engine).usageMustBeAskedFor,
      engine,
      prefix: part?.prefix,
    },
    dialect,
  )
  const outcome = await runAttempt({
    dispatcher: run.pools.of(endpoint),
    path: upstreamPath(sent, dialect, run.body),
    ...(dialect.method !== undefined && { method: dialect.method }),
    headers: upstreamHeaders(
      run.clientHeaders,
      endpoint,
      run.requestId,
      credential === undefined ? undefined : run.table.credentials.get(credential),
      { contentType: run.body.contentType, contentLength: lengthOf(run, kept) },
    ),
    body: upload === undefined ? (run.body.contentType === '' ? null : kept) : upload.after(kept),
    stream: facts.stream,
    usageAsked: run.body.usageAsked,
    dialect,
    editor: part?.editor,
    answer: run.answer,
    deadlines: deadlinesFor(endpoint, live.latency, facts.promptTokens, Math.max(0, remainingMs)),
    head: (upstream, stream) => {
      guard.began(run.now())
      return run.head(sent, attempt, upstream, stream)
    },
    onHead: (headers) => hear(run, sent, credential, headers),
    isQueued: () => {
      if (upload?.flows === true) return true
      const { waiting, signalsAtMs } = live.endpoint(endpoint.id)
      return (
        (waiting ?? 0) > 0 &&
        run.now() - signalsAtMs <= SIGNALS_FRESH_MS &&
        run.now() - startMs < (model.entry.limits?.queue?.maxWaitMs ?? DEFAULT_MAX_WAIT_MS)
      )
    },
    now: run.now,
  })
  const otherCredential = learn(run, sent, outcome, { guard, credential, startMs, remainingMs })
  settle(booking, usedBy(outcome, facts, endpoint, live), run.now())
  run.holds.roomAt(model.entry.ref)
  const durationMs = run.now() - startMs
  const method = part?.method
  if (method === undefined) learnTokens(run, sent, outcome)
  if (outcome.kind === 'answered' && method === undefined) remember(run, sent, outcome, durationMs)
  const where = { model: model.entry.ref, backend: endpoint.backend.name, endpoint: endpoint.id }
  return {
    outcome,
    record: { ...where, durationMs, ...wordFor(outcome), ...(method !== undefined && { continuation: method }) },
    otherCredential,
  }
}

/** Believes what an upstream says of its limits. A credential that has nothing left rests, though its answer was a success. */
function hear({ live, now }: Run, { endpoint }: Sent, credential: string | undefined, headers: IncomingHttpHeaders): void {
  const nowMs = now()
  const untilMs = live.heard(endpoint, credential, headers, nowMs)
  const ids = endpoint.backend.auth?.credentials ?? []
  if (untilMs === undefined || credential === undefined || ids.length < 2) return
  live.credentials.park(credential, ids, { kind: 'rate_limit', sinceMs: nowMs, untilMs, because: 'nothing remains of its rate limit' })
}

/** For a request that ends before its attempt could. Harmless after one. */
export function giveBack({ guard, booking }: Reserved, nowMs: number): void {
  guard.release()
  booking.refund(nowMs)
}

/** The announced length of an upload, with what was changed in its beginning; undefined = as long as its bytes, or unknown. */
function lengthOf({ upload, body, clientHeaders }: Run, kept: Uint8Array): number | undefined {
  const announced = clientHeaders['content-length']
  return upload === undefined || announced === undefined ? undefined : Number(announced) + kept.length - body.bytes.length
}

const wordFor = (outcome: AttemptOutcome): Pick<AttemptRecord, 'outcome' | 'label' | 'cause'> =>
  outcome.kind === 'answered' || outcome.kind === 'gone' || outcome.kind === 'diverged'
    ? { outcome: outcome.kind, cause: undefined }
    : { outcome: outcome.failure.class, label: failureLabel(outcome.failure), cause: outcome.failure.cause }

function remember({ live, facts }: Run, { endpoint }: Sent, { firstTokenMs }: AttemptOutcome, durationMs: number): void {
  if (facts.stream && firstTokenMs !== undefined) live.latency.add(endpoint.model, 'firstToken', facts.promptTokens, firstTokenMs)
  live.latency.add(endpoint.model, 'whole', facts.promptTokens, durationMs)
}
