/** One bounded request to an engine: a deadline over everything, at most 1 MiB of answer, no redirects. */
import type { Pool } from 'undici'
import { MAX_TIMER_MS } from './clock.ts'

/** The longest answer that is read: vLLM's metrics are some 100 KiB. */
const MAX_ANSWER_BYTES = 1_048_576

export interface Question {
  pool: Pool
  path: string
  headers: Readonly<Record<string, string>>
  /** JSON to send with POST; absent = GET. */
  body?: string
  /** Connecting, head and body together. */
  timeoutMs: number
  signal: AbortSignal
}

export interface Reply {
  status: number
  headers: Readonly<Record<string, string | string[] | undefined>>
  body: string
}

/** Why an engine gave no usable answer. The message is short, names no address, and may be shown to users. */
export class NoAnswer extends Error {}

/** Rejects with NoAnswer, whatever went wrong; also when the signal aborts. */
export async function ask(question: Question): Promise<Reply> {
  const { pool, path, headers, body, timeoutMs, signal } = question
  const abort = new AbortController()
  const stop = () => abort.abort(new NoAnswer('stopped'))
  if (signal.aborted) stop()
  signal.addEventListener('abort', stop)
  const timer = setTimeout(() => abort.abort(new NoAnswer(`no answer within ${timeoutMs} ms`)), Math.min(timeoutMs, MAX_TIMER_MS))
  try {
    const response = await pool.request({
      path,
      headersTimeout: timeoutMs,
      bodyTimeout: timeoutMs,
      signal: abort.signal,
      ...requestOf(headers, body),
    })
    return { status: response.statusCode, headers: response.headers, body: await bounded(response.body) }
  } catch (error) {
    throw abort.signal.aborted ? abort.signal.reason : noAnswer(error)
  } finally {
    clearTimeout(timer)
    signal.removeEventListener('abort', stop)
  }
}

const requestOf = (headers: Question['headers'], body: string | undefined) =>
  body === undefined
    ? ({ method: 'GET', headers } as const)
    : ({ method: 'POST', headers: { ...headers, 'content-type': 'application/json' }, body } as const)

/** Leaving the loop early destroys the stream and its socket. */
async function bounded(body: AsyncIterable<Buffer>): Promise<string> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of body) {
    bytes += chunk.length
    if (bytes > MAX_ANSWER_BYTES) throw new NoAnswer('answer longer than 1 MiB')
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString()
}

const SAYS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection refused',
  ECONNRESET: 'connection reset',
  ENOTFOUND: 'host name not found',
  EADDRDENIED: 'its address is denied by this installation',
  EHOSTUNREACH: 'host unreachable',
  UND_ERR_SOCKET: 'connection closed',
  UND_ERR_CONNECT_TIMEOUT: 'no connection in time',
  UND_ERR_HEADERS_TIMEOUT: 'no answer in time',
  UND_ERR_BODY_TIMEOUT: 'answer not complete in time',
}

function noAnswer(error: unknown): NoAnswer {
  if (error instanceof NoAnswer) return error
  const code = error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : 'connection failed'
  return new NoAnswer(SAYS[code] ?? code, { cause: error })
}
