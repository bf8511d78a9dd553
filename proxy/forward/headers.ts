import type { IncomingHttpHeaders } from 'node:http'
import type { CompiledEndpoint } from '../routing-table/compiled.ts'
import type { Backend } from '../routing-table/v1.ts'

/** What of the client's head an engine gets to see. Never a credential; hop-by-hop and `connection`-named fields are not on it. */
const PASSED_ON = ['accept', 'user-agent', 'traceparent', 'tracestate', 'openai-beta', 'x-session-id'] as const
/** And one that speaks Anthropic's API. */
const PASSED_TO_ANTHROPIC = ['anthropic-version', 'anthropic-beta'] as const
const ANTHROPIC_VERSION = '2023-06-01'

/** What of an engine's head the client gets to see, besides its content type. */
const PASSED_BACK = [
  'content-disposition',
  'openai-processing-ms',
  'openai-version',
  'x-ratelimit-limit-requests',
  'x-ratelimit-limit-tokens',
  'x-ratelimit-remaining-requests',
  'x-ratelimit-remaining-tokens',
  'x-ratelimit-reset-requests',
  'x-ratelimit-reset-tokens',
] as const

export interface UpstreamBody {
  /** Absent = JSON; empty = there is no body. */
  readonly contentType?: string | undefined
  /** Absent = the body's own, or unknown. */
  readonly contentLength?: number | undefined
}

/** The head of one attempt, as a raw list. The backend's own credential is the only one on it. */
export function upstreamHeaders(
  client: IncomingHttpHeaders,
  { backend }: CompiledEndpoint,
  requestId: string,
  credential: string | undefined,
  { contentType = 'application/json', contentLength }: UpstreamBody = {},
): string[] {
  const head = ['accept-encoding', 'identity', 'x-request-id', requestId]
  if (contentType !== '') head.unshift('content-type', contentType)
  if (contentLength !== undefined) head.push('content-length', String(contentLength))
  for (const name of PASSED_ON) {
    const value = client[name]
    if (typeof value === 'string') head.push(name, value)
  }
  if (backend.dialect === 'Anthropic') anthropicHeaders(client, backend, head)
  for (const { name, value } of backend.headers) head.push(name, value)
  if (backend.auth !== undefined && credential !== undefined) {
    head.push(backend.auth.header, backend.auth.scheme === '' ? credential : `${backend.auth.scheme} ${credential}`)
  }
  return head
}

/** What the resource sets goes before what the client sends. */
function anthropicHeaders(client: IncomingHttpHeaders, { headers }: Backend, head: string[]): void {
  for (const name of PASSED_TO_ANTHROPIC) {
    if (headers.some((set) => set.name.toLowerCase() === name)) continue
    const value = client[name] ?? (name === 'anthropic-version' ? ANTHROPIC_VERSION : undefined)
    if (typeof value === 'string') head.push(name, value)
  }
}

/** Adds to `head` what an engine's head may tell the client. `limits`: ours on the client, which go before the engine's on us. */
export function passBack(upstream: IncomingHttpHeaders, head: string[], limits: readonly string[] = []): void {
  head.push('content-type', upstream['content-type'] ?? 'application/json')
  head.push(...limits)
  for (const name of PASSED_BACK) {
    if (limits.length > 0 && name.startsWith('x-ratelimit')) continue
    const value = upstream[name]
    if (typeof value === 'string') head.push(name, value)
  }
}
