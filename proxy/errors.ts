/**
 * The error table: every way a request can end other than well. PURE.
 *
 * One row a code. Codes never change meaning; clients match on `code`, never on the message. `docs/errors.md` is compared with this
 * table by a test. Only `serve/` turns a row into an HTTP answer; nobody else writes a status.
 * A message says what to do next and holds no key, prompt, internal address or stack.
 */

type ErrorType =
  | 'invalid_request_error'
  | 'authentication_error'
  | 'permission_error'
  | 'rate_limit_error'
  | 'overloaded_error'
  | 'server_error'

export interface ErrorRow {
  status: number
  type: ErrorType
  /** Whether the same request may succeed later: becomes `x-should-retry` while no fallback has been spent. */
  retryable: boolean
  /** Its label in metrics and logs, where the error itself has no nearer one. */
  errorType: ErrorLabel
  meaning: string
}

/** The closed vocabulary of metrics and logs, by the owner of the fault. `docs/errors.md` has a row for each. */
export const ERROR_LABELS = [
  'caller_invalid_request',
  'caller_payload_too_large',
  'caller_unauthenticated',
  'caller_forbidden_model',
  'caller_unknown_model',
  'caller_unsupported_capability',
  'caller_context_too_long',
  'caller_disconnected',
  'policy_rate_limited',
  'policy_quota_exhausted',
  'policy_concurrency_limited',
  'policy_queue_timeout',
  'policy_rejected_by_rule',
  'upstream_connect_failed',
  'upstream_connect_timeout',
  'upstream_first_token_timeout',
  'upstream_idle_timeout',
  'upstream_total_timeout',
  'upstream_rate_limited',
  'upstream_overloaded',
  'upstream_server_error',
  'upstream_bad_response',
  'upstream_stream_interrupted',
  'upstream_credentials_rejected',
  'upstream_billing',
  'upstream_model_missing',
  'upstream_content_filtered',
  'upstream_not_implemented',
  'proxy_no_target',
  'proxy_model_loading',
  'proxy_activation_failed',
  'proxy_overloaded',
  'proxy_shutting_down',
  'proxy_internal',
  'proxy_other',
] as const
export type ErrorLabel = (typeof ERROR_LABELS)[number]

const row = (status: number, type: ErrorType, retryable: boolean, errorType: ErrorLabel, meaning: string): ErrorRow => ({
  status,
  type,
  retryable,
  errorType,
  meaning,
})

export const ERRORS = {
  invalid_json: row(400, 'invalid_request_error', false, 'caller_invalid_request', 'The body is not JSON, or not a JSON object.'),
  invalid_value: row(
    400,
    'invalid_request_error',
    false,
    'caller_invalid_request',
    'A field is missing, doubled, of the wrong type or out of range; `param` names it.',
  ),
  not_found: row(404, 'invalid_request_error', false, 'caller_invalid_request', 'No route has this path.'),
  method_not_allowed: row(
    405,
    'invalid_request_error',
    false,
    'caller_invalid_request',
    'The path exists with another method; `Allow` names it.',
  ),
  unsupported_media_type: row(
    415,
    'invalid_request_error',
    false,
    'caller_invalid_request',
    'The body must be JSON or, on some routes, a form, and without content encoding.',
  ),
  request_timeout: row(408, 'invalid_request_error', false, 'caller_invalid_request', 'The request was not sent in time.'),
  headers_too_large: row(
    431,
    'invalid_request_error',
    false,
    'caller_invalid_request',
    'The request head is larger than 64 KiB or has too many fields.',
  ),
  payload_too_large: row(
    413,
    'invalid_request_error',
    false,
    'caller_payload_too_large',
    'The body is larger than the limit that the message names.',
  ),
  invalid_api_key: row(401, 'authentication_error', false, 'caller_unauthenticated', 'The key is missing, unknown or expired.'),
  cost_ceiling_exceeded: row(
    400,
    'invalid_request_error',
    false,
    'policy_rejected_by_rule',
    'Every target would cost more than the policy allows; the message has the ceiling and the cheapest.',
  ),
  model_not_found: row(
    404,
    'invalid_request_error',
    false,
    'caller_unknown_model',
    'No model or virtual model of this name is visible to the client, or no rule of it matches.',
  ),
  unsupported_capability: row(
    400,
    'invalid_request_error',
    false,
    'caller_unsupported_capability',
    'No target can do what the request needs; the message names it.',
  ),
  context_length_exceeded: row(
    400,
    'invalid_request_error',
    false,
    'caller_context_too_long',
    'The prompt is larger than every eligible context window.',
  ),
  content_filter: row(
    400,
    'invalid_request_error',
    false,
    'upstream_content_filtered',
    "The provider's content filter refused; the message is the provider's.",
  ),
  no_available_target: row(503, 'server_error', true, 'proxy_no_target', 'No endpoint exists for the model, or none is ready.'),
  no_routing_table: row(
    503,
    'server_error',
    true,
    'proxy_no_target',
    'This proxy has just started and has no routing table yet; its readiness says why.',
  ),
  overloaded: row(503, 'overloaded_error', true, 'proxy_overloaded', 'The proxy itself sheds load: too many requests or bytes are held.'),
  shutting_down: row(503, 'server_error', true, 'proxy_shutting_down', 'This proxy is draining; another one will answer.'),
  rate_limit_exceeded: row(
    429,
    'rate_limit_error',
    true,
    'policy_rate_limited',
    'A limit of this installation, on requests or tokens a minute, has no room; `x-ratelimit-*` and `Retry-After` say when it has.',
  ),
  insufficient_quota: row(
    429,
    'rate_limit_error',
    true,
    'policy_quota_exhausted',
    'The tokens or the money of the day are spent; `Retry-After` says when the next day (UTC) begins.',
  ),
  concurrency_limit: row(
    429,
    'rate_limit_error',
    true,
    'policy_concurrency_limited',
    'As many requests as allowed are running, and the queue is full or has none.',
  ),
  queue_timeout: row(
    503,
    'server_error',
    true,
    'policy_queue_timeout',
    'The request waited in the queue as long as it may, and no endpoint became free.',
  ),
  upstream_rate_limited: row(429, 'rate_limit_error', true, 'upstream_rate_limited', 'Every eligible target answered 429.'),
  upstream_overloaded: row(503, 'overloaded_error', true, 'upstream_overloaded', 'Every eligible target is overloaded or still loading.'),
  upstream_error: row(
    502,
    'server_error',
    true,
    'upstream_server_error',
    'The target failed: reset, 5xx, a missing model or bytes that are no answer.',
  ),
  upstream_credentials_rejected: row(
    502,
    'server_error',
    false,
    'upstream_credentials_rejected',
    "The target refused the operator's credential or account. Not the client's key.",
  ),
  upstream_timeout: row(
    504,
    'server_error',
    true,
    'upstream_total_timeout',
    'A deadline passed; the message names the phase (connect, first token, idle, total).',
  ),
  upstream_stream_interrupted: row(
    502,
    'server_error',
    true,
    'upstream_stream_interrupted',
    'The stream broke after content had been sent: an in-band error, never followed by [DONE].',
  ),
  client_disconnected: row(499, 'invalid_request_error', false, 'caller_disconnected', 'The client left. Only in logs and metrics.'),
  internal: row(500, 'server_error', false, 'proxy_internal', 'A bug of ours; the log has the stack under the request id.'),
} satisfies Record<string, ErrorRow>

