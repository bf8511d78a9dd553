import type { IncomingHttpHeaders } from 'node:http'
import { Dispatcher } from 'undici'
import { ROUTES } from '../support/routes.ts'

const speech = ROUTES.chat
const WORDS = 5
const LARGE = 'x'.repeat(40_000)
const EVENTS = { 'content-type': 'text/event-stream' }
const JSON_TYPE = { 'content-type': 'application/json' }

/** What an upstream does next; what does not fit where it stands is the nearest that does. */
export type Move = 'word' | 'large' | 'role' | 'garble' | 'finish' | 'cut' | 'stop' | 'hidden' | '400' | '429' | '500' | '503'
export const MOVES: readonly Move[] = ['word', 'large', 'role', 'garble', 'finish', 'cut', 'stop', 'hidden', '400', '429', '500', '503']

/** The request of one attempt at an upstream of our making. It says nothing but what it is told to say. */
export class Exchange implements Dispatcher.DispatchController {
  /** Of the request that it is an attempt of. */
  readonly requestId: string
  readonly endpoint: string
  readonly stream: boolean
  aborted = false
  paused = false
  reason: Error | null = null
  rawHeaders: null = null
  rawTrailers: null = null
  /** Over, by either side. */
  over = false
  readonly #handler: Dispatcher.DispatchHandler
  /** What the words of its answer begin with. */
  readonly #tag: string
  #begun = false
  #said = 0

  constructor(about: { endpoint: string; requestId: string; stream: boolean; tag: string; handler: Dispatcher.DispatchHandler }) {
    this.endpoint = about.endpoint
    this.requestId = about.requestId
    this.stream = about.stream
    this.#tag = about.tag
    this.#handler = about.handler
    queueMicrotask(() => this.#handler.onRequestStart?.(this, {}))
  }

  pause(): void {
    this.paused = true
  }

  resume(): void {
    this.paused = false
  }

  abort(reason: Error): void {
    if (this.over) return
    this.aborted = true
    this.reason = reason
    this.#break(reason)
  }

  #break(error: Error): void {
    this.over = true
    queueMicrotask(() => this.#handler.onResponseError?.(this, error))
  }

  move(move: Move): void {
    if (this.over || this.paused) return
    if (move === 'cut') return this.#break(Object.assign(new Error('other side closed'), { code: 'UND_ERR_SOCKET' }))
    if (!this.#begun && /^\d/.test(move)) return this.#refuse(Number(move))
    if (!this.#begun && move === 'hidden') return this.#whole(200, JSON_TYPE, '{"error":{"message":"no","type":"server_error","code":500}}')
    if (!this.stream) this.#moveWhole(move)
    else this.#moveStream(move)
  }

  #refuse(status: number): void {
    const headers = status === 429 ? { ...JSON_TYPE, 'retry-after': '1' } : JSON_TYPE
    this.#whole(status, headers, '{"error":{"message":"no","type":"some_error","code":null}}')
  }

  #moveWhole(move: Move): void {
    const body = JSON.stringify(speech.answer(this.#words(0, WORDS)))
    if (move === 'word' || move === 'role') {
      this.#begin(200, JSON_TYPE)
      if (this.#said === 0) this.#say(body.slice(0, 20))
      this.#said = 20
    } else if (move === 'garble' || move === 'stop') this.#whole(200, JSON_TYPE, 'no object')
    else this.#whole(200, JSON_TYPE, body.slice(this.#said))
  }

  #moveStream(move: Move): void {
    this.#begin(200, EVENTS)
    const { begin, words, finish, sentinel } = speech.events(this.#words(this.#said, this.#said + 1))
    if (move === 'role') this.#say(begin.join(''))
    else if (move === 'garble') this.#say('data: {"choices":[{\n\n')
    else if (move === 'hidden') this.#say('data: {"error":{"message":"no","type":"server_error","code":500}}\n\n')
    else if (move === 'stop') this.#end()
    else if (move === 'finish') {
      const rest = this.#words(this.#said, WORDS)
      this.#said = WORDS
      this.#say([...speech.events(rest).words, ...finish, ...sentinel].join(''))
      this.#end()
    } else if (this.#said++ < WORDS) this.#say(move === 'large' ? `: ${LARGE}\n\n${words.join('')}` : words.join(''))
  }

  #words(from: number, to: number): string[] {
    return Array.from({ length: to - from }, (_, at) => `${this.#tag}.${from + at} `)
  }

  #whole(status: number, headers: IncomingHttpHeaders, body: string): void {
    this.#begin(status, headers)
    this.#say(body)
    this.#end()
  }

  #begin(status: number, headers: IncomingHttpHeaders): void {
    if (this.#begun) return
    this.#begun = true
    this.#handler.onResponseStart?.(this, status, headers, '')
  }

  #say(text: string): void {
    if (!this.over) this.#handler.onResponseData?.(this, Buffer.from(text))
  }

  #end(): void {
    if (this.over) return
    this.over = true
    this.#handler.onResponseEnd?.(this, {})
  }
}

export interface Dispatched {
  readonly requestId: string
  readonly stream: boolean
  readonly handler: Dispatcher.DispatchHandler
}

/** Tells of each request, and does nothing. */
export class TellingDispatcher extends Dispatcher {
  readonly #told: (request: Dispatched) => void

  constructor(told: (request: Dispatched) => void) {
    super()
    this.#told = told
  }

  override dispatch(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): boolean {
    const headers = Array.isArray(options.headers) ? options.headers.map(String) : []
    const requestId = headers[headers.findIndex((name) => name.toLowerCase() === 'x-request-id') + 1] ?? ''
    this.#told({ requestId, stream: options.body instanceof Uint8Array && Buffer.from(options.body).includes('"stream":true'), handler })
    return true
  }
}
