import { hash, timingSafeEqual } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'
import type { Client } from '../decide/input.ts'
import type { ApiError } from '../errors.ts'
import type { CompiledTable } from '../routing-table/compiled.ts'
import { looksLikeToken, verifyToken } from './client-tokens.ts'

export const AUTH_MODES = ['Required', 'Optional', 'Off'] as const
export type AuthMode = (typeof AUTH_MODES)[number]

export interface AuthSettings {
  readonly mode: AuthMode
  /** The namespace of a request without a key. */
  readonly anonymousNamespace: string
  /** Whether a routing table has come: before that nobody can be known. */
  readonly ready: boolean
}

const MAX_KEY_LENGTH = 4096

/**
 * Who asks. Keys come as `Authorization: Bearer …` or `x-api-key`. Only digests are compared: the look-up key is the SHA-256 of what was
 * sent, so neither its time nor a dump of the table tells anything of a key. A ServiceAccount token may come in a key's place, where the
 * table names who signs them (`client-tokens.ts`). With mode Off credentials are not even read.
 */
export function authenticate(
  headers: IncomingHttpHeaders,
  table: CompiledTable,
  settings: AuthSettings,
  nowMs: number,
): { client: Client } | { error: ApiError } {
  if (!settings.ready) return NO_TABLE
  const anonymous = { client: { name: undefined, namespace: settings.anonymousNamespace } }
  if (settings.mode === 'Off') return anonymous
  const key = presentedKey(headers)
  if (key === undefined)
    return settings.mode === 'Optional' ? anonymous : refused('A key is required: send it as "Authorization: Bearer KEY".')
  if (key.length > MAX_KEY_LENGTH) return refused(UNKNOWN_KEY)
  const digest = hash('sha256', key, 'hex')
  const found = table.clientKeys.get(digest)
  const issuers = table.table.tokenIssuers ?? []
  if (found === undefined && issuers.length > 0 && looksLikeToken(key)) {
    const verdict = verifyToken(key, digest, issuers, nowMs)
    return 'client' in verdict ? { client: verdict.client } : refused(verdict.refused)
  }
  if (found === undefined || !timingSafeEqual(Buffer.from(found.sha256), Buffer.from(digest))) return refused(UNKNOWN_KEY)
  if (found.expiresAtMs !== undefined && found.expiresAtMs <= nowMs)
    return refused('This key has expired. Ask whoever runs this endpoint for a new one.')
  return { client: { name: found.client, namespace: found.namespace } }
}

function presentedKey({ authorization, 'x-api-key': apiKey }: IncomingHttpHeaders): string | undefined {
  if (authorization !== undefined && /^bearer /i.test(authorization)) return authorization.slice('bearer '.length).trim()
  return typeof apiKey === 'string' ? apiKey : undefined
}

const UNKNOWN_KEY = 'This key is not known here. Ask whoever runs this endpoint for one.'
const NO_TABLE: { error: ApiError } = {
  error: {
    code: 'no_routing_table',
    message: 'This proxy has just started and has no routing table yet. Try again in a moment.',
    retryAfterMs: 1000,
    shouldRetry: true,
  },
}

const refused = (message: string): { error: ApiError } => ({ error: { code: 'invalid_api_key', message } })
