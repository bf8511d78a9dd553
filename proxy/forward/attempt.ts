/**
 * One attempt of one request at one endpoint: connect, send, read the answer, pass it on, cancel. In: a dispatcher, the bytes to send, the
 * client's answer. Out: one AttemptOutcome. It never retries, never decides and never writes an error to the client: its caller does.
 */
import type { IncomingHttpHeaders } from 'node:http'
import { Readable } from 'node:stream'
import type { Dispatcher } from 'undici'
import type { Dialect, Usage } from '../dialects/dialect.ts'
import type { Json } from '../dialects/json.ts'
import { badResponse, classifyAnswer, classifyError, classifyErrorObject, deadline } from './classify.ts'
import type { ClientAnswer } from './client-answer.ts'
import { type Decoder, decoderFor } from './decoding.ts'
import type { Failure, Phase } from './failure.ts'
import { type Editor, type Pushed, Relay } from './relay.ts'
import { brokeAmong, connectionsMade } from './stale.ts'
import { readWhole } from './whole.ts'

/** A non-stream answer is held until complete up to here; beyond it commits and streams. */
const MAX_WHOLE_BYTES = 8 * 1024 * 1024
const MAX_ERROR_BYTES = 64 * 1024
/** How long an upstream may keep a finished stream open. */
const AFTER_FINISH_MS = 3000
/** How often a deadline is asked again while the engine says that the request waits in its queue. */
const QUEUED_CHECK_MS = 1000
/** The least that an adaptive deadline waits for a first token. */
const SILENT_MS = 5000

export interface Deadlines {
  /** Until the first meaningful delta of a stream. */
  readonly firstTokenMs: number
  /** Between upstream bytes of a stream. */
  readonly idleMs: number
  /** Until a non-stream answer is complete. */
  readonly wholeMs: number
  /** What the chain has left; Infinity without a deadline. */
  readonly totalMs: number
}

export interface AttemptRequest {
  readonly dispatcher: Dispatcher
  readonly path: string
  /** Raw list, name after name. */
  readonly headers: string[]
  /** Absent = POST. */
  readonly method?: Dispatcher.HttpMethod
  /** Null = none. */
  readonly body: Uint8Array | Readable | null
  readonly stream: boolean
  readonly usageAsked: boolean
  readonly dialect: Dialect
  readonly answer: ClientAnswer
  readonly deadlines: Deadlines
  /** The head of the status commit for this upstream content type. */
  readonly head: (upstream: IncomingHttpHeaders, stream: boolean) => readonly string[]
  /** Of the events of a stream; undefined = they pass as they are. */
  readonly editor?: Editor | undefined
  /** Told of the head of each final answer, whatever its status, before anything of it is used. */
  readonly onHead: (headers: IncomingHttpHeaders) => void
  /** The engine says, freshly, that requests wait in its queue: silence is then no fault. */
  readonly isQueued: () => boolean
  readonly now: () => number
}

export type AttemptOutcome = {
  readonly usage: Usage | undefined
  /** What the engine counted, where that differs: it went on with what another had begun. */
  readonly billed?: Usage | undefined
  /** Until the first meaningful event, or the whole answer. */
  readonly firstTokenMs: number | undefined
  readonly events: number
  readonly malformed: number
} & (
  | { readonly kind: 'answered' }
  | { readonly kind: 'failed'; readonly failure: Failure }
  | { readonly kind: 'interrupted'; readonly failure: Failure }
  /** It answered well, but not so that it could follow what the client has. */
  | { readonly kind: 'diverged' }
  | { readonly kind: 'gone' }
)

export function runAttempt(request: AttemptRequest): Promise<AttemptOutcome> {
  return new Promise((resolve) => {
    const attempt = new Attempt(request, resolve)
    attempt.start()
  })
}

/** `bytes`: passes as it comes, and nothing has come yet. */
type Mode = 'waiting' | 'events' | 'whole' | 'error' | 'bytes' | 'passing'

