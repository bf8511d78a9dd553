/**
 * A request's life, in order: accept, authenticate, read facts, decide, attempt, commit, stream, settle. In: one HTTP request to an
 * inference route. Out: one answer and one record of it. The only place where a failure becomes an HTTP status.
 */
import { randomUUID } from 'node:crypto'
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http'
import type { Client, Facts } from '../decide/input.ts'
import { affinityKeys } from '../dialects/affinity-key.ts'
import type { Dialect } from '../dialects/dialect.ts'
import { type RequestBody, readBodyAgain } from '../dialects/request.ts'
import { parseDuration } from '../duration.ts'
import { type ApiError, skinOf, statusIn } from '../errors.ts'
import { runAttempts } from '../forward/attempts.ts'
import { ClientAnswer } from '../forward/client-answer.ts'
import { passBack } from '../forward/headers.ts'
import type { Pools } from '../forward/pools.ts'
import type { Ending, Run, Sent } from '../forward/run.ts'
import type { Holds } from '../hold/holds.ts'
import type { Live } from '../live/live.ts'
import type { CompiledTable } from '../routing-table/compiled.ts'
import { INTERRUPTS, type Interrupt } from '../routing-table/v1.ts'
import { type AuthSettings, authenticate } from './authenticate.ts'
import type { BodyLimits, HeldBytes } from './body.ts'
import { debugHeader, refusedHeaders, sentHeaders, sentRemark } from './decision-headers.ts'
import { sendError } from './respond.ts'
import { accept, type TakenBody, takeBody } from './take-body.ts'

/** What a settled request leaves behind: metrics, the access line and replay are made of it. */
export interface RequestRecord {
  readonly atMs: number
  readonly requestId: string
  readonly traceparent: string | undefined
  readonly path: string
  readonly dialect: Dialect
  readonly client: Client | undefined
  readonly facts: Facts | undefined
  readonly ending: Ending | undefined
  readonly error: ApiError | undefined
  /** 499 = the client left. */
  readonly status: number
  readonly durationMs: number
  /** Our own share: from the complete body to the first byte we send upstream. */
  readonly overheadMs: number | undefined
  /** Waited in queues for a slot or for room in a limit. */
  readonly heldMs: number
  readonly bytesSent: number
  readonly table: { readonly epoch: number; readonly seq: number }
}

export interface Serving {
  readonly table: () => CompiledTable
  readonly live: Live
  readonly pools: Pools
  readonly holds: Holds
  readonly auth: AuthSettings
  readonly body: BodyLimits
  readonly held: HeldBytes
  readonly now: () => number
  readonly dice: () => number
  readonly settle: (record: RequestRecord) => void
  /** Told of a bug of ours: the stack, once. */
  readonly onBug: (error: unknown, requestId: string) => void
}

interface Noted {
  facts?: Facts
  client?: Client
  bodyDoneMs?: number
  sentMs?: number
  /** In queues, before the first attempt. */
  heldMs?: number
  /** In force at the first attempt. */
  table?: CompiledTable
}

export async function serveInference(
  serving: Serving,
  request: IncomingMessage,
  response: ServerResponse,
  dialect: Dialect,
): Promise<void> {
  const startMs = serving.now()
  const requestId = requestIdOf(request.headers)
  const table = serving.table() // the request keeps the table it began with
  const answer = new ClientAnswer(response)
  const noted: Noted = {}
  let result: Result
  try {
    result = await live({ serving, request, response, dialect, startMs, requestId, table, answer, noted })
  } catch (error) {
    serving.onBug(error, requestId)
    result = { error: { code: 'internal', message: `An internal error; the log has it under request id ${requestId}.` } }
  }
  if (result.error !== undefined) writeError({ response, answer, dialect, requestId, error: result.error, ending: result.ending })
  settle({ serving, request, dialect, startMs, requestId, table, answer, noted, result })
}

interface Result {
  readonly ending?: Ending
  readonly error?: ApiError
  readonly gone?: boolean
}

