import type { ServerResponse } from 'node:http'

const KEEP_ALIVE_MS = 15_000
const KEEP_ALIVE = ': keep-alive\n\n'
/** Copying more than this into a string costs more than the second piece of the write. */
const MAX_ONE_WRITE_BYTES = 16 * 1024
const CRLF = Buffer.from('\r\n')
const LAST_CHUNK = Buffer.from('0\r\n\r\n')

/**
 * The one answer of one request, and the two commits. Owner of the response: nobody else writes to it. Every byte goes out at most once,
 * a head exactly once; after the client has left all calls are harmless.
 */
export class ClientAnswer {
  readonly #response: ServerResponse
  readonly #keepAliveMs: number
  #keepAlive: NodeJS.Timeout | undefined
  #status = 0
  #bytes = 0
  #content = false
  #isEventStream = false
  /** We write chunk heads ourselves; see `begin`. */
  #framed = false
  #remark = ''
  #gone = false
  #onGone: (() => void) | undefined
  #onDrain: (() => void) | undefined

  constructor(response: ServerResponse, keepAliveMs: number = KEEP_ALIVE_MS) {
    this.#response = response
    this.#keepAliveMs = keepAliveMs
    response.on('close', () => {
      clearTimeout(this.#keepAlive)
      if (response.writableFinished) return
      this.#gone = true
      this.#onGone?.()
    })
  }

  /** The client left before the answer was complete. */
  get gone(): boolean {
    return this.#gone
  }

  /** 0 until the status commit. */
  get status(): number {
    return this.#status
  }

  get statusCommitted(): boolean {
    return this.#status !== 0
  }

  get contentCommitted(): boolean {
    return this.#content
  }

  /** Committed as a stream of events: an error can still be told in it. */
  get isEventStream(): boolean {
    return this.#isEventStream
  }

  get bytesSent(): number {
    return this.#bytes
  }

  /** Replaces the listener: at most one wait or attempt is interested at a time. Called at once if the client has left already. */
  onGone(listener: (() => void) | undefined): void {
    this.#onGone = listener
    if (this.#gone) listener?.()
  }

  /** Says `text`, an SSE comment, after each 15 s without a byte; the first one is the status commit with the head that `head` gives then. */
  keepAlive(head: () => readonly string[], text: string = KEEP_ALIVE): void {
    const bytes = Buffer.from(text)
    this.#keepAlive = setTimeout(() => {
      if (this.#gone || this.#response.writableEnded) return
      if (!this.statusCommitted) this.begin(200, head())
      if (!this.#response.writableNeedDrain) this.#response.write(this.#frame(bytes))
      this.#keepAlive?.refresh()
    }, this.#keepAliveMs)
    this.#keepAlive.unref()
  }

  /**
   * Status commit. `head`: raw header list, name after name. A second call changes nothing.
   * A streamed body is framed here (RFC 9112 §7.1): node:http writes size, line end, data and line end as four pieces, which costs more
   * than all else we do for an event. HTTP/1.0 knows no chunks; there the end of the connection is the end of the body.
   */
  begin(status: number, head: readonly string[]): void {
    if (this.statusCommitted || this.#gone) return
    this.#status = status
    this.#isEventStream = String(head[head.indexOf('content-type') + 1]).startsWith('text/event-stream')
    this.#framed = this.#response.req.httpVersion === '1.1'
    this.#response.writeHead(status, this.#framed ? [...head, 'transfer-encoding', 'chunked'] : [...head])
    if (this.#framed) this.#response.chunkedEncoding = false
  }

  /** Content commit, if it was not yet. False: wait for `onDrain` before the next write. */
  write(bytes: Uint8Array): boolean {
    if (this.#gone || this.#response.writableEnded || bytes.length === 0) return true
    this.#content = true
    this.#bytes += bytes.length
    this.#keepAlive?.refresh()
    return this.#response.write(this.#frame(bytes))
  }

  /** One chunk, or the bytes as they are where nothing is framed. Never called with no bytes: an empty chunk ends the body. */
  #frame(bytes: Uint8Array): Uint8Array {
    if (!this.#framed) return bytes
    const size = bytes.length.toString(16)
    const framed = Buffer.allocUnsafe(size.length + bytes.length + 4)
    framed.write(size, 'latin1')
    framed.set(CRLF, size.length)
    framed.set(bytes, size.length + 2)
    framed.set(CRLF, framed.length - 2)
    return framed
  }

  onDrain(listener: () => void): void {
    if (this.#onDrain === undefined) this.#response.on('drain', () => this.#onDrain?.())
    this.#onDrain = listener
  }

  /** An SSE comment to end a stream with: what its head, sent already, could not say. The last one holds. */
  remark(text: string): void {
    this.#remark = `: ${text}\n\n`
  }

  /** Ends a stream, with a last event if given. */
  end(last = ''): void {
    clearTimeout(this.#keepAlive)
    if (this.#gone || this.#response.writableEnded) return
    const bytes = Buffer.from(this.#isEventStream ? last + this.#remark : last)
    this.#bytes += bytes.length
    const rest = bytes.length === 0 ? bytes : this.#frame(bytes)
    this.#response.end(this.#framed ? Buffer.concat([rest, LAST_CHUNK]) : rest)
  }

  /** Status commit, body and end in one. */
  sendWhole(status: number, head: readonly string[], body: Uint8Array | string): void {
    clearTimeout(this.#keepAlive)
    if (this.statusCommitted || this.#gone) return
    this.#status = status
    this.#content = true
    this.#bytes = body.length
    this.#response.writeHead(status, [...head])
    // As one string head and body leave in one write; latin1 keeps every byte as it is.
    if (typeof body === 'string' || body.length > MAX_ONE_WRITE_BYTES) this.#response.end(body)
    else this.#response.end(Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString('latin1'), 'latin1')
  }

  /** Breaks the connection: a body that cannot be completed must not look complete. */
  destroy(): void {
    clearTimeout(this.#keepAlive)
    this.#response.destroy()
  }
}
