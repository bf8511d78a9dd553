import type { IncomingHttpHeaders } from 'node:http'
import type { CompiledEndpoint } from '../routing-table/compiled.ts'

/** What of the client's head an engine gets to see. Never a credential; hop-by-hop and `connection`-named fields are not on it. */
const PASSED_ON = ['accept', 'user-agent', 'traceparent', 'tracestate', 'openai-beta', 'x-session-id'] as const

/** What of an engine's head the client gets to see, besides its content type. */
const PASSED_BACK = [
  'openai-processing-ms',
  'openai-version',
  'x-ratelimit-limit-requests',
  'x-ratelimit-limit-tokens',
  'x-ratelimit-remaining-requests',
  'x-ratelimit-remaining-tokens',
  'x-ratelimit-reset-requests',
  'x-ratelimit-reset-tokens',
] as const

/** The head of one attempt, as a raw list. The backend's own credential is the only one on it. */
export function upstreamHeaders(
  client: IncomingHttpHeaders,
  { backend }: CompiledEndpoint,
  requestId: string,
  credential: string | undefined,
): string[] {
  const head = ['content-type', 'application/json', 'accept-encoding', 'identity', 'x-request-id', requestId]
  for (const name of PASSED_ON) {
    const value = client[name]
    if (typeof value === 'string') head.push(name, value)
  }
  for (const { name, value } of backend.headers) head.push(name, value)
  if (backend.auth !== undefined && credential !== undefined) {
    head.push(backend.auth.header, backend.auth.scheme === '' ? credential : `${backend.auth.scheme} ${credential}`)
  }
  return head
}

/** Adds to `head` what an engine's head may tell the client. */
export function passBack(upstream: IncomingHttpHeaders, head: string[]): void {
  head.push('content-type', upstream['content-type'] ?? 'application/json')
  for (const name of PASSED_BACK) {
    const value = upstream[name]
    if (typeof value === 'string') head.push(name, value)
  }
}
