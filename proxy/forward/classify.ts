import type { IncomingHttpHeaders } from 'node:http'
import type { FailureClass } from '../decide/classes.ts'
import type { Json } from '../dialects/json.ts'
import { jsonOf } from '../dialects/json.ts'
import type { Code, ErrorLabel, UpstreamSaid } from '../errors.ts'
import type { FallbackClass } from '../routing-table/v1.ts'
import type { Failure, Phase } from './failure.ts'
import { retryAfterMs } from './retry-after.ts'

/** An upstream's error in the few words all of them share, whatever their shape. */
interface Said {
  readonly status: number
  /** Codes and types, lower case, joined: what signals are searched in. */
  readonly words: string
  readonly message: string
  readonly code: string | null
  readonly type: string | null
  readonly param: string | undefined
  readonly promptTokens: number | undefined
  /** It says how long to wait. */
  readonly waits: boolean
}

const MAX_MESSAGE = 2000

interface Row {
  readonly class: FailureClass
  readonly when?: FallbackClass
  readonly code: Code
  readonly label?: ErrorLabel
  readonly fits: (said: Said) => boolean
}

const words = (pattern: RegExp) => (said: Said) => pattern.test(said.words)
const status =
  (...statuses: readonly number[]) =>
  (said: Said) =>
    statuses.includes(said.status)

type Meaning = Omit<Row, 'fits'>

const CONTEXT: Meaning = { class: 'CONTEXT', when: 'ContextLength', code: 'context_length_exceeded' }
const CONTENT: Meaning = { class: 'CONTENT', when: 'ContentFilter', code: 'content_filter' }
const DISABLED: Meaning = { class: 'ENDPOINT_DISABLED', when: 'Unavailable', code: 'upstream_credentials_rejected' }
const BILLING: Meaning = { ...DISABLED, label: 'upstream_billing' }
const CAPACITY: Meaning = { class: 'CAPACITY', when: 'Overloaded', code: 'upstream_overloaded' }
const RATE_LIMIT: Meaning = { class: 'RATE_LIMIT', when: 'RateLimited', code: 'upstream_rate_limited' }
const MODEL_MISSING: Meaning = { class: 'MODEL_MISSING', when: 'Unavailable', code: 'upstream_error' }
const NOT_IMPLEMENTED: Meaning = { class: 'NOT_IMPLEMENTED', when: 'Unavailable', code: 'unsupported_capability' }
const LATE: Meaning = { class: 'RETRY_SAME', when: 'Timeout', code: 'upstream_timeout' }
const SERVER_ERROR: Meaning = { class: 'RETRY_SAME', when: 'ServerError', code: 'upstream_error' }
const BAD_RESPONSE: Meaning = { class: 'BAD_RESPONSE', when: 'ServerError', code: 'upstream_error' }

const CONTEXT_TEXT =
  /(maximum|available|exceeds the) context (length|window|size)|context length is|prompt is too long|too many tokens|longer than the (maximum )?model|input token count .{1,40}exceeds|`inputs`.{1,40}must (be <=|have less than)/i
