import type { IncomingHttpHeaders } from 'node:http'
import type { FailureClass } from '../decide/classes.ts'
import type { Decision } from '../decide/decision.ts'
import type { Facts } from '../decide/input.ts'
import type { Dialect, Usage } from '../dialects/dialect.ts'
import type { RequestBody } from '../dialects/request.ts'
import type { ApiError, ErrorLabel } from '../errors.ts'
import type { Holds } from '../hold/holds.ts'
import type { Live } from '../live/live.ts'
import type { CompiledTable } from '../routing-table/compiled.ts'
import type { Interrupt } from '../routing-table/v1.ts'
import type { ClientAnswer } from './client-answer.ts'
import type { Pools } from './pools.ts'
import type { Method } from './seam.ts'
import type { Upload } from './upload.ts'

export type Sent = Extract<Decision, { kind: 'send' }>

export interface AttemptRecord {
  readonly model: string
  readonly backend: string
  readonly endpoint: string
  readonly durationMs: number
  readonly outcome: 'answered' | 'gone' | 'diverged' | FailureClass
  /** Where the class says too little. */
  readonly label?: ErrorLabel
  /** In the foreign error's own words; for the log only. */
  readonly cause: string | undefined
  /** It went on with an answer that the client had a part of. */
  readonly continuation?: Method
  /** USD; absent = it used nothing, or its price is not known. */
  readonly costUsd?: number
}

export interface Run {
  readonly requestId: string
  readonly facts: Facts
  readonly body: RequestBody
  /** What of the body is not in `body.bytes`, and can be sent once. */
  readonly upload?: Upload | undefined
  readonly clientHeaders: IncomingHttpHeaders
  readonly dialect: Dialect
  /** The one it began with; while it waits for its first attempt, the newest. */
  table: CompiledTable
  readonly newestTable: () => CompiledTable
  readonly live: Live
  readonly pools: Pools
  readonly holds: Holds
  readonly answer: ClientAnswer
  /** The chain's deadline from the request, in ms from its start; Infinity without one. */
  readonly timeoutMs: number
  /** The request's own word on what becomes of a stream that breaks; undefined = its rule's holds. */
  readonly interrupt: Interrupt | undefined
  readonly startMs: number
  readonly now: () => number
  readonly dice: () => number
  /** The head of the status commit. */
  readonly head: (sent: Sent, attempts: number, upstream: IncomingHttpHeaders, stream: boolean) => readonly string[]
  /** Told of each decision to send, before its attempt. */
  readonly onSend: (sent: Sent, attempts: number) => void
  /** Told of each wait in the queue, when it is over. */
  readonly onHeld: (waitedMs: number) => void
}

export type Ending = {
  readonly sent: Sent | undefined
  readonly attempts: readonly AttemptRecord[]
  /** `estimated`: counted by us, as the stream broke or was left before its engine said. */
  readonly usage: (Usage & { readonly estimated?: boolean }) | undefined
  /** From the request's start to the content commit; undefined where there was none. */
  readonly firstTokenMs: number | undefined
  readonly malformed: number
} & (
  | { readonly kind: 'answered' }
  | { readonly kind: 'gone' }
  | { readonly kind: 'failed'; readonly error: ApiError; readonly refused: Extract<Decision, { kind: 'refuse' }> | undefined }
)
