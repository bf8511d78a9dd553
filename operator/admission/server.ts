import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer, type Server } from 'node:https'
import type { TLSSocket } from 'node:tls'
import type { InjectionResult, Verdict } from '../inject/inject.ts'
import { WEBHOOK_PATH } from '../inject/manifests.ts'
import { listening } from '../serve/listening.ts'
import type { Fields } from '../validate/problem.ts'
import { answerOf, type Review, readReview } from './review.ts'

export interface WebhookRecord {
  readonly status: number
  readonly ms: number
  /** Absent: of a dry run, or of what was no review. */
  readonly result?: InjectionResult | 'Error'
}

export interface AdmissionServerOptions {
  readonly judge: (pod: Fields, namespace: string) => Verdict
  readonly onRecord: (record: WebhookRecord) => void
  /** A Pod on which `judge` threw; it is made as it is. */
  readonly onBug: (error: unknown) => void
}

/** etcd takes objects of 1.5 MB; a review may hold two of them. */
const MAX_BODY_BYTES = 4 * 1024 * 1024
/** The API server waits for 3 s. */
const REQUEST_TIMEOUT_MS = 5_000
const CLOSE_TIMEOUT_MS = 3_000
const MAX_CONNECTIONS = 1_000

/** The webhook: TLS, path `/inject`. Every replica answers, leading or not. Owner: Admission; `close()` once. */
export class AdmissionServer {
  readonly #server: Server
  readonly #options: AdmissionServerOptions
  #inFlight = 0

  constructor(options: AdmissionServerOptions) {
    this.#options = options
    this.#server = createServer({
      minVersion: 'TLSv1.2',
      handshakeTimeout: REQUEST_TIMEOUT_MS,
      headersTimeout: REQUEST_TIMEOUT_MS,
      requestTimeout: REQUEST_TIMEOUT_MS,
    })
    this.#server.maxConnections = MAX_CONNECTIONS
    this.#server.on('request', (request, response) => void this.#serve(request, response))
    this.#server.on('tlsClientError', (_error, socket: TLSSocket) => socket.destroy())
  }

  get inFlight(): number {
    return this.#inFlight
  }

  /** Resolves with the port, once connections are taken. No handshake succeeds until `setCertificate`. Rejects if it cannot be had. */
  listen(port: number, host: string): Promise<number> {
    return listening(this.#server, port, host)
  }

  /** For new connections. */
  setCertificate(certificate: { readonly cert: string; readonly key: string }): void {
    this.#server.setSecureContext({ ...certificate, minVersion: 'TLSv1.2' })
  }

  /** Reviews that are read are answered. */
  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()))
    this.#server.closeIdleConnections()
    const late = setTimeout(() => this.#server.closeAllConnections(), CLOSE_TIMEOUT_MS)
    await closed
    clearTimeout(late)
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const startedAt = performance.now()
    this.#inFlight += 1
    const { status, body, result } = await this.#answer(request)
    this.#inFlight -= 1
    this.#options.onRecord({ status, ms: performance.now() - startedAt, ...(result !== undefined && { result }) })
    const head = { 'content-type': 'application/json', ...(status !== 200 && { connection: 'close' }) }
    response.writeHead(status, head).end(JSON.stringify(body))
  }

  async #answer(request: IncomingMessage): Promise<Pick<WebhookRecord, 'status' | 'result'> & { readonly body: Fields }> {
    if (request.method !== 'POST' || request.url?.split('?')[0] !== WEBHOOK_PATH)
      return { status: 404, body: { error: `POST ${WEBHOOK_PATH} is all there is.` } }
    const text = await textOf(request)
    const review = text === undefined ? undefined : readReview(text)
    if (review === undefined) return { status: 400, body: { error: 'This is no AdmissionReview of version v1.' } }
    const { result, ...verdict } = this.#judge(review)
    return { status: 200, body: answerOf(review, verdict), ...(!review.dryRun && { result }) }
  }

  /** A bug of ours is no reason to keep a Pod from being made. */
  #judge({ pod, namespace }: Review): Omit<Verdict, 'result'> & { readonly result: InjectionResult | 'Error' } {
    try {
      return this.#options.judge(pod, namespace)
    } catch (error) {
      this.#options.onBug(error)
      return { result: 'Error', patch: [], warnings: ['no llama-swap sidecar: the operator has a bug; see its log'] }
    }
  }
}

/** Undefined = too long, or broken off. */
async function textOf(request: IncomingMessage): Promise<string | undefined> {
  const parts: Buffer[] = []
  let bytes = 0
  try {
    for await (const part of request) {
      if (!Buffer.isBuffer(part)) return undefined
      bytes += part.length
      if (bytes > MAX_BODY_BYTES) return undefined
      parts.push(part)
    }
  } catch {
    return undefined
  }
  return Buffer.concat(parts).toString('utf8')
}