interface Life {
  readonly serving: Serving
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly dialect: Dialect
  readonly startMs: number
  readonly requestId: string
  readonly table: CompiledTable
  readonly answer: ClientAnswer
  readonly noted: Noted
}

async function live(life: Life): Promise<Result> {
  const { serving, request, table, answer, noted } = life
  const refusal = accept(request, life.dialect) // 1: what is no request of this route at all
  if (refusal !== undefined) return { error: refusal }
  const who = authenticate(request.headers, table, serving.auth, life.startMs) // 2: before the body is read, so that strangers cost nothing
  if ('error' in who) return who
  noted.client = who.client
  const timeoutMs = timeoutOf(request.headers)
  if (timeoutMs === undefined)
    return {
      error: {
        code: 'invalid_value',
        message: 'x-llama-swap-timeout must be a duration such as 30s or 1m30s.',
        param: 'x-llama-swap-timeout',
      },
    }
  const interrupt = interruptOf(request.headers)
  if (interrupt === null)
    return {
      error: { code: 'invalid_value', message: 'x-llama-swap-interrupt must be Error or Continue.', param: 'x-llama-swap-interrupt' },
    }
  const read = await takeBody(request, life.dialect, { limits: serving.body, held: serving.held }) // 3
  if (read.kind === 'gone') return { gone: true }
  if (read.kind === 'error') return read
  noted.bodyDoneMs = serving.now()
  try {
    noted.facts = factsOf(life, read.body, who.client)
    const ending = await attempt(life, read, noted.facts, { timeoutMs, interrupt }) // 4 to 8: decide, attempt, commit, stream
    return { ending, gone: ending.kind === 'gone', ...(ending.kind === 'failed' && { error: ending.error }) }
  } finally {
    read.upload?.close()
    serving.held.give(read.heldBytes)
    answer.onGone(undefined)
  }
}

const factsOf = ({ request, dialect }: Life, body: RequestBody, client: Client): Facts => ({
  route: dialect.route,
  path: dialect.path,
  ...(dialect.method !== undefined && { method: dialect.method }),
  asked: body.model,
  stream: body.stream,
  needs: body.needs,
  promptTokens: body.promptTokens,
  prompt: body.prompt,
  maxOutputTokens: body.maxOutputTokens,
  headers: request.headers,
  client,
  readBody: () => readBodyAgain(body),
  keys: affinityKeys({ route: dialect.route, headers: request.headers, body }),
})

async function attempt(
  life: Life,
  { body, upload }: Extract<TakenBody, { kind: 'body' }>,
  facts: Facts,
  { timeoutMs, interrupt }: { timeoutMs: number; interrupt: Interrupt | undefined },
): Promise<Ending> {
  const { serving, request, requestId, table, answer, noted, startMs, dialect } = life
  const debug = request.headers['x-llama-swap-debug'] === '1'
  const skinned = skinOf(dialect.path) === 'anthropic' ? ['request-id', requestId] : []
  let current: { sent: Sent; attempts: number } | undefined
  const head = (sent: Sent, attempts: number, upstream: IncomingHttpHeaders, stream: boolean): readonly string[] => {
    const list = ['x-request-id', requestId, ...skinned, ...sentHeaders(sent, attempts, facts.client.namespace)]
    const limits = serving.live.limits.headers({ model: sent.model.entry.ref, rule: sent.rule, facts }, serving.now())
    passBack(upstream, list, limits)
    if (stream) list.push('cache-control', 'no-cache', 'x-accel-buffering', 'no')
    if (debug) list.push(...debugHeader(sent.candidates, facts.client.namespace))
    return list
  }
  if (facts.stream) {
    answer.keepAlive(
      () =>
        current === undefined
          ? ['content-type', EVENTS, 'x-request-id', requestId]
          : head(current.sent, current.attempts, { 'content-type': EVENTS }, true),
      dialect.keepAlive,
    )
  }
  const run: Run = {
    requestId,
    facts,
    body,
    upload,
    clientHeaders: request.headers,
    dialect,
    table,
    newestTable: serving.table,
    live: serving.live,
    pools: serving.pools,
    holds: serving.holds,
    answer,
    timeoutMs,
    interrupt,
    startMs,
    now: serving.now,
    dice: serving.dice,
    head,
    onSend: (sent, attempts) => {
      if (answer.statusCommitted) answer.remark(sentRemark(sent, attempts, facts.client.namespace))
      current = { sent, attempts }
      noted.sentMs ??= serving.now()
    },
    onHeld: (waitedMs) => {
      if (noted.sentMs === undefined) noted.heldMs = (noted.heldMs ?? 0) + waitedMs
    },
  }
  const ending = await runAttempts(run)
  noted.table = run.table
  return ending
}

