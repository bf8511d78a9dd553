import type { FailureClass } from '../decide/classes.ts'
import type { Code, ErrorLabel, UpstreamSaid } from '../errors.ts'
import type { FallbackClass } from '../routing-table/v1.ts'

/** Which deadline passed. */
export type Phase = 'connect' | 'first_token' | 'idle' | 'total'

/** What went wrong with one attempt, caught once and put into our words. */
export interface Failure {
  readonly class: FailureClass
  /** What a policy's `fallback.when` calls it; undefined = never opens a fallback. */
  readonly when: FallbackClass | undefined
  /** What the client is told when nothing else helps. */
  readonly code: Code
  readonly message: string
  /** A 4xx of the upstream that is passed on with its own status. */
  readonly status?: number
  readonly param?: string
  readonly upstream?: UpstreamSaid
  /** It sent nothing in time. */
  readonly silent: boolean
  readonly retryAfterMs?: number
  /** The engine's own count of a prompt that is too long for it. */
  readonly promptTokens?: number
  readonly phase?: Phase
  /** Where the class says too little for metrics and logs. */
  readonly label?: ErrorLabel
  /** For the log: the cause in the foreign error's own words. Never shown to a client. */
  readonly cause: string
}

/** No connection came about, so no engine has had any work of it: another try is no load. */
export const isUnsent = ({ class: failure, phase }: Failure): boolean => failure === 'REFUSED' || phase === 'connect'

/** Why an endpoint is cooling down, as clients may read it: no address, and nothing that a provider says of the operator's account. */
export const shownCause = ({ upstream, message }: Failure): string => (upstream === undefined ? message : `HTTP ${upstream.status}`)

/** What metrics and logs call a class of failure. */
export const CLASS_LABELS: Readonly<Record<FailureClass, ErrorLabel>> = {
  RETRY_SAME: 'upstream_server_error',
  REFUSED: 'upstream_connect_failed',
  CAPACITY: 'upstream_overloaded',
  RATE_LIMIT: 'upstream_rate_limited',
  ENDPOINT_DISABLED: 'upstream_credentials_rejected',
  MODEL_MISSING: 'upstream_model_missing',
  CONTEXT: 'caller_context_too_long',
  CONTENT: 'upstream_content_filtered',
  CLIENT_FATAL: 'caller_invalid_request',
  NOT_IMPLEMENTED: 'upstream_not_implemented',
  OUR_DEADLINE: 'upstream_total_timeout',
  BAD_RESPONSE: 'upstream_bad_response',
}

const PHASE_LABELS: Readonly<Record<Phase, ErrorLabel>> = {
  connect: 'upstream_connect_timeout',
  first_token: 'upstream_first_token_timeout',
  idle: 'upstream_idle_timeout',
  total: 'upstream_total_timeout',
}

/** The one word of metrics and logs for this failure. */
export const failureLabel = (failure: Failure): ErrorLabel =>
  failure.label ?? (failure.phase === undefined ? CLASS_LABELS[failure.class] : PHASE_LABELS[failure.phase])
