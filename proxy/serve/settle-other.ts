import type { IncomingMessage, ServerResponse } from 'node:http'
import { otherDialect } from '../dialects/other.ts'
import type { ApiError } from '../errors.ts'
import { type RequestRecord, type Serving, traceparentOf } from './lifecycle.ts'
import { sentErrorOf } from './respond.ts'

const GONE: ApiError = { code: 'client_disconnected', message: 'The client left.' }

/** Books a request that is not the lifecycle's when its answer is over: the model list, explain, a pass-through, what nobody serves. */
export function settleOther(serving: Serving, request: IncomingMessage, response: ServerResponse, requestId: string): void {
  const { socket, url = '' } = request
  const atMs = serving.now()
  const before = socket.bytesWritten
  const path = url.split('?')[0] ?? ''
  response.on('close', () => {
    const gone = !response.writableFinished
    const error = gone ? GONE : sentErrorOf(response)
    serving.settle({
      ...recordOf(serving, { atMs, requestId, path, error, status: gone ? 499 : response.statusCode }),
      traceparent: traceparentOf(request.headers),
      durationMs: serving.now() - atMs,
      bytesSent: error === undefined ? socket.bytesWritten - before : 0,
    })
  })
}

/** Books what was no request at all. */
export function settleNoRequest(serving: Serving, error: ApiError, status: number): void {
  serving.settle(recordOf(serving, { atMs: serving.now(), requestId: 'none', path: '', error, status }))
}

type Known = Pick<RequestRecord, 'atMs' | 'requestId' | 'path' | 'error' | 'status'>

function recordOf(serving: Serving, known: Known): RequestRecord {
  return {
    ...known,
    traceparent: undefined,
    dialect: otherDialect('GET', known.path),
    client: undefined,
    facts: undefined,
    ending: undefined,
    durationMs: 0,
    overheadMs: undefined,
    heldMs: 0,
    bytesSent: 0,
    table: serving.table().table,
  }
}