const EVENTS = 'text/event-stream; charset=utf-8'

/** An HTTP error while that is still possible; an in-band error in a stream; a broken connection in any other body. */
function writeError({
  response,
  answer,
  dialect,
  requestId,
  error,
  ending,
}: {
  response: ServerResponse
  answer: ClientAnswer
  dialect: Dialect
  requestId: string
  error: ApiError
  ending: Ending | undefined
}): void {
  if (answer.gone) return
  if (!answer.statusCommitted) {
    const decision = ending?.kind === 'failed' && ending.refused !== undefined ? refusedHeaders(ending.refused) : decisionOf(ending)
    sendError(response, error, requestId, decision)
  } else if (answer.isEventStream) answer.end(dialect.errorEvent(error, requestId))
  else answer.destroy()
}

const decisionOf = (ending: Ending | undefined): string[] =>
  ending?.sent === undefined ? [] : sentHeaders(ending.sent, ending.attempts.length, ending.sent.model.namespace)

function settle({
  serving,
  request,
  dialect,
  startMs,
  requestId,
  table,
  answer,
  noted,
  result,
}: Omit<Life, 'response'> & { result: Result }): void {
  const gone = result.gone === true || answer.gone
  serving.settle({
    atMs: startMs,
    requestId,
    traceparent: traceparentOf(request.headers),
    path: dialect.path,
    dialect,
    client: noted.client,
    facts: noted.facts,
    ending: result.ending,
    error: gone ? { code: 'client_disconnected', message: 'The client left.' } : result.error,
    status: gone ? 499 : answer.status || (result.error === undefined ? 200 : statusIn(skinOf(dialect.path), result.error)),
    durationMs: serving.now() - startMs,
    overheadMs:
      noted.sentMs === undefined || noted.bodyDoneMs === undefined ? undefined : noted.sentMs - noted.bodyDoneMs - (noted.heldMs ?? 0),
    heldMs: noted.heldMs ?? 0,
    bytesSent: answer.bytesSent,
    table: (noted.table ?? table).table,
  })
}

/** A client's own id is kept if it is a plain one. */
export function requestIdOf({ 'x-request-id': given }: IncomingHttpHeaders): string {
  return typeof given === 'string' && /^[A-Za-z0-9._-]{1,128}$/.test(given) ? given : randomUUID()
}

/** Undefined without the header; null = it is no such word. */
function interruptOf({ 'x-llama-swap-interrupt': given }: IncomingHttpHeaders): Interrupt | undefined | null {
  return given === undefined ? undefined : (INTERRUPTS.find((word) => word === given) ?? null)
}

export const traceparentOf = ({ traceparent }: IncomingHttpHeaders): string | undefined =>
  typeof traceparent === 'string' ? traceparent : undefined

/** Infinity without the header; undefined = it is no duration. */
function timeoutOf({ 'x-llama-swap-timeout': given }: IncomingHttpHeaders): number | undefined {
  if (given === undefined) return Number.POSITIVE_INFINITY
  const total = typeof given === 'string' ? (parseDuration(given) ?? 0) : 0
  return total > 0 ? total : undefined
}