export type Code = keyof typeof ERRORS

/** What an upstream said, as far as a client may know it. */
export interface UpstreamSaid {
  status: number | null
  code: string | null
  type: string | null
}

/** One failed request, ready to be put into an envelope. */
export interface ApiError {
  code: Code
  message: string
  /** Overrides the row's status (a 4xx of the upstream that is passed on). */
  status?: number
  param?: string
  retryAfterMs?: number
  /** False once retries and fallbacks have been spent, so that SDKs do not multiply them. */
  shouldRetry?: boolean
  upstream?: UpstreamSaid
  /** Nearer to the cause than the code's own label: the phase of a deadline, a bill unpaid. */
  label?: ErrorLabel
}

export const statusOf = (error: ApiError): number => error.status ?? ERRORS[error.code].status

const ROWS: Readonly<Record<string, ErrorRow | undefined>> = ERRORS

/** The one word of metrics and logs for this error. `proxy_other` is what has no label, and stays 0. */
export const labelOf = ({ label, code }: ApiError): ErrorLabel => label ?? ROWS[code]?.errorType ?? 'proxy_other'

/** How an error is dressed: `openai` for every route (of `/v1/responses` too), `anthropic` under `/v1/messages`. */
export type Skin = 'openai' | 'anthropic'

export const skinOf = (path: string): Skin => (/^\/v1\/messages(?:[/?]|$)/.test(path) ? 'anthropic' : 'openai')

/** The status that this skin has for the error: Anthropic says 529 where others say 503. */
export function statusIn(skin: Skin, error: ApiError): number {
  const status = statusOf(error)
  return skin === 'anthropic' && status === 503 ? 529 : status
}

/** The error as UTF-8 JSON text. */
export const envelopeIn = (skin: Skin, error: ApiError, requestId: string): string =>
  skin === 'anthropic' ? anthropicEnvelope(error, requestId) : errorEnvelope(error)

/** OpenAI's error envelope: `{"error":{message,type,param,code,upstream?}}`. */
export function errorEnvelope(error: ApiError): string {
  const { type } = ERRORS[error.code]
  const body = {
    message: error.message,
    type,
    param: error.param ?? null,
    code: error.code,
    ...(error.upstream && { upstream: error.upstream }),
  }
  return JSON.stringify({ error: body })
}

/** Anthropic's names of kinds of errors, by status. */
const ANTHROPIC_TYPES: Readonly<Record<number, string>> = {
  401: 'authentication_error',
  402: 'billing_error',
  403: 'permission_error',
  404: 'not_found_error',
  413: 'request_too_large',
  429: 'rate_limit_error',
  504: 'timeout_error',
  529: 'overloaded_error',
}

/** `{"type":"error","error":{type,message,details},"request_id"}`; our code is `error.details.error_code`, where Anthropic has its own. */
export function anthropicEnvelope(error: ApiError, requestId: string): string {
  const status = statusIn('anthropic', error)
  const type = ANTHROPIC_TYPES[status] ?? (status < 500 ? 'invalid_request_error' : 'api_error')
  const body = { type, message: error.message, details: { error_code: error.code } }
  return JSON.stringify({ type: 'error', error: body, request_id: requestId })
}
