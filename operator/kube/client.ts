/**
 * The operator's one way to the API server: raw JSON over kept connections. In: a kubeconfig or the pod's ServiceAccount. Out: answers as plain
 * objects, watches as lines, and one kind of error, `ApiError`. EFFECT: talks HTTP and reads credential files; it knows no kinds, keeps nothing,
 * retries nothing but a refused token (once, with the token read again). What to retry, and when, its callers decide.
 */
import type { KubeConfig } from '@kubernetes/client-node'
import type { Dispatcher } from 'undici'
import { type Fields, isFields } from '../validate/problem.ts'
import { ApiError, refusal } from './api-error.ts'
import { Connection } from './connection.ts'
import { linesOf } from './lines.ts'

export type Query = Readonly<Record<string, string | number | boolean | undefined>>
export type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'

/** One call that got an answer (`code` "200") or none (`code` "<error>"), as `rest_client_requests_total` counts them. */
export interface RequestRecord {
  readonly code: string
  readonly method: Method
  readonly host: string
  readonly ms: number
}

export interface KubeClientOptions {
  /** Called at the start and again when a token is refused. */
  readonly load: () => KubeConfig
  readonly onRequest?: (record: RequestRecord) => void
}

export interface ApiRequest {
  readonly method: Method
  /** "/api/v1/namespaces/default/pods" */
  readonly path: string
  readonly query?: Query
  /** Sent as JSON. */
  readonly body?: unknown
  /** Of the body; JSON if absent. */
  readonly contentType?: string
  readonly accept?: string
  readonly signal: AbortSignal
  /** For the answer as a whole; 30 s if absent. */
  readonly timeoutMs?: number
}

export interface ApiResponse {
  readonly status: number
  readonly body: unknown
}

export interface CallOptions {
  readonly signal: AbortSignal
  readonly timeoutMs?: number
  readonly query?: Query
  readonly accept?: string
}

export interface ApplyOptions extends CallOptions {
  /** Owner of the fields that are applied. */
  readonly fieldManager: string
  /** Takes fields that others own. */
  readonly force?: boolean
  readonly subresource?: 'status'
}

const DEFAULT_TIMEOUT_MS = 30_000
/** A page of 500 of the largest objects that are in use; etcd refuses objects above 1.5 MB. */
const MAX_BODY_BYTES = 256 * 1024 * 1024
const MAX_LINE_BYTES = 16 * 1024 * 1024

/** Owner: who creates it; `close()` once, after which calls fail. */
export class KubeClient {
  readonly #connection: Connection
  readonly #onRequest: (record: RequestRecord) => void

  /** Throws when the configuration cannot be read. */
  constructor({ load, onRequest = () => undefined }: KubeClientOptions) {
    this.#connection = new Connection(load)
    this.#onRequest = onRequest
  }

  /** Resolves for status below 400; rejects with an ApiError otherwise, or with the reason of `signal`. */
  async request(request: ApiRequest): Promise<ApiResponse> {
    const timeoutMs = request.timeoutMs ?? DEFAULT_TIMEOUT_MS
    const deadline = AbortSignal.any([request.signal, AbortSignal.timeout(timeoutMs)])
    try {
      const answer = await this.#send(request, deadline, 'calls')
      const body = jsonOf(await textOf(answer.body))
      if (answer.statusCode >= 400) throw refusal(callOf(request), answer.statusCode, headerOf(answer, 'retry-after'), body)
      return { status: answer.statusCode, body }
    } catch (error) {
      throw failure(request, timeoutMs, error)
    }
  }

  /**
   * The lines of a watch, until the server ends it or `signal` does. There is no timeout: the reader knows what silence means.
   * Rejects as `request` does; so does reading on.
   */
  async stream(path: string, query: Query, signal: AbortSignal): Promise<AsyncIterable<string>> {
    const request: ApiRequest = { method: 'GET', path, query, signal }
    try {
      const answer = await this.#send(request, signal, 'watches')
      if (answer.statusCode < 400) return readLines(request, answer)
      const text = await textOf(answer.body)
      throw refusal(callOf(request), answer.statusCode, headerOf(answer, 'retry-after'), jsonOf(text))
    } catch (error) {
      throw failure(request, 0, error)
    }
  }

  async get(path: string, options: CallOptions): Promise<Fields> {
    return this.#call({ method: 'GET', path, ...options })
  }

  async create(path: string, body: unknown, options: CallOptions): Promise<Fields> {
    return this.#call({ method: 'POST', path, body, ...options })
  }

