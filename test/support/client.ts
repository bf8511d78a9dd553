/** A client that hides nothing: status, head, every read of the body with its time, and whether the body ended whole. */
import { Agent, type ClientRequest, request as httpRequest, type IncomingHttpHeaders, type IncomingMessage } from 'node:http'

export interface Read {
  readonly atMs: number
  readonly text: string
}

export interface Got {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly rawHeaders: readonly string[]
  readonly body: string
  readonly reads: readonly Read[]
  /** False: the connection broke before the body's end. */
  readonly whole: boolean
  /** From the request's start to the body's end. */
  readonly tookMs: number
}

export interface AskOptions {
  readonly method?: string
  readonly path?: string
  readonly headers?: Readonly<Record<string, string>>
  /** An object goes as JSON. */
  readonly body?: unknown
}

/** A request under way. */
export interface Asking {
  readonly request: ClientRequest
  /** The head's arrival. Rejects when the connection breaks before it. */
  readonly head: Promise<IncomingMessage>
  /** The end, whole or broken. Rejects when the connection breaks before the head. */
  readonly got: Promise<Got>
  /** Resolves once the body read so far fits. */
  until(fits: (body: string) => boolean): Promise<void>
  /** Leaves, as a client that was closed does. Returns the time. */
  leave(): number
}

export function asking(url: string, { method = 'POST', path = '/v1/chat/completions', headers = {}, body }: AskOptions): Asking {
  const startMs = performance.now()
  const bytes = body === undefined ? undefined : Buffer.from(typeof body === 'string' ? body : JSON.stringify(body))
  const sent = bytes === undefined ? headers : { 'content-type': 'application/json', 'content-length': String(bytes.length), ...headers }
  const request = httpRequest(url + path, { method, headers: sent, agent: new Agent({ keepAlive: false }) })
  const reads: Read[] = []
  const waiting = new Set<() => void>()
  const wakeAll = (): void => {
    for (const wake of waiting) wake()
  }
  const head = new Promise<IncomingMessage>((resolve, reject) => {
    request.once('response', resolve)
    request.on('error', reject)
  })
  const got = head.then((response) => collect(response, reads, startMs, wakeAll))
  got.catch(() => {}) // whoever awaits it is told; a test that leaves need not
  head.catch(() => {})
  request.end(bytes)
  const until = (fits: (body: string) => boolean): Promise<void> =>
    new Promise((resolve, reject) => {
      const look = (): void => {
        if (!fits(reads.map(({ text }) => text).join(''))) return
        waiting.delete(look)
        resolve()
      }
      waiting.add(look)
      got.then(() => reject(new Error('the body ended before it fitted')), reject)
      look()
    })
  const leave = (): number => {
    const atMs = Date.now()
    request.destroy()
    return atMs
  }
  return { request, head, got, until, leave }
}

export const ask = (url: string, options: AskOptions): Promise<Got> => asking(url, options).got

function collect(response: IncomingMessage, reads: Read[], startMs: number, onRead: () => void): Promise<Got> {
  const { statusCode: status = 0, headers, rawHeaders } = response
  const parts: Buffer[] = []
  return new Promise((resolve) => {
    response.on('data', (bytes: Buffer) => {
      parts.push(bytes)
      reads.push({ atMs: Date.now(), text: bytes.toString() })
      onRead()
    })
    response.on('error', () => {})
    response.on('close', () =>
      resolve({
        status,
        headers,
        rawHeaders,
        reads,
        body: Buffer.concat(parts).toString(),
        whole: response.complete,
        tookMs: performance.now() - startMs,
      }),
    )
  })
}
