/**
 * The inference port. In: sockets. Out: each request handed to the lifecycle or to what is not inference; each broken one answered with a
 * typed error. TLS where it is asked for. Bounds: heads of 64 KiB and 15 s, 20,000 sockets, a bounded number of requests at a time.
 */
import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerOptions, type ServerResponse } from 'node:http'
import { createServer as createTlsServer, type Server as TlsServer } from 'node:https'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { Dialect } from '../dialects/dialect.ts'
import { DIALECTS } from '../dialects/dialects.ts'
import { type ApiError, errorEnvelope, statusOf } from '../errors.ts'
import { Connections } from './connections.ts'
import { FailedHandshakes } from './failed-handshakes.ts'
import { requestIdOf, type Serving, serveInference } from './lifecycle.ts'
import { otherRoute } from './other-routes.ts'
import { sendError } from './respond.ts'
import { settleNoRequest, settleOther } from './settle-other.ts'
import type { PairText } from './tls-pair.ts'

const MAX_HEAD_BYTES = 64 * 1024
const MAX_SOCKETS = 20_000
const MAX_REQUESTS = 10_000
const HEAD_MS = 15_000
const CHECK_MS = 2000
/** Above the sixty seconds after which common load balancers close an idle connection, so that they close first. */
const KEEP_ALIVE_MS = 75_000

/** Without these node:http itself would answer a missing Host, and an expectation, with no body; and take each offer of HTTP/2 for a WebSocket. */
const OPTIONS = {
  maxHeaderSize: MAX_HEAD_BYTES,
  headersTimeout: HEAD_MS,
  requestTimeout: 0,
  keepAliveTimeout: KEEP_ALIVE_MS,
  connectionsCheckingInterval: CHECK_MS,
  noDelay: true,
  requireHostHeader: false,
  shouldUpgradeCallback: ({ url, headers }: IncomingMessage): boolean =>
    url?.startsWith('/upstream/') === true && headers.upgrade?.toLowerCase() === 'websocket',
} satisfies ServerOptions

const TLS_OPTIONS = { minVersion: 'TLSv1.2', handshakeTimeout: HEAD_MS } as const

export interface Handlers {
  readonly serving: Serving
  /** What is not inference. */
  readonly other: RequestListener
  readonly upgrade: (request: IncomingMessage, socket: Duplex, head: Buffer) => void
}

export interface ListenerOptions {
  /** May be Infinity. */
  readonly maxConnectionAgeMs: number
  /** HTTPS alone, with what `certify()` gets before `listen()`. */
  readonly tls: boolean
}

export class Listener {
  readonly failedHandshakes = new FailedHandshakes()
  readonly #server: Server
  readonly #tlsServer: TlsServer | undefined
  readonly #connections: Connections
  readonly #handlers: Handlers
  #requests = 0
  #draining = false

