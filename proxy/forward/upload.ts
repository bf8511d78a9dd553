import { Readable } from 'node:stream'
import type { ApiError } from '../errors.ts'

export interface UploadOptions {
  /** What of the form has not been read yet comes from here; it is never destroyed. */
  readonly source: Readable
  /** Sees every chunk before it is passed on; an error ends the upload. */
  readonly check: (chunk: Buffer) => ApiError | undefined
  /** Sees the end. */
  readonly checkEnd: () => ApiError | undefined
  /** Between two chunks of the client. */
  readonly idleMs: number
}

/**
 * The rest of an upload that is too large to be kept: it passes through, once. What is kept goes before it, so that until `begun` a failed
 * attempt can be followed by another one; after that there is only this one. Holds one chunk at a time. Owner: the request, which closes it.
 */
export class Upload {
  /** Something of the rest has been taken: it cannot be sent again. */
  begun = false
  /** Why the client's form could not be passed on to its end. */
  error: ApiError | undefined
  #flows = false
  #body: Readable | undefined
  readonly #options: UploadOptions

  constructor(options: UploadOptions) {
    this.#options = options
  }

  /** The client is still sending: an upstream that is silent so far is none to blame. */
  get flows(): boolean {
    return this.#flows
  }

  /** The body of an attempt: `kept`, then the rest. Whoever reads it may destroy it at any time; the source stays. The one before ends. */
  after(kept: Uint8Array): Readable {
    this.close()
    const { source, idleMs } = this.#options
    const timer = setTimeout(() => this.#stop(body, slow(idleMs)), idleMs)
    const onData = (chunk: Buffer): void => {
      timer.refresh()
      const error = this.#options.check(chunk)
      if (error !== undefined) this.#stop(body, error)
      else if (!body.push(chunk)) source.pause()
    }
    const onEnd = (): void => {
      const error = this.#options.checkEnd()
      if (error === undefined) body.push(null)
      else this.#stop(body, error)
    }
    let keptIsSent = false
    const read = (): void => {
      if (keptIsSent) this.#take(source, onData, onEnd)
      else body.push(kept)
      keptIsSent = true
    }
    const body = new Readable({ read })
    body.on('close', () => {
      clearTimeout(timer)
      source.off('data', onData).off('end', onEnd) // what still comes is dropped: there is nobody to send it to
      if (this.#body === body) this.#flows = false
    })
    body.on('error', () => {}) // an attempt that never began to read it does not listen
    this.#flows = true
    this.#body = body
    return body
  }

  /** Ends the body in hand: what the last attempt has not taken is taken by nobody. */
  close(): void {
    this.#body?.destroy()
  }

  #take(source: Readable, onData: (chunk: Buffer) => void, onEnd: () => void): void {
    if (!this.begun) source.on('data', onData).on('end', onEnd)
    this.begun = true
    source.resume()
  }

  #stop(body: Readable, error: ApiError): void {
    this.error ??= error
    body.destroy(new Error('the form cannot be passed on'))
  }
}

const slow = (idleMs: number): ApiError => ({
  code: 'request_timeout',
  message: `No more of the body came within ${Math.round(idleMs / 1000)} s.`,
})
