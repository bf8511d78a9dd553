import { isUtf8 } from 'node:buffer'
import type { IncomingMessage } from 'node:http'
import type { ApiError } from '../errors.ts'

export interface BodyLimits {
  readonly maxBytes: number
  /** For the whole body; a sender that is slower gets 408. */
  readonly timeoutMs: number
}

export type ReadBody = { kind: 'body'; bytes: Buffer } | { kind: 'error'; error: ApiError } | { kind: 'gone' }

/** All bodies held at the same time, over all requests. */
export class HeldBytes {
  readonly #maxBytes: number
  #bytes = 0

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  get bytes(): number {
    return this.#bytes
  }

  /** False: no room; nothing was taken. */
  take(bytes: number): boolean {
    if (this.#bytes + bytes > this.#maxBytes) return false
    this.#bytes += bytes
    return true
  }

  give(bytes: number): void {
    this.#bytes -= bytes
  }
}

/** Reads a body whole, within its bounds. The caller gives the bytes back to `held` when the request is over. */
export function readBody(request: IncomingMessage, limits: BodyLimits, held: HeldBytes): Promise<ReadBody> {
  const announced = Number(request.headers['content-length'] ?? 0)
  if (announced > limits.maxBytes) return Promise.resolve(tooLarge(limits.maxBytes))
  return new Promise((resolve) => {
    const chunks: Buffer[] = []
    let size = 0
    const timer = setTimeout(() => end({ kind: 'error', error: slow(limits.timeoutMs) }), limits.timeoutMs)
    const end = (result: ReadBody): void => {
      clearTimeout(timer)
      request.off('data', onData)
      request.off('end', onEnd)
      request.off('close', onClose)
      if (result.kind !== 'body') held.give(size)
      resolve(result)
    }
    const onData = (chunk: Buffer): void => {
      if (size + chunk.length > limits.maxBytes) return end(tooLarge(limits.maxBytes))
      if (!held.take(chunk.length)) return end({ kind: 'error', error: NO_ROOM })
      size += chunk.length
      chunks.push(chunk)
    }
    const onEnd = (): void => {
      const bytes = chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : Buffer.concat(chunks)
      if (isUtf8(bytes)) end({ kind: 'body', bytes })
      else end({ kind: 'error', error: { code: 'invalid_json', message: 'The body is not UTF-8.' } })
    }
    const onClose = (): void => end({ kind: 'gone' })
    request.on('data', onData)
    request.on('end', onEnd)
    request.on('close', onClose)
  })
}

/** `HeldBytes` has none. */
export const NO_ROOM: ApiError = {
  code: 'overloaded',
  message: 'Too many request bodies are held at the moment. Try again shortly.',
  retryAfterMs: 1000,
  shouldRetry: true,
}

const tooLarge = (maxBytes: number): ReadBody => ({
  kind: 'error',
  error: {
    code: 'payload_too_large',
    message: `The body is larger than ${maxBytes} bytes, the limit here. Send less, or refer to files by URL.`,
  },
})

const slow = (timeoutMs: number): ApiError => ({
  code: 'request_timeout',
  message: `The body was not complete within ${Math.round(timeoutMs / 1000)} s.`,
})