class Attempt implements Dispatcher.DispatchHandler {
  readonly #request: AttemptRequest
  readonly #resolve: (outcome: AttemptOutcome) => void
  readonly #startMs: number
  #controller: Dispatcher.DispatchController | undefined
  #settled = false
  /** The upstream has nothing more to say; until then its connection is not free for the next request. */
  #ended = false
  #mode: Mode = 'waiting'
  #status = 0
  #headers: IncomingHttpHeaders = {}
  #relay: Relay | undefined
  #decoder: Decoder | undefined
  #chunks: Buffer[] = []
  #size = 0
  #timer: NodeJS.Timeout | undefined
  #total: NodeJS.Timeout | undefined
  #phase: Phase
  #firstTokenMs: number | undefined
  #finishing = false
  /** Connections made before it began; undefined = a kept one has broken already, or the body cannot be sent twice. */
  #keptUpTo: number | undefined

  constructor(request: AttemptRequest, resolve: (outcome: AttemptOutcome) => void) {
    this.#request = request
    this.#resolve = resolve
    this.#startMs = request.now()
    this.#phase = request.stream ? 'first_token' : 'total'
    this.#keptUpTo = request.body instanceof Readable ? undefined : connectionsMade()
  }

  start(): void {
    const { stream, deadlines, answer } = this.#request
    this.#arm(stream ? deadlines.firstTokenMs : deadlines.wholeMs)
    if (Number.isFinite(deadlines.totalMs)) this.#total = setTimeout(() => this.#late('total'), deadlines.totalMs)
    answer.onGone(() => this.#settle({ kind: 'gone' }))
    if (!this.#settled) this.#dispatch()
  }

  #dispatch(): void {
    const { dispatcher, path, headers, method = 'POST', body } = this.#request
    dispatcher.dispatch({ path, method, headers, body, headersTimeout: 0, bodyTimeout: 0 }, this)
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller
    if (this.#settled) controller.abort(new Error('settled before the request was sent'))
  }

  onResponseStart(controller: Dispatcher.DispatchController, status: number, headers: IncomingHttpHeaders): void {
    if (status < 200 || this.#settled) return
    this.#controller = controller
    this.#status = status
    this.#headers = headers
    this.#request.onHead(headers)
    this.#mode = this.#modeOf(status, headers)
    if (this.#mode === 'events') this.#openRelay()
    this.#openDecoder(headers['content-encoding'])
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#settled) return
    if (this.#decoder === undefined) this.#take(chunk)
    else if (!this.#decoder.push(chunk)) controller.pause()
  }

  onResponseEnd(): void {
    this.#ended = true
    if (this.#settled) return clearTimeout(this.#timer)
    if (this.#decoder === undefined) this.#finish()
    else this.#decoder.end()
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    if (!this.#settled && this.#status === 0 && this.#wasStale(error)) return this.#dispatch()
    this.#ended = true
    if (this.#settled) return clearTimeout(this.#timer)
    const failure = classifyError(error)
    if (this.#relay?.finished === true) this.#finish()
    else
      this.#fail(
        this.#status === 0
          ? failure
          : { ...failure, label: 'upstream_bad_response', message: 'The target broke off in the middle of its answer.' },
      )
  }

  /** Once: a connection kept from before broke as the request came, which says nothing of the endpoint. */
  #wasStale(error: Error): boolean {
    const wasStale = this.#keptUpTo !== undefined && brokeAmong(error, this.#keptUpTo)
    this.#keptUpTo = undefined
    return wasStale
  }

  #modeOf(status: number, { 'content-type': type }: IncomingHttpHeaders): Mode {
    if (status >= 300) return 'error'
    if (this.#request.stream && String(type).toLowerCase().startsWith('text/event-stream')) return 'events'
    return this.#request.dialect.passes?.(type ?? '') === true ? 'bytes' : 'whole'
  }

  #openRelay(): void {
    const { dialect, answer, usageAsked, head, editor } = this.#request
    this.#relay = new Relay({
      dialect,
      answer,
      usageAsked,
      editor,
      onCommit: () => {
        this.#firstTokenMs = this.#request.now() - this.#startMs
        this.#phase = 'idle'
        this.#arm(this.#request.deadlines.idleMs)
        answer.begin(200, head(this.#headers, true))
      },
    })
    answer.onDrain(() => this.#controller?.resume())
  }

  #openDecoder(coding: string | undefined): void {
    if (coding === undefined || coding === '' || coding === 'identity') return
    this.#decoder = decoderFor(coding, {
      onData: (chunk) => !this.#settled && this.#take(chunk),
      onDrain: () => this.#controller?.resume(),
      onEnd: (error) => {
        if (this.#settled) return
        if (error === undefined) this.#finish()
        else this.#fail(badResponse('The target sent an answer whose encoding is broken.'))
      },
    })
    if (this.#decoder === undefined) this.#fail(badResponse('The target sent an answer in an encoding that nobody asked for.'))
  }

  #take(chunk: Buffer): void {
    switch (this.#mode) {
      case 'events':
        if (this.#phase === 'idle' && !this.#finishing) this.#timer?.refresh()
        this.#afterPush(this.#relay?.push(chunk))
        return
      case 'passing':
        this.#timer?.refresh()
        if (!this.#request.answer.write(chunk)) this.#controller?.pause()
        return
      case 'bytes':
        this.#firstTokenMs = this.#request.now() - this.#startMs
        this.#chunks.push(chunk)
        this.#passOn()
        return
      case 'whole':
        this.#hold(chunk, MAX_WHOLE_BYTES)
        if (this.#size > MAX_WHOLE_BYTES) this.#passOn()
        return
      case 'error':
        this.#hold(chunk, MAX_ERROR_BYTES)
        if (this.#size > MAX_ERROR_BYTES) this.#finish()
        return
      case 'waiting':
    }
  }

  #hold(chunk: Buffer, maxBytes: number): void {
    if (this.#size <= maxBytes) this.#chunks.push(chunk)
    this.#size += chunk.length
  }

  #afterPush(pushed: Pushed | undefined): void {
    switch (pushed?.kind) {
      case 'full':
        this.#controller?.pause()
        break
      case 'done':
        this.#finish()
        return
      case 'error':
        this.#fail(classifyErrorObject(pushed.error, this.#headers, this.#request.now()))
        return
      case 'diverged':
        this.#settle({ kind: 'diverged' })
        return
      case 'overflow':
        this.#fail(badResponse('The target sent an event larger than 1 MiB.'))
        return
      case 'on':
      case undefined:
    }
    this.#followFinish(this.#relay?.finished === true)
  }

  /** A finished stream may stay open only for a little; one that another choice has opened again goes on. */
  #followFinish(finished: boolean): void {
    if (finished === this.#finishing) return
    this.#finishing = finished
    if (!finished) return this.#arm(this.#request.deadlines.idleMs)
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => this.#finish(), AFTER_FINISH_MS)
  }

  /** The upstream's bytes are over (or no more are wanted): is this an answer? */
  #finish(): void {
    if (this.#mode === 'events') this.#finishEvents()
    else if (this.#mode === 'whole') this.#finishWhole()
    else if (this.#mode === 'bytes') this.#finishEmpty()
    else if (this.#mode === 'error') this.#fail(this.#classifyError())
    else if (this.#mode === 'passing') {
      this.#request.answer.end()
      this.#settle({ kind: 'answered' })
    }
  }

  #finishEvents(): void {
    const relay = this.#relay
    const last = relay?.close()
    if (last?.kind === 'error') this.#fail(classifyErrorObject(last.error, this.#headers, this.#request.now()))
    else if (last?.kind === 'diverged') this.#settle({ kind: 'diverged' })
    else if (relay?.finished === true) {
      this.#request.answer.end()
      this.#settle({ kind: 'answered' })
    } else this.#fail(badResponse('The target ended its stream before the answer was finished.'))
  }

  /** It succeeded and has nothing to say. */
  #finishEmpty(): void {
    if (this.#request.answer.statusCommitted) return this.#fail(badResponse('The target answered nothing where a stream had begun.'))
    this.#request.answer.sendWhole(this.#status, this.#request.head(this.#headers, false), '')
    this.#settle({ kind: 'answered' })
  }

  #finishWhole(): void {
    const body = Buffer.concat(this.#chunks)
    const whole = readWhole(body, this.#request.dialect)
    if (whole.kind === 'error') this.#fail(this.#classifyInside(whole.error))
    else if (whole.kind === 'not an answer') this.#fail(badResponse('The target answered with something that is no JSON object.'))
    else if (this.#request.answer.statusCommitted) this.#fail(badResponse('The target answered whole where a stream had begun.'))
    else {
      this.#firstTokenMs = this.#request.now() - this.#startMs
      this.#usage = whole.usage
      this.#request.answer.sendWhole(
        this.#status,
        [...this.#request.head(this.#headers, false), 'content-length', String(body.length)],
        body,
      )
      this.#settle({ kind: 'answered' })
    }
  }

  #usage: Usage | undefined

  #classifyInside(error: Json): Failure {
    return classifyErrorObject(error, this.#headers, this.#request.now())
  }

  #classifyError(): Failure {
    const text = Buffer.concat(this.#chunks).toString()
    return classifyAnswer(this.#status, this.#headers, text, this.#request.now())
  }

  /** Too large to hold: commits, passes on what came and streams the rest. */
  #passOn(): void {
    const { answer, head, deadlines } = this.#request
    if (answer.statusCommitted) return this.#fail(badResponse('The target answered whole where a stream had begun.'))
    answer.begin(this.#status, head(this.#headers, false))
    answer.onDrain(() => this.#controller?.resume())
    this.#mode = 'passing'
    this.#phase = 'idle'
    this.#arm(deadlines.idleMs)
    if (!answer.write(Buffer.concat(this.#chunks))) this.#controller?.pause()
    this.#chunks = []
  }

  #arm(ms: number): void {
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => this.#expired(), ms)
  }

  /** A paused upstream is waiting for the client, not silent; a queued request is waiting for a slot. */
  #expired(): void {
    if (this.#controller?.paused === true || (this.#phase !== 'idle' && this.#request.isQueued())) this.#arm(QUEUED_CHECK_MS)
    else this.#late(this.#phase)
  }

  #late(phase: Phase): void {
    this.#fail(deadline(phase, `no progress within the ${phase} deadline`))
  }

  #fail(failure: Failure): void {
    const silent = failure.silent || this.#keptSilent()
    this.#settle({ kind: this.#request.answer.contentCommitted ? 'interrupted' : 'failed', failure: { ...failure, silent } })
  }

  /** An end that comes late and before anything of an answer is as good as none: the same target would take as long again. */
  #keptSilent(): boolean {
    const saidNothing = this.#mode !== 'error' && this.#firstTokenMs === undefined && this.#size === 0
    return saidNothing && this.#request.now() - this.#startMs >= SILENT_MS
  }

  #settle(end: { kind: 'answered' | 'gone' | 'diverged' } | { kind: 'failed' | 'interrupted'; failure: Failure }): void {
    if (this.#settled) return
    this.#settled = true
    clearTimeout(this.#timer)
    clearTimeout(this.#total)
    this.#request.answer.onGone(undefined)
    this.#decoder?.destroy()
    if (end.kind !== 'answered') this.#controller?.abort(new Error(end.kind))
    else if (!this.#ended) this.#timer = setTimeout(() => this.#controller?.abort(new Error('left open')), AFTER_FINISH_MS)
    const { events = 0, malformed = 0, usage = this.#usage, billed } = this.#relay ?? {}
    this.#resolve({ ...end, usage, billed, events, malformed, firstTokenMs: this.#firstTokenMs })
  }
}
