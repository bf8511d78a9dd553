import { createPublicKey, type KeyObject, verify } from 'node:crypto'
import type { Client } from '../decide/input.ts'
import type { TokenIssuer } from '../routing-table/v1.ts'

/** What a token for clients is made for. */
const CLIENT_AUDIENCE = 'llama-swap-client'
/** What a proxy's own token for operators is made for: never good for a client. */
const PUSH_AUDIENCE = 'llama-swap-push'
/** A cluster's clocks differ: a token may come a little before it begins. Not after its end: tokens are renewed long before. */
const NOT_BEFORE_LEEWAY_MS = 60_000
const MAX_VERIFIED = 10_000

/** An algorithm belongs to one type of key: a token cannot choose how it is checked. */
const ALGORITHMS = {
  RS256: {
    digest: 'sha256',
    fits: (key: KeyObject) => key.asymmetricKeyType === 'rsa' && (key.asymmetricKeyDetails?.modulusLength ?? 0) >= 2048,
  },
  ES256: {
    digest: 'sha256',
    fits: (key: KeyObject) => key.asymmetricKeyType === 'ec' && key.asymmetricKeyDetails?.namedCurve === 'prime256v1',
  },
  ES384: {
    digest: 'sha384',
    fits: (key: KeyObject) => key.asymmetricKeyType === 'ec' && key.asymmetricKeyDetails?.namedCurve === 'secp384r1',
  },
} as const

interface Known {
  readonly keys: ReadonlyMap<string, KeyObject>
  /** By SHA-256 of the token. */
  readonly verified: Map<string, { readonly client: Client; readonly expiresAtMs: number }>
}

/** What has been learned with an issuer's keys. Another value in the table (rotated keys) begins anew. */
const KNOWN = new WeakMap<TokenIssuer, Known>()

export type TokenVerdict = { readonly client: Client } | { readonly refused: string }

export const looksLikeToken = (text: string): boolean => /^[\w-]+\.[\w-]+\.[\w-]+$/.test(text)

/**
 * Whose ServiceAccount token this is: client "namespace/serviceAccount", with the rights of its namespace. `digest`: the token's SHA-256;
 * a token that has been verified is only looked up until it expires (10,000 for each issuer). Checked offline, with the issuers' keys from
 * the table: a token lives for its hour even if its pod is gone.
 */
export function verifyToken(token: string, digest: string, issuers: readonly TokenIssuer[], nowMs: number): TokenVerdict {
  for (const issuer of issuers) {
    const found = knownOf(issuer).verified.get(digest)
    if (found !== undefined) return found.expiresAtMs > nowMs ? { client: found.client } : EXPIRED
  }
  const parts = readToken(token)
  if (parts === undefined) return { refused: 'This is no ServiceAccount token that can be read here.' }
  const issuer = issuers.find(({ issuer }) => issuer === parts.claims['iss'])
  if (issuer === undefined || !isSigned(parts, knownOf(issuer)))
    return { refused: 'This ServiceAccount token was not signed by a cluster that is trusted here.' }
  const verdict = judge(parts.claims, nowMs)
  if ('client' in verdict) remember(knownOf(issuer).verified, digest, verdict)
  return verdict
}

const EXPIRED = { refused: 'This ServiceAccount token has expired. A projected token is renewed in its file: read it again.' }

interface TokenParts {
  readonly header: Readonly<Record<string, unknown>>
  readonly claims: Readonly<Record<string, unknown>>
  readonly signed: Buffer
  readonly signature: Buffer
}

function readToken(token: string): TokenParts | undefined {
  const [head = '', body = '', signature = ''] = token.split('.')
  const header = jsonOf(head)
  const claims = jsonOf(body)
  if (header === undefined || claims === undefined) return undefined
  return { header, claims, signed: Buffer.from(`${head}.${body}`), signature: Buffer.from(signature, 'base64url') }
}

function jsonOf(part: string): Record<string, unknown> | undefined {
  try {
    return recordOf(JSON.parse(Buffer.from(part, 'base64url').toString()))
  } catch {
    return undefined
  }
}

const recordOf = (value: unknown): Record<string, unknown> | undefined =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : undefined

function isSigned({ header, signed, signature }: TokenParts, { keys }: Known): boolean {
  const { alg, kid } = header
  const algorithm = alg === 'RS256' || alg === 'ES256' || alg === 'ES384' ? ALGORITHMS[alg] : undefined
  const key = typeof kid === 'string' ? keys.get(kid) : undefined
  if (algorithm === undefined || key === undefined || !algorithm.fits(key)) return false
  return verify(algorithm.digest, signed, { key, dsaEncoding: 'ieee-p1363' }, signature)
}

/** The claims of a token whose signature is good. */
function judge(claims: Readonly<Record<string, unknown>>, nowMs: number): { client: Client; expiresAtMs: number } | { refused: string } {
  const audiences: readonly unknown[] = Array.isArray(claims['aud']) ? claims['aud'] : [claims['aud']]
  if (!audiences.includes(CLIENT_AUDIENCE) || audiences.includes(PUSH_AUDIENCE))
    return { refused: `This ServiceAccount token is not meant for this endpoint: ask for one with the audience ${CLIENT_AUDIENCE}.` }
  const { exp, nbf } = claims
  if (typeof exp !== 'number' || exp * 1000 <= nowMs) return EXPIRED
  if (nbf !== undefined && !(typeof nbf === 'number' && nbf * 1000 <= nowMs + NOT_BEFORE_LEEWAY_MS))
    return { refused: 'This ServiceAccount token is not valid yet. Check the clocks.' }
  const client = clientOf(claims)
  return client === undefined ? { refused: 'This token is not of a ServiceAccount.' } : { client, expiresAtMs: exp * 1000 }
}

function clientOf(claims: Readonly<Record<string, unknown>>): Client | undefined {
  const kubernetes = recordOf(claims['kubernetes.io'])
  const namespace = kubernetes?.['namespace']
  const account = recordOf(kubernetes?.['serviceaccount'])?.['name']
  if (typeof namespace !== 'string' || typeof account !== 'string') return undefined
  if (claims['sub'] !== `system:serviceaccount:${namespace}:${account}`) return undefined
  return { name: `${namespace}/${account}`, namespace, serviceAccount: `${namespace}/${account}` }
}

function remember(verified: Known['verified'], digest: string, found: { client: Client; expiresAtMs: number }): void {
  if (verified.size >= MAX_VERIFIED) for (const oldest of [...verified.keys()].slice(0, MAX_VERIFIED / 10)) verified.delete(oldest)
  verified.set(digest, found)
}

function knownOf(issuer: TokenIssuer): Known {
  const known = KNOWN.get(issuer) ?? { keys: new Map(issuer.keys.flatMap(keyOf)), verified: new Map() }
  KNOWN.set(issuer, known)
  return known
}

/** None for a key that is not for signatures, has no name or cannot be read: tokens of it are refused, others are not harmed. */
function keyOf(jwk: Readonly<Record<string, unknown>>): [string, KeyObject][] {
  const { kid, use } = jwk
  if (typeof kid !== 'string' || (use !== undefined && use !== 'sig')) return []
  try {
    return [[kid, createPublicKey({ key: { ...jwk }, format: 'jwk' })]]
  } catch {
    return []
  }
}