  constructor(handlers: Handlers, { maxConnectionAgeMs, tls }: ListenerOptions) {
    this.#handlers = handlers
    const serve: RequestListener = (request, response) => this.#serve(request, response)
    this.#tlsServer = tls ? createTlsServer({ ...OPTIONS, ...TLS_OPTIONS }, serve) : undefined
    this.#server = this.#tlsServer ?? createServer(OPTIONS, serve)
    this.#connections = new Connections(this.#server, maxConnectionAgeMs)
    this.#server.maxConnections = MAX_SOCKETS
    this.#server.on('connection', (socket: Socket) => this.#connections.admit(socket))
    this.#server.on(tls ? 'secureConnection' : 'connection', (socket: Socket) => this.#connections.open(socket))
    this.#server.on('clientError', (error, socket) => this.#answerClientError(error, socket))
    this.#server.on('checkExpectation', (request: IncomingMessage, response: ServerResponse) =>
      sendError(response, UNMET, requestIdOf(request.headers)),
    )
    this.#server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
      this.#connections.begin(request.socket)
      handlers.upgrade(request, socket, head)
    })
    this.#tlsServer?.on('tlsClientError', (error: Error & { code?: string }) => this.failedHandshakes.count(error.code))
  }

  /** What connections are encrypted with from now on; those that are open stay as they are. Throws what TLS cannot be spoken with. */
  certify({ cert, key }: PairText): void {
    this.#tlsServer?.setSecureContext({ ...TLS_OPTIONS, cert, key })
  }

  /** Requests that are being answered. */
  get requests(): number {
    return this.#requests
  }

  listen(port: number, host: string): Promise<number> {
    return listening(this.#server, port, host)
  }

  /** From here on every answer closes its connection, so that clients move to another proxy. */
  drain(): void {
    this.#draining = true
  }

  /** No new connections; requests have `graceMs` to end. Resolves when no connection is left. */
  close(graceMs: number): Promise<void> {
    return this.#connections.close(graceMs)
  }

  #serve(request: IncomingMessage, response: ServerResponse): void {
    const { socket } = request
    const isOld = this.#connections.begin(socket)
    this.#requests++
    response.on('close', () => {
      this.#requests--
      this.#connections.end(socket)
    })
    if (isOld || this.#draining) response.shouldKeepAlive = false
    const path = pathOf(request.url ?? '/')
    const dialect = DIALECTS.get(path) ?? otherRoute(this.#handlers.serving.table(), request.method, path)
    const error = this.#refusal(request, dialect)
    if (dialect === undefined || error !== undefined) return this.#serveOther(request, response, error)
    serveInference(this.#handlers.serving, request, response, dialect).catch((bug: unknown) =>
      this.#handlers.serving.onBug(bug, requestIdOf(request.headers)),
    )
  }

  #refusal({ headers, httpVersion, method }: IncomingMessage, dialect: Dialect | undefined): ApiError | undefined {
    if (headers.host === undefined && httpVersion === '1.1') return HOSTLESS
    if (dialect === undefined) return undefined
    if (method !== (dialect.method ?? 'POST'))
      return { code: 'method_not_allowed', message: `${String(method)} is not allowed here. Use POST.` }
    return this.#requests > MAX_REQUESTS ? BUSY : undefined
  }

  #serveOther(request: IncomingMessage, response: ServerResponse, error: ApiError | undefined): void {
    const requestId = requestIdOf(request.headers)
    request.headers['x-request-id'] = requestId // the same for whoever answers
    settleOther(this.#handlers.serving, request, response, requestId)
    if (error === undefined) this.#handlers.other(request, response)
    else sendError(response, error, requestId, EXTRA.get(error.code))
  }

  /** A head that is too large, too slow, or no HTTP: a typed answer, then the connection ends. Where TLS has not come about only the latter. */
  #answerClientError(error: Error & { code?: string; bytesParsed?: number }, socket: Duplex): void {
    if (!socket.writable || error.code === 'ECONNRESET' || !this.#connections.isOpen(socket)) return void socket.destroy()
    const answer = clientError(error.code)
    const body = errorEnvelope(answer)
    const status = statusOf(answer)
    settleNoRequest(this.#handlers.serving, answer, status)
    socket.end(
      `HTTP/1.1 ${status} ${REASONS[status] ?? 'Bad Request'}\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\nx-should-retry: false\r\nx-request-id: none\r\nconnection: close\r\n\r\n${body}`,
    )
  }
}

const EXTRA: ReadonlyMap<string, readonly string[]> = new Map([
  ['method_not_allowed', ['allow', 'POST']],
  ['invalid_value', ['connection', 'close']],
])

const BUSY: ApiError = {
  code: 'overloaded',
  message: 'This proxy serves as many requests as it can. Try again shortly.',
  retryAfterMs: 1000,
  shouldRetry: true,
}

const HOSTLESS: ApiError = { code: 'invalid_value', message: 'The request has no Host header, which HTTP/1.1 asks for.' }
const UNMET: ApiError = {
  code: 'invalid_value',
  message: 'Of all expectations only "100-continue" is met here. Leave the Expect header out.',
}

/** Connections that wait to be accepted, as many as Linux allows by default: a burst of more than 511 would be told that it is connected, and forgotten. */
const BACKLOG = 4096

/** Resolves with the port once it listens; rejects when it cannot. */
export function listening(server: Server, port: number, host: string): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen({ port, host, backlog: BACKLOG }, () => {
      server.off('error', reject)
      const address = server.address()
      resolve(typeof address === 'object' && address !== null ? address.port : port)
    })
  })
}

function pathOf(url: string): string {
  const query = url.indexOf('?')
  return query === -1 ? url : url.slice(0, query)
}

const REASONS: Readonly<Record<number, string>> = { 400: 'Bad Request', 408: 'Request Timeout', 431: 'Request Header Fields Too Large' }

function clientError(code: string | undefined): ApiError {
  if (code === 'HPE_HEADER_OVERFLOW')
    return { code: 'headers_too_large', message: `The request head is larger than ${MAX_HEAD_BYTES} bytes. Send fewer or shorter headers.` }
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') return { code: 'request_timeout', message: 'The request head was not complete in time.' }
  return { code: 'invalid_value', message: 'The bytes sent are no valid HTTP/1.1 request.' }
}
