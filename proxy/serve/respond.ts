import type { IncomingMessage, ServerResponse } from 'node:http'
import { type ApiError, envelopeIn, type Skin, skinOf, statusIn } from '../errors.ts'

/** Response heads never carry more than this of a text of ours. */
const MAX_HEADER_TEXT = 2048
/** An unread body is drained up to here, so that a client that is still sending can read the answer. */
const MAX_DRAINED_BYTES = 64 * 1024 * 1024
const DRAIN_MS = 5000

/** The raw head of an error answer, without its body's length. */
function errorHead(error: ApiError, requestId: string, skin: Skin): string[] {
  const head = ['content-type', 'application/json', 'x-request-id', requestId, 'x-should-retry', String(error.shouldRetry ?? false)]
  if (error.retryAfterMs !== undefined)
    head.push(
      'retry-after',
      String(Math.max(1, Math.ceil(error.retryAfterMs / 1000))),
      'retry-after-ms',
      String(Math.ceil(error.retryAfterMs)),
    )
  if (skin === 'anthropic') head.push('request-id', requestId)
  if (error.code === 'invalid_api_key') head.push('www-authenticate', 'Bearer')
  return head
}

const sent = new WeakMap<ServerResponse, ApiError>()

/** The error that `sendError` has written as this answer. */
export const sentErrorOf = (response: ServerResponse): ApiError | undefined => sent.get(response)

/** Writes one error answer. Closes the connection where the rest of the request is not worth reading. */
export function sendError(response: ServerResponse, error: ApiError, requestId: string, extra: readonly string[] = []): void {
  if (response.headersSent || response.destroyed) return
  sent.set(response, error)
  const skin = skinOf(addressOf(response.req))
  const body = envelopeIn(skin, error, requestId)
  const unread = !response.req.complete && hasBody(response.req)
  const head = [...errorHead(error, requestId, skin), ...extra, 'content-length', String(Buffer.byteLength(body))]
  if (unread) head.push('connection', 'close')
  response.writeHead(statusIn(skin, error), head)
  if (!unread) return void response.end(body)
  response.write(body)
  drain(response)
}

/** As the client sent it: express changes `url` on its way. */
const addressOf = (request: IncomingMessage): string =>
  'originalUrl' in request && typeof request.originalUrl === 'string' ? request.originalUrl : (request.url ?? '')

const hasBody = ({ headers }: IncomingMessage): boolean =>
  headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0

/**
 * Reads and drops what the client still sends, within bounds, and ends the answer (which closes the connection) only then: closing while
 * bytes are on their way is a reset, and that would take our answer out of the client's hands.
 */
function drain(response: ServerResponse): void {
  const { req: request } = response
  let drained = 0
  const timer = setTimeout(() => request.destroy(), DRAIN_MS)
  request.on('data', (chunk: Buffer) => {
    drained += chunk.length
    if (drained > MAX_DRAINED_BYTES) request.destroy()
  })
  request.on('end', () => response.end())
  request.on('close', () => clearTimeout(timer))
  request.on('error', () => {})
  request.resume()
}

/** Printable ASCII, bounded: what may stand in a header. */
export const headerText = (text: string): string => text.replace(/[^\x20-\x7e]/g, '?').slice(0, MAX_HEADER_TEXT)
