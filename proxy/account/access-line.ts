import type { Candidate } from '../decide/input.ts'
import type { AttemptRecord, Ending } from '../forward/run.ts'
import type { RequestRecord } from '../serve/lifecycle.ts'
import type { LogLevel } from './log.ts'
import { attemptWord, firstTokenMsOf, outcomeOf, plainCause, ruleOf } from './settled.ts'

/** Raised when a field changes its meaning; new fields do not raise it. */
const VERSION = 1
const MAX_LOST = 8
const MAX_ATTEMPTS = 16
const MAX_TEXT = 256
const TRACEPARENT = /^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/

/** A bug of ours is an error; what failed for another reason than the client's own is a warning; all else is information. */
export function levelOf({ error, status }: RequestRecord): LogLevel {
  if (error === undefined) return 'info'
  if (error.code === 'internal') return 'error'
  return status >= 500 || error.code.startsWith('upstream_') ? 'warn' : 'info'
}

/**
 * One settled request as one line of JSON. Unknown is null, never 0; durations are milliseconds but for `overhead_us`. Written by hand, as
 * it stands on every request's way. Holds no prompt, no header (but a well-formed traceparent), no credential, and no upstream's sentence.
 */
export function accessLine(record: RequestRecord, level: LogLevel): string {
  const { client, facts, ending, error, status, table, bytesSent } = record
  const outcome = outcomeOf(record)
  return (
    `{"v":${VERSION},"time":"${isoTime(record.atMs)}","level":"${level}","msg":"request","request_id":${text(record.requestId)}` +
    `,"traceparent":${record.traceparent !== undefined && TRACEPARENT.test(record.traceparent) ? `"${record.traceparent}"` : 'null'}` +
    `,"client":${text(client?.name)},"client_namespace":${text(client?.namespace)},"service_account":${text(client?.serviceAccount)}` +
    `,"path":${text(record.path)},"route":"${record.dialect.route}","asked":${text(facts?.asked)},"stream":${facts?.stream ?? null}` +
    `,"needs":${facts === undefined ? 'null' : list(facts.needs, text)},"prompt_tokens_estimate":${number(facts?.promptTokens)},"max_output_tokens":${number(facts?.maxOutputTokens)}` +
    `,"status":${status},"code":${text(error?.code)},"error_type":${outcome === 'ok' ? 'null' : `"${outcome}"`}` +
    `,"policy":${text(policyOf(ending))},"rule":${text(ruleOf(ending))},"why":${text(whyOf(ending))}` +
    sentPart(ending) +
    `,"attempts":${list(ending?.attempts.slice(0, MAX_ATTEMPTS) ?? [], attemptPart)},"lost":${list(lostOf(ending), lostPart)}` +
    `,"table":{"epoch":${table.epoch},"seq":${table.seq}}` +
    `,"duration_ms":${number(record.durationMs)},"first_token_ms":${number(firstTokenMsOf(record))},"held_ms":${number(record.heldMs)},"overhead_us":${number(record.overheadMs === undefined ? undefined : record.overheadMs * 1000)}` +
    `,"input_tokens":${number(ending?.usage?.inputTokens)},"output_tokens":${number(ending?.usage?.outputTokens)},"cached_input_tokens":${number(ending?.usage?.cachedInputTokens)},"usage_estimated":${ending?.usage?.estimated === true},"cost_usd":${usd(ending)}` +
    `,"bytes":${bytesSent}}\n`
  )
}

let second = Number.NaN
let secondText = ''

/** RFC 3339 with milliseconds. Most lines share their second with the one before. */
function isoTime(atMs: number): string {
  const now = Math.floor(atMs / 1000)
  if (now !== second) {
    second = now
    secondText = new Date(now * 1000).toISOString().slice(0, -'000Z'.length)
  }
  return `${secondText}${String(Math.floor(atMs) % 1000).padStart(3, '0')}Z`
}

const policyOf = (ending: Ending | undefined): string | undefined => ending?.sent?.rule.policy?.entry.ref

/** Of all attempts that gave the client something; null = nothing did, or of one of them nobody knows. */
function usd(ending: Ending | undefined): string {
  let [sum, known] = [0, false]
  for (const { costUsd, outcome } of ending?.attempts ?? []) {
    if (costUsd === undefined && outcome === 'answered') return 'null'
    known ||= costUsd !== undefined
    sum += costUsd ?? 0
  }
  return known ? String(Math.round(sum * 1e12) / 1e12) : 'null'
}

const sentPart = (ending: Ending | undefined): string =>
  `,"model":${text(ending?.sent?.model.entry.ref)},"backend":${text(ending?.sent?.endpoint.backend.name)},"endpoint":${text(ending?.sent?.endpoint.id)}`

const attemptPart = (attempt: AttemptRecord): string =>
  `{"model":${text(attempt.model)},"backend":${text(attempt.backend)},"endpoint":${text(attempt.endpoint)},"outcome":"${attemptWord(attempt)}"` +
  `${attempt.continuation === undefined ? '' : `,"continuation":"${attempt.continuation}"`},"duration_ms":${number(attempt.durationMs)},"cause":${text(attempt.cause === undefined ? undefined : plainCause(attempt.cause))}}`

const lostPart = ({ model, lost }: Candidate): string => `{"model":${text(model.entry.ref)},"why":${text(plainCause(lost ?? ''))}}`

const refusedOf = (ending: Ending | undefined) => (ending?.kind === 'failed' ? ending.refused : undefined)

const whyOf = (ending: Ending | undefined): string | undefined => ending?.sent?.why ?? refusedOf(ending)?.why

function lostOf(ending: Ending | undefined): readonly Candidate[] {
  const candidates = ending?.sent?.candidates ?? refusedOf(ending)?.candidates ?? []
  return candidates.length === 1 && ending?.sent !== undefined ? [] : candidates.filter(({ lost }) => lost !== undefined).slice(0, MAX_LOST)
}

/** Most strings here are plain names, which need no escaping. */
function text(value: string | undefined): string {
  if (value === undefined) return 'null'
  if (value.length <= MAX_TEXT && /^[\w ./:;,=@()+-]*$/.test(value)) return `"${value}"`
  return JSON.stringify(value.length > MAX_TEXT ? `${value.slice(0, MAX_TEXT)}…` : value)
}

/** Three decimals at most, of whole numbers printed apart: a fraction's shortest text is dear. JSON knows no infinity. */
function number(value: number | undefined): string {
  if (value === undefined || !Number.isFinite(value)) return 'null'
  const thousandths = Math.round(value * 1000)
  if (thousandths < 0 || thousandths > Number.MAX_SAFE_INTEGER) return String(value)
  const rest = thousandths % 1000
  const whole = (thousandths - rest) / 1000
  return rest === 0 ? `${whole}` : `${whole}.${rest < 10 ? '00' : rest < 100 ? '0' : ''}${rest}`
}

const list = <Item>(items: readonly Item[], part: (item: Item) => string): string =>
  items.length === 0 ? '[]' : `[${items.map(part).join(',')}]`