const MODEL_TEXT =
  /model ['"`]?[^ ]{1,200} ?(not found|does not exist|is not found)|^models\/[^ ]{1,200} is not found|^model: [^ ]|try pulling it first/i

const BILLING_TEXT = /credit balance is too low|reached your (specified )?(api )?(usage|spend) limit/i

/**
 * Signals of engines and providers, most telling first: an error's code says more than its status (a 429 has four meanings).
 * Sources: the providers' API references and the engines' sources; each row has a case in `classify.test.ts`.
 */
const ROWS: readonly Row[] = [
  { ...CONTEXT, fits: words(/context_length_exceeded|exceed_context_size|request_too_large/) },
  { ...CONTEXT, fits: (said) => [400, 422].includes(said.status) && CONTEXT_TEXT.test(said.message) },
  { ...CONTEXT, fits: status(413) },
  { ...CONTENT, fits: words(/content_filter|content_policy|moderation/) },
  // Before the other 403s: an endpoint must not be disabled for what one client wrote.
  { ...CONTENT, fits: (said) => said.status === 403 && /\bflagged\b|moderation/i.test(said.message) },
  { ...BILLING, fits: words(/insufficient_quota|billing|credit_balance|enforced_spend_limit/) },
  // Anthropic says it as a wrong request: of what the account has left, or of the limit that its owner set.
  { ...BILLING, fits: (said) => said.status === 400 && BILLING_TEXT.test(said.message) },
  { ...CAPACITY, fits: words(/overloaded|capacity_exceeded|slow_down/) },
  { ...CAPACITY, fits: (said) => said.status === 429 && /high demand/i.test(said.message) },
  { ...SERVER_ERROR, fits: words(/modelnotready/) },
  { ...MODEL_MISSING, fits: words(/model_not_found|resourcenotfound|deploymentnotfound/) },
  { ...MODEL_MISSING, fits: (said) => [400, 404].includes(said.status) && MODEL_TEXT.test(said.message) },
  // OpenRouter's 402 with a wait is about requests in flight, not about money.
  { ...RATE_LIMIT, fits: (said) => said.status === 402 && said.waits },
  { ...BILLING, fits: status(402) },
  { ...DISABLED, fits: status(401, 403) },
  { ...RATE_LIMIT, fits: status(429) },
  { ...CAPACITY, fits: status(503, 529, 498) },
  { ...NOT_IMPLEMENTED, fits: status(501) },
  { ...NOT_IMPLEMENTED, fits: (said) => said.status === 400 && /^unsupported by (turbomind|pytorch)/i.test(said.message) },
  { ...LATE, fits: status(408, 504) },
  { ...SERVER_ERROR, fits: (said) => [409, 424].includes(said.status) || said.status >= 500 },
  { class: 'CLIENT_FATAL', code: 'invalid_value', fits: (said) => said.status >= 400 },
]

/** Turns an upstream's answer that is no success (or hides an error in one) into a Failure. `body` is its text, at most 64 KiB. */
export function classifyAnswer(statusCode: number, headers: IncomingHttpHeaders, body: string, nowMs: number): Failure {
  const wait = retryAfterMs(headers, body, nowMs)
  const said = { ...read(statusCode, headers, body), waits: wait !== undefined }
  const row = ROWS.find(({ fits }) => fits(said)) ?? BAD_RESPONSE
  const upstream: UpstreamSaid = { status: said.status, code: said.code, type: said.type }
  const passes = row.class === 'CLIENT_FATAL'
  return {
    class: row.class,
    when: row.when,
    code: row.code,
    message: messageFor(row.code, said),
    ...(row.label !== undefined && { label: row.label }),
    ...(passes && { status: said.status }),
    ...(said.param !== undefined && { param: said.param }),
    upstream,
    silent: false,
    ...(said.promptTokens !== undefined && { promptTokens: said.promptTokens }),
    ...(wait !== undefined && { retryAfterMs: wait }),
    cause: `HTTP ${said.status} ${said.code ?? said.type ?? ''} ${said.message.slice(0, 200)}`.trim(),
  }
}

/** What a kind of error would have been as an answer of its own: Anthropic's names, and OpenAI's in a stream of `/v1/responses`. */
const TYPE_STATUS: Readonly<Record<string, number>> = {
  invalid_request_error: 400,
  authentication_error: 401,
  billing_error: 402,
  permission_error: 403,
  not_found_error: 404,
  request_too_large: 413,
  rate_limit_error: 429,
  rate_limit_exceeded: 429,
  timeout_error: 504,
  overloaded_error: 529,
}

/**
 * An error object found inside an answer of status 200, or in an event of its stream. Its own numeric code is the status, else what its
 * type or code means.
 */
export function classifyErrorObject(error: Json, headers: IncomingHttpHeaders, nowMs: number): Failure {
  const inside = [error['code'], error['http_status_code'], error['status']].find(
    (value) => typeof value === 'number' && value >= 400 && value < 600,
  )
  const kind = [error['type'], error['code']].find((value) => typeof value === 'string' && Object.hasOwn(TYPE_STATUS, value))
  const status = typeof inside === 'number' ? inside : (TYPE_STATUS[String(kind)] ?? 500)
  return classifyAnswer(status, headers, JSON.stringify({ error }), nowMs)
}

const bySharedMessage: Partial<Record<Code, string>> = {
  upstream_credentials_rejected:
    "The target refused the operator's credential or account. Whoever runs this endpoint must mend it; your own key is fine.",
  upstream_rate_limited: 'Every eligible target is rate limited. Wait as long as Retry-After says.',
  upstream_overloaded: 'Every eligible target is overloaded or still loading. Wait as long as Retry-After says.',
}

/** The provider's own words where they help the client; ours where they would speak of the operator's account. */
function messageFor(code: Code, said: Said): string {
  const shared = bySharedMessage[code]
  if (shared !== undefined) return shared
  const text = said.message.slice(0, MAX_MESSAGE)
  if (code === 'upstream_error' || code === 'upstream_timeout') return `The target answered ${said.status}${text === '' ? '' : `: ${text}`}`
  return text === '' ? `The target refused the request with status ${said.status}.` : text
}

/** Reads OpenAI's, vLLM's flat, TGI's, FastAPI's, Anthropic's, Google's array and Bedrock's shapes. */
function read(statusCode: number, headers: IncomingHttpHeaders, body: string): Omit<Said, 'waits'> {
  const parsed = parse(body)
  const root = jsonOf(Array.isArray(parsed) ? parsed[0] : parsed)
  const error = jsonOf(root?.['error']) ?? root
  const message = first([error?.['message'], root?.['error'], root?.['detail']]) ?? (root === undefined ? plainText(body) : '')
  const code = first([error?.['code'], jsonOf(error?.['details'])?.['error_code']])
  const type = first([
    error?.['type'],
    root?.['error_type'],
    error?.['status'],
    root?.['object'] === 'error' ? root['type'] : undefined,
    amazonType(headers),
  ])
  return {
    status: statusCode,
    words: [code, type]
      .filter((word) => word !== undefined)
      .join(' ')
      .toLowerCase(),
    message,
    code: code ?? null,
    type: type ?? null,
    param: first([error?.['param']]),
    promptTokens: typeof error?.['n_prompt_tokens'] === 'number' ? error['n_prompt_tokens'] : undefined, // llama.cpp
  }
}

/** Bedrock names the error in the head, at times with a URL behind a colon. */
const amazonType = ({ 'x-amzn-errortype': type }: IncomingHttpHeaders): string | undefined =>
  typeof type === 'string' ? type.split(':')[0] : undefined

const first = (values: readonly unknown[]): string | undefined =>
  values.find((value): value is string => typeof value === 'string' && value !== '')
/** An HTML page or a stack says nothing to a client; a short plain sentence does. */
const plainText = (body: string): string => (body.length > 300 || /[<>]/.test(body) ? '' : body.trim())

function parse(body: string): unknown {
  try {
    return JSON.parse(body)
  } catch {
    return undefined // not JSON: the status alone speaks
  }
}

const REFUSED = new Set(['ECONNREFUSED', 'EHOSTUNREACH', 'ENETUNREACH', 'ENOTFOUND', 'EAI_AGAIN', 'EADDRDENIED'])

/** A foreign error of the connection: refused, reset, TLS, DNS, connect timeout, bytes that are no HTTP. */
export function classifyError(error: Error): Failure {
  const code = 'code' in error && typeof error.code === 'string' ? error.code : error.name
  const cause = `${code}: ${error.message}`.slice(0, 300)
  if (code === 'UND_ERR_CONNECT_TIMEOUT') return deadline('connect', cause)
  if (code.startsWith('HPE_') || code === 'UND_ERR_HEADERS_OVERFLOW') {
    return { ...badResponse('The target answered with bytes that are no HTTP, or with a head that is too large.'), cause }
  }
  const refused = REFUSED.has(code)
  return {
    class: refused ? 'REFUSED' : 'RETRY_SAME',
    when: 'Unavailable',
    code: 'upstream_error',
    message: refused ? 'The target refused the connection.' : 'The connection to the target broke before it answered.',
    label: 'upstream_connect_failed',
    silent: false,
    cause,
  }
}

const PHASE_TEXT: Record<Phase, string> = {
  connect: 'The target did not accept the connection in time (phase: connect).',
  first_token: 'The target did not begin to answer in time (phase: first token).',
  idle: 'The target fell silent in the middle of its answer (phase: idle).',
  total: 'The answer was not complete in time (phase: total).',
}

export function deadline(phase: Phase, cause: string): Failure {
  return {
    class: 'OUR_DEADLINE',
    when: 'Timeout',
    code: 'upstream_timeout',
    message: PHASE_TEXT[phase],
    silent: phase !== 'idle',
    phase,
    cause,
  }
}

/** Bytes that are no answer of this route. */
export function badResponse(message: string): Failure {
  return { class: 'BAD_RESPONSE', when: 'ServerError', code: 'upstream_error', message, silent: false, cause: message }
}
