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
 * attempt can be followed by another one; after that there is only this one. Holds one chunk at a time.
 */
export class Upload {
  /** Something of the rest has been taken: it cannot be sent again. */
  begun = false
  /** Why the client's form could not be passed on to its end. */
  error: ApiError | undefined
  #flows = false
  readonly #options: UploadOptions

  constructor(options: UploadOptions) {
    this.#options = options
  }

  /** The client is still sending: an upstream that is silent so far is none to blame. */
  get flows(): boolean {
    return this.#flows
  }

  /** The body of an attempt: `kept`, then the rest. Whoever reads it may destroy it at any time. */
  after(kept: Uint8Array): Readable {
    const { idleMs } = this.#options
    const body: Readable = Readable.from(
      this.#chunks(kept, () => timer.refresh()),
      { objectMode: false },
    )
    const timer = setTimeout(() => {
      this.error ??= { code: 'request_timeout', message: `No more of the body came within ${Math.round(idleMs / 1000)} s.` }
      body.destroy(new Error('the client stopped sending'))
    }, idleMs)
    body.on('close', () => {
      clearTimeout(timer)
      this.#flows = false
    })
    this.#flows = true
    return body
  }

  async *#chunks(kept: Uint8Array, onProgress: () => void): AsyncGenerator<Uint8Array, void, undefined> {
    yield kept
    this.begun = true
    const { source, check, checkEnd } = this.#options
    for await (const chunk of source.iterator({ destroyOnReturn: false })) {
      onProgress()
      if (!Buffer.isBuffer(chunk)) throw new Error('a request body of text')
      this.#stopAt(check(chunk))
      yield chunk
    }
    this.#stopAt(checkEnd())
  }

  #stopAt(error: ApiError | undefined): void {
    if (error === undefined) return
    this.error = error
    throw new Error('the form cannot be passed on')
  }
}
