import type { Backend, Capability } from '../routing-table/v1.ts'
import type { Reply } from './ask.ts'

/** An engine under load may have to queue it. */
export const ONE_TOKEN_TIMEOUT_MS = 8_000

/** The smallest request that an engine cannot answer without its model: path behind the base path, and body. */
export function oneTokenRequest(
  { upstreamModel, capabilities }: Backend,
  detected: readonly Capability[] | undefined,
): { path: string; body: string } {
  const has = capabilities ?? detected
  const asked = { model: upstreamModel, max_tokens: 1, stream: false }
  if (has?.includes('chat') === false) return { path: '/completions', body: JSON.stringify({ ...asked, prompt: '.' }) }
  return { path: '/chat/completions', body: JSON.stringify({ ...asked, messages: [{ role: 'user', content: '.' }] }) }
}

/** Undefined = it works. One that refuses the request is there and speaks for itself: only an error of its own is none. */
export const oneTokenFailure = ({ status }: Reply): string | undefined => (status >= 500 ? `status ${status}` : undefined)
