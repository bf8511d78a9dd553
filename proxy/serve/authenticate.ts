import { hash, timingSafeEqual } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'
import type { Client } from '../decide/input.ts'
import type { ApiError } from '../errors.ts'
import type { CompiledTable } from '../routing-table/compile.ts'

export const AUTH_MODES = ['Required', 'Optional', 'Off'] as const
export type AuthMode = (typeof AUTH_MODES)[number]

export interface AuthSettings {
  readonly mode: AuthMode
  /** The namespace of a request without a key. */
  readonly anonymousNamespace: string
}

const MAX_KEY_LENGTH = 4096

/**
 * Who asks. Keys come as `Authorization: Bearer …` or `x-api-key`. Only digests are compared: the look-up key is the SHA-256 of what was
 * sent, so neither its time nor a dump of the table tells anything of a key. With mode Off credentials are not even read.
 */
export function authenticate(
  headers: IncomingHttpHeaders,
  table: CompiledTable,
  settings: AuthSettings,
  nowMs: number,
): { client: Client } | { error: ApiError } {
  const anonymous = { client: { name: undefined, namespace: settings.anonymousNamespace } }
  if (settings.mode === 'Off') return anonymous
  const key = presentedKey(headers)
  if (key === undefined)
    return settings.mode === 'Optional' ? anonymous : refused('A key is required: send it as "Authorization: Bearer KEY".')
  const digest = hash('sha256', key, 'hex')
  const found = key.length <= MAX_KEY_LENGTH ? table.clientKeys.get(digest) : undefined
  if (found === undefined || !timingSafeEqual(Buffer.from(found.sha256), Buffer.from(digest)))
    return refused('This key is not known here. Ask whoever runs this endpoint for one.')
  if (found.expiresAtMs !== undefined && found.expiresAtMs <= nowMs)
    return refused('This key has expired. Ask whoever runs this endpoint for a new one.')
  return { client: { name: found.client, namespace: found.namespace } }
}

function presentedKey({ authorization, 'x-api-key': apiKey }: IncomingHttpHeaders): string | undefined {
  if (authorization !== undefined && /^bearer /i.test(authorization)) return authorization.slice('bearer '.length).trim()
  return typeof apiKey === 'string' ? apiKey : undefined
}

const refused = (message: string): { error: ApiError } => ({ error: { code: 'invalid_api_key', message } })
