import { type Continuing, type PrefixBody, type ScannedBody, scanContinuable } from '../dialects/continuation.ts'
import type { RequestBody } from '../dialects/request.ts'
import type { Engine } from '../routing-table/v1.ts'
import { Delivered } from './delivered.ts'
import type { Failure } from './failure.ts'
import type { Editor } from './relay.ts'
import type { Run, Sent } from './run.ts'
import { type Method, Seam } from './seam.ts'

/** What one attempt of a request that may go on does differently. */
export interface Part {
  readonly editor: Editor
  /** Undefined: it begins the answer. */
  readonly method: Method | undefined
  readonly prefix: PrefixBody | undefined
  readonly clampOutputTokens: number | undefined
}

/** An interruption as the next decision should see it. */
export interface GoesOn {
  readonly failure: Failure
  /** `replay`: the request has no place for the text so far. */
  readonly by: Method
  /** The same endpoint may be asked at once, in another way. */
  readonly again: boolean
}

/** Undefined: a stream of this request that breaks after its first content ends with an error in it. */
export function continuationFor({ interrupt, dialect, facts, body }: Run, { rule }: Sent): Continuation | undefined {
  if ((interrupt ?? rule.fallback.interrupt) !== 'Continue' || !facts.stream || dialect.continuing === undefined) return undefined
  return new Continuation(dialect.continuing, body)
}

/**
 * One answer that several attempts may write, from its first content on. Knows what the client has, and how another engine goes on from
 * there: given the text so far, where its backend declares `prefixContinuation`; else by a replay from the prompt, whose beginning must
 * be that text.
 */
export class Continuation {
  /** The first interruption: what the client is told when nobody can go on. */
  cause: Failure | undefined
  readonly #continuing: Continuing
  readonly #body: RequestBody
  readonly #delivered: Delivered
  #scanned: ScannedBody | undefined
  /** Endpoints that refused the text so far, whatever is declared. */
  readonly #refused = new Set<string>()
  #method: Method | undefined
  #bytesBefore = 0

  constructor(continuing: Continuing, body: RequestBody) {
    this.#continuing = continuing
    this.#body = body
    this.#delivered = new Delivered(continuing)
  }

  /** How the attempt that was decided on takes part. */
  part({ endpoint, clampOutputTokens }: Sent, engine: Engine): Part {
    if (this.cause === undefined) return { editor: this.#delivered, method: undefined, prefix: undefined, clampOutputTokens }
    const declared = endpoint.backend.capabilities?.includes('prefixContinuation') === true && !this.#refused.has(endpoint.id)
    const prefix = declared ? this.#prefixBody(engine) : undefined
    this.#method = prefix === undefined ? 'replay' : 'prefix'
    this.#bytesBefore = this.#delivered.bytes
    return {
      editor: new Seam(this.#method, this.#continuing, this.#delivered),
      method: this.#method,
      prefix,
      clampOutputTokens: prefix === undefined ? clampOutputTokens : this.#rest(clampOutputTokens),
    }
  }

  /** After an attempt broke off or was refused. Undefined: nobody can go on. */
  after(failure: Failure, endpointId: string): GoesOn | undefined {
    if (this.cause === undefined) {
      this.cause = failure
      this.#scanned = this.#delivered.isClosed ? undefined : scanContinuable(this.#body.bytes)
    }
    if (this.#delivered.isClosed || this.#scanned === undefined) return undefined
    const by = this.#prefixBody('Generic') === undefined ? 'replay' : 'prefix'
    if (!this.#refusedPrefix(failure)) return { failure, by, again: false }
    this.#refused.add(endpointId)
    return { failure: { ...failure, class: 'RETRY_SAME', when: 'ServerError' }, by, again: true }
  }

  /** It will not take an answer that has begun; the same request without it may do. */
  #refusedPrefix(failure: Failure): boolean {
    return this.#method === 'prefix' && failure.class === 'CLIENT_FATAL' && this.#delivered.bytes === this.#bytesBefore
  }

  #prefixBody(engine: Engine): PrefixBody | undefined {
    const { text } = this.#delivered
    return this.#scanned === undefined || text === '' ? undefined : this.#continuing.prefixBody(this.#scanned, text, engine)
  }

  /** What is left of the output limit; a limit that has been reached still needs one token, so that an engine says that it is. */
  #rest(ceiling: number | undefined): number | undefined {
    const limit = Math.min(ceiling ?? Number.POSITIVE_INFINITY, this.#body.maxOutputTokens ?? Number.POSITIVE_INFINITY)
    return Number.isFinite(limit) ? Math.max(1, limit - this.#delivered.tokens) : undefined
  }
}
