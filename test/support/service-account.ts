/** ServiceAccount tokens as a cluster signs them, and the keys that a table names for them. */
import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import type { TokenIssuer } from '../../proxy/routing-table/v1.ts'

export const ISSUER = 'https://kubernetes.default.svc.cluster.local'

export interface SigningKey {
  readonly alg: 'RS256' | 'ES256' | 'ES384'
  readonly kid: string
  readonly privateKey: KeyObject
  readonly jwk: Readonly<Record<string, unknown>>
}

export function makeSigningKey(alg: SigningKey['alg'], kid: string, modulusLength = 2048): SigningKey {
  const { publicKey, privateKey } =
    alg === 'RS256'
      ? generateKeyPairSync('rsa', { modulusLength })
      : generateKeyPairSync('ec', { namedCurve: alg === 'ES256' ? 'P-256' : 'P-384' })
  return { alg, kid, privateKey, jwk: { ...publicKey.export({ format: 'jwk' }), kid, alg, use: 'sig' } }
}

export const issuerOf = (...keys: readonly SigningKey[]): TokenIssuer => ({ issuer: ISSUER, keys: keys.map(({ jwk }) => jwk) })

export interface TokenLines {
  readonly namespace?: string
  readonly account?: string
  readonly audience?: string | readonly string[]
  /** Seconds since the epoch. */
  readonly expiresAt?: number
  /** Over the claims and the header of a good token. */
  readonly claims?: Readonly<Record<string, unknown>>
  readonly header?: Readonly<Record<string, unknown>>
}

/** A token that is good for an hour, but for what the lines say. */
export function makeToken(key: SigningKey, lines: TokenLines = {}): string {
  const { namespace = 'team-a', account = 'app', audience = 'llama-swap-client', expiresAt, claims, header } = lines
  const now = Math.floor(Date.now() / 1000)
  const body = {
    iss: ISSUER,
    aud: typeof audience === 'string' ? [audience] : audience,
    sub: `system:serviceaccount:${namespace}:${account}`,
    iat: now,
    nbf: now,
    exp: expiresAt ?? now + 3600,
    'kubernetes.io': { namespace, serviceaccount: { name: account, uid: '1' }, pod: { name: 'app-0', uid: '2' } },
    ...claims,
  }
  const signed = `${part({ alg: key.alg, kid: key.kid, ...header })}.${part(body)}`
  return `${signed}.${sign(key.alg === 'ES384' ? 'sha384' : 'sha256', Buffer.from(signed), { key: key.privateKey, dsaEncoding: 'ieee-p1363' }).toString('base64url')}`
}

const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url')
