import type { IncomingHttpHeaders } from 'node:http'
import type { FailureClass } from '../decide/classes.ts'
import type { Decision } from '../decide/decision.ts'
import type { Facts } from '../decide/input.ts'
import type { Dialect, Usage } from '../dialects/dialect.ts'
import type { RequestBody } from '../dialects/request.ts'
import type { ApiError } from '../errors.ts'
import type { Live } from '../live/live.ts'
import type { CompiledTable } from '../routing-table/compiled.ts'
import type { ClientAnswer } from './client-answer.ts'
import type { Pools } from './pools.ts'

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
