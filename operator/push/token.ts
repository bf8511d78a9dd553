import { createPublicKey, type KeyObject, verify } from 'node:crypto'
import type { TokenIssuer } from '../resources/snapshot.ts'

/** The claims of a ServiceAccount token that say who a pod is. */
export interface PodClaims {
  readonly issuer: string
  readonly audiences: readonly string[]
  readonly expiresAtMs: number
  readonly notBeforeMs: number
  readonly namespace: string
  readonly serviceAccount: string
  readonly pod: string
  readonly podUid: string
}

export interface UnverifiedToken {
  readonly algorithm: string
  readonly keyId: string | undefined
  readonly claims: PodClaims
  /** Over which the signature is. */
  readonly signed: string
  readonly signature: Buffer
}

type Json = Readonly<Record<string, unknown>>

/** What a token says, true or not. Undefined = it is no token of a pod. */
export function readToken(token: string): UnverifiedToken | undefined {
  const [header = '', payload = '', signature = '', ...more] = token.split('.')
  const head = jsonOf(header)
  const claims = claimsOf(jsonOf(payload))
  const algorithm = textIn(head, 'alg')
  if (more.length > 0 || signature === '' || claims === undefined || algorithm === undefined) return undefined
  const keyId = textIn(head, 'kid')
  return { algorithm, keyId, claims, signed: `${header}.${payload}`, signature: Buffer.from(signature, 'base64url') }
}

function claimsOf(payload: Json): PodClaims | undefined {
  const bound = jsonIn(payload, 'kubernetes.io')
  const audience = payload['aud']
  const issuer = textIn(payload, 'iss')
  const namespace = textIn(bound, 'namespace')
  const serviceAccount = textIn(jsonIn(bound, 'serviceaccount'), 'name')
  const pod = textIn(jsonIn(bound, 'pod'), 'name')
  const podUid = textIn(jsonIn(bound, 'pod'), 'uid')
  const expires = payload['exp']
  const notBefore = payload['nbf'] ?? 0
  if (issuer === undefined || namespace === undefined || serviceAccount === undefined || pod === undefined || podUid === undefined)
    return undefined
  if (typeof expires !== 'number' || typeof notBefore !== 'number') return undefined
  const audiences = (Array.isArray(audience) ? audience : [audience]).filter((one) => typeof one === 'string')
  return { issuer, audiences, expiresAtMs: expires * 1000, notBeforeMs: notBefore * 1000, namespace, serviceAccount, pod, podUid }
}

/** The two that Kubernetes signs with, each bound to its kind of key, so that no token chooses how it is verified. */
const ALGORITHMS: Readonly<Record<string, { readonly kty: string; readonly crv?: string }>> = {
  RS256: { kty: 'RSA' },
  ES256: { kty: 'EC', crv: 'P-256' },
}

const MAX_KEYS = 16

/** Whether one of the issuer's keys has signed it. Says nothing of audience, time or pod. */
export function isSignedBy({ algorithm, keyId, claims, signed, signature }: UnverifiedToken, issuers: readonly TokenIssuer[]): boolean {
  const shape = Object.hasOwn(ALGORITHMS, algorithm) ? ALGORITHMS[algorithm] : undefined
  if (shape === undefined) return false
  const keys = issuers.filter(({ issuer }) => issuer === claims.issuer).flatMap((issuer) => issuer.keys)
  const fitting = keys.filter((key) => key['kty'] === shape.kty && (shape.crv === undefined || key['crv'] === shape.crv))
  const named = keyId === undefined ? fitting : fitting.filter((key) => key['kid'] === undefined || key['kid'] === keyId)
  return named.slice(0, MAX_KEYS).some((key) => isSignedWith(key, signed, signature))
}

function isSignedWith(jwk: Json, signed: string, signature: Buffer): boolean {
  const key = publicKey(jwk)
  return key !== undefined && verify('sha256', Buffer.from(signed), { key, dsaEncoding: 'ieee-p1363' }, signature)
}

function publicKey(jwk: Json): KeyObject | undefined {
  try {
    return createPublicKey({ key: { ...jwk }, format: 'jwk' })
  } catch {
    return undefined
  }
}

function jsonOf(part: string): Json {
  try {
    return asJson(JSON.parse(Buffer.from(part, 'base64url').toString('utf8')))
  } catch {
    return {}
  }
}

const asJson = (value: unknown): Json => (typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : {})
const jsonIn = (from: Json, name: string): Json => asJson(from[name])

function textIn(from: Json, name: string): string | undefined {
  const value = from[name]
  return typeof value === 'string' && value !== '' ? value : undefined
}
