import type { FailureClass } from '../decide/classes.ts'
import type { Code, UpstreamSaid } from '../errors.ts'
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
  readonly phase?: Phase
  /** For the log: the cause in the foreign error's own words. Never shown to a client. */
  readonly cause: string
}

/** Why an endpoint is cooling down, as clients may read it: no address, and nothing that a provider says of the operator's account. */
export const shownCause = ({ upstream, message }: Failure): string => (upstream === undefined ? message : `HTTP ${upstream.status}`)
