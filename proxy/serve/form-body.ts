import type { IncomingMessage } from 'node:http'
import { FormScanner } from '../dialects/form.ts'
import type { ApiError } from '../errors.ts'
import { Upload } from '../forward/upload.ts'
import { type BodyLimits, type HeldBytes, NO_ROOM } from './body.ts'

/** A form up to here is kept whole, and can be sent again. */
const KEPT_BYTES = 1024 * 1024
/** No form is larger, however it is sent. */
const MAX_UPLOAD_BYTES = 512 * 1024 * 1024

export type ReadForm =
  | {
      readonly kind: 'form'
      /** The beginning, with the fields that were read; the whole of it without an upload. */
      readonly bytes: Buffer
      readonly scanner: FormScanner
      readonly upload: Upload | undefined
    }
  | { readonly kind: 'error'; readonly error: ApiError }
  | { readonly kind: 'gone' }

/**
 * Reads a form until it is whole, or until its model is known and more than `KEPT_BYTES` have come: the rest passes through. While the
 * model is not known all is held, up to the limit of bodies. The caller gives the bytes back to `held` when the request is over.
 */
export function readForm(
  request: IncomingMessage,
  { boundary, limits, held }: { boundary: string; limits: BodyLimits; held: HeldBytes },
): Promise<ReadForm> {
  if (Number(request.headers['content-length'] ?? 0) > MAX_UPLOAD_BYTES) return Promise.resolve({ kind: 'error', error: TOO_LARGE })
  return new Promise((resolve) => {
    const scanner = new FormScanner(boundary)
    const chunks: Buffer[] = []
    let size = 0
    const timer = setTimeout(() => end({ kind: 'error', error: slow(limits.timeoutMs) }), limits.timeoutMs)
    const end = (result: ReadForm): void => {
      clearTimeout(timer)
      request.off('data', onData)
      request.off('end', onEnd)
      request.off('close', onClose)
      if (result.kind !== 'form') held.give(size)
      resolve(result)
    }
    const onData = (chunk: Buffer): void => {
      const problem = scanner.push(chunk)
      if (problem !== undefined) return end({ kind: 'error', error: invalid(problem) })
      if (size + chunk.length > limits.maxBytes) return end({ kind: 'error', error: unnamed(limits.maxBytes) })
      if (!held.take(chunk.length)) return end({ kind: 'error', error: NO_ROOM })
      size += chunk.length
      chunks.push(chunk)
      if (size <= KEPT_BYTES || !scanner.fields.has('model')) return
      request.pause()
      end({ kind: 'form', bytes: Buffer.concat(chunks), scanner, upload: uploadOf(request, scanner, size, limits.timeoutMs) })
    }
    const onEnd = (): void => {
      const error = endOf(scanner)
      end(error === undefined ? { kind: 'form', bytes: Buffer.concat(chunks), scanner, upload: undefined } : { kind: 'error', error })
    }
    const onClose = (): void => end({ kind: 'gone' })
    request.on('data', onData)
    request.on('end', onEnd)
    request.on('close', onClose)
  })
}

function uploadOf(request: IncomingMessage, scanner: FormScanner, read: number, idleMs: number): Upload {
  let size = read
  return new Upload({
    source: request,
    idleMs,
    check: (chunk) => {
      size += chunk.length
      if (size > MAX_UPLOAD_BYTES) return TOO_LARGE
      const problem = scanner.push(chunk)
      return problem === undefined ? undefined : invalid(problem)
    },
    checkEnd: () => endOf(scanner),
  })
}

const endOf = (scanner: FormScanner): ApiError | undefined =>
  scanner.complete ? undefined : invalid('The form ends before its last boundary.')

const invalid = (message: string): ApiError => ({ code: 'invalid_value', message })

const TOO_LARGE: ApiError = {
  code: 'payload_too_large',
  message: `The form is larger than ${MAX_UPLOAD_BYTES} bytes, the limit here. Send less.`,
}

const unnamed = (maxBytes: number): ApiError => ({
  code: 'payload_too_large',
  message: `More than ${maxBytes} bytes of the form came before its field "model". Send "model" before the files.`,
})

const slow = (timeoutMs: number): ApiError => ({
  code: 'request_timeout',
  message: `The form was not complete, nor its field "model" there, within ${Math.round(timeoutMs / 1000)} s.`,
})
