/** Answers for scripts: whole ones, streams, and the building blocks of broken ones. */
import { gzipSync } from 'node:zlib'
import type { Answer, Step } from './script.ts'

type Head = Readonly<Record<string, string | number>>

const REASONS: Readonly<Record<number, string>> = {
  200: 'OK',
  400: 'Bad Request',
  429: 'Too Many Requests',
  500: 'Internal Server Error',
  503: 'Service Unavailable',
}

const headText = (status: number, headers: Head): string => {
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`)
  return `HTTP/1.1 ${status} ${REASONS[status] ?? 'Status'}\r\n${lines.join('')}\r\n`
}

export const send = (text: string): Step => ({ do: 'send', text })
export const chunk = (text: string): Step => ({ do: 'chunk', text })
export const wait = (gate: string): Step => ({ do: 'wait', gate })
export const pause = (ms: number): Step => ({ do: 'pause', ms })
/** One way for requests whose body holds `body`, another for the rest. */
export const either = (body: string, yes: Answer, no: Answer): Answer => [{ do: 'if', body, yes, no }]
export const END: Step = { do: 'end' }
export const CLOSE: Step = { do: 'close' }
export const RESET: Step = { do: 'reset' }
export const HANG: Step = { do: 'hang' }

/** One answer with a body of known length. Text is sent as it is, all else as JSON. */
export function whole(body: unknown, { status = 200, headers = {} }: { status?: number; headers?: Head } = {}): Answer {
  const text = typeof body === 'string' ? body : JSON.stringify(body)
  return [send(headText(status, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text), ...headers }) + text)]
}

/** An error in OpenAI's shape. */
export const error = (status: number, code: string | null, message: string, headers: Head = {}): Answer =>
  whole({ error: { message, type: 'some_error', param: null, code } }, { status, headers })

/** The head of an event stream. */
export const streamHead = (headers: Head = {}): Step =>
  send(headText(200, { 'content-type': 'text/event-stream', 'transfer-encoding': 'chunked', ...headers }))

/** A stream: each text is a chunk and a write of its own. */
export const stream = (chunks: readonly string[], headers: Head = {}): Answer => [streamHead(headers), ...chunks.map(chunk), END]

/** The head of a body of `length` bytes that may never come. */
export const wholeHead = (length: number, headers: Head = {}): Step =>
  send(headText(200, { 'content-type': 'application/json', 'content-length': length, ...headers }))

/** Encoded although nobody asked for it. */
export function gzipped(text: string, contentType: string): Answer {
  const bytes = gzipSync(text)
  return [
    send(headText(200, { 'content-type': contentType, 'content-encoding': 'gzip', 'content-length': bytes.length })),
    { do: 'sendBytes', base64: bytes.toString('base64') },
  ]
}