  /** PUT: refused with a Conflict when `body.metadata.resourceVersion` is not the newest. */
  async update(path: string, body: unknown, options: CallOptions): Promise<Fields> {
    return this.#call({ method: 'PUT', path, body, ...options })
  }

  async serverSideApply(
    path: string,
    body: unknown,
    { fieldManager, force = false, subresource, ...options }: ApplyOptions,
  ): Promise<Fields> {
    return this.#call({
      ...options,
      method: 'PATCH',
      path: subresource === undefined ? path : `${path}/${subresource}`,
      query: { ...options.query, fieldManager, force },
      contentType: 'application/apply-patch+yaml',
      body,
    })
  }

  /** `body` may hold preconditions. */
  async remove(path: string, options: CallOptions & { readonly body?: unknown }): Promise<Fields> {
    return this.#call({ method: 'DELETE', path, ...options })
  }

  /** Ends all connections, watches included. */
  async close(): Promise<void> {
    await this.#connection.close()
  }

  async #call(request: ApiRequest): Promise<Fields> {
    const { body } = await this.request(request)
    if (isFields(body)) return body
    throw new ApiError({ status: 0, reason: 'BadAnswer', message: `${callOf(request)}: the answer is no object` })
  }

  /** A token that was refused may be an old one: it is read again, once. */
  async #send(request: ApiRequest, signal: AbortSignal, use: 'calls' | 'watches'): Promise<Dispatcher.ResponseData> {
    const answer = await this.#sendOnce(request, signal, use)
    if (answer.statusCode !== 401) return answer
    await answer.body.dump()
    this.#connection.reload()
    return this.#sendOnce(request, signal, use)
  }

  async #sendOnce(request: ApiRequest, signal: AbortSignal, use: 'calls' | 'watches'): Promise<Dispatcher.ResponseData> {
    const { origin, basePath, headers, agents } = await this.#connection.route()
    const startedAt = performance.now()
    const record = (code: string): void =>
      this.#onRequest({ code, method: request.method, host: new URL(origin).host, ms: performance.now() - startedAt })
    try {
      const answer = await agents[use].request({
        origin,
        method: request.method,
        path: `${basePath}${request.path}${queryText(request.query)}`,
        headers: { ...headers, ...headersOf(request) },
        body: request.body === undefined ? null : JSON.stringify(request.body),
        signal,
      })
      record(String(answer.statusCode))
      return answer
    } catch (error) {
      record('<error>')
      throw error
    }
  }
}

const callOf = ({ method, path }: ApiRequest): string => `${method} ${path}`

function headersOf({ accept, body, contentType }: ApiRequest): Record<string, string> {
  return {
    ...(accept === undefined ? {} : { accept }),
    ...(body === undefined ? {} : { 'content-type': contentType ?? 'application/json' }),
  }
}

function queryText(query: Query = {}): string {
  const set = Object.entries(query).flatMap(([name, value]) => (value === undefined ? [] : [[name, String(value)]]))
  return set.length === 0 ? '' : `?${new URLSearchParams(set).toString()}`
}

function headerOf({ headers }: Dispatcher.ResponseData, name: string): string | undefined {
  const value = headers[name]
  return Array.isArray(value) ? value[0] : value
}

async function textOf(body: AsyncIterable<Uint8Array>): Promise<string> {
  const chunks: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of body) {
    bytes += chunk.length
    if (bytes > MAX_BODY_BYTES) throw new RangeError(`the answer exceeds ${MAX_BODY_BYTES} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

async function* readLines(request: ApiRequest, { body }: Dispatcher.ResponseData): AsyncGenerator<string, void> {
  try {
    yield* linesOf(body, MAX_LINE_BYTES)
  } catch (error) {
    throw failure(request, 0, error)
  }
}

/** A body that is no JSON is its text: proxies in between answer so. */
function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

function failure(request: ApiRequest, timeoutMs: number, error: unknown): unknown {
  if (error instanceof ApiError || request.signal.aborted) return request.signal.aborted ? request.signal.reason : error
  const call = callOf(request)
  if (error instanceof DOMException && error.name === 'TimeoutError') {
    return new ApiError({ status: 0, reason: 'Timeout', message: `${call}: no answer within ${timeoutMs} ms`, cause: error })
  }
  const reason = error instanceof RangeError ? 'BadAnswer' : 'Unreachable'
  return new ApiError({ status: 0, reason, message: `${call}: ${messageOf(error)}`, cause: error })
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message || error.name : String(error))
