import assert from 'node:assert/strict'
import { createHash, createHmac } from 'node:crypto'
import { test } from 'node:test'
import { ISSUER, issuerOf, makeSigningKey, makeToken, type TokenLines } from '../../test/support/service-account.ts'
import { looksLikeToken, verifyToken } from './client-tokens.ts'

const ES = makeSigningKey('ES256', 'es')
const RS = makeSigningKey('RS256', 'rs')
const ES384 = makeSigningKey('ES384', 'es384')
const STRANGER = makeSigningKey('ES256', 'es')
const SHORT = makeSigningKey('RS256', 'short', 1024)
const TRUSTED = issuerOf(ES, RS, ES384, SHORT)
const NOW_MS = Date.now()
const SECONDS = Math.floor(NOW_MS / 1000)

/** Whose it is, as "namespace name", or what is wrong with it. */
function whose(token: string, issuers = [TRUSTED], nowMs = NOW_MS): string {
  const verdict = verifyToken(token, createHash('sha256').update(token).digest('hex'), issuers, nowMs)
  return 'client' in verdict ? `${verdict.client.namespace} ${verdict.client.name}` : verdict.refused
}
const ofES = (lines: TokenLines): string => whose(makeToken(ES, lines))

const STRANGE = /was not signed by a cluster that is trusted here/
const AUDIENCE = /not meant for this endpoint: ask for one with the audience llama-swap-client/
const b64 = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url')

/** The classic: an HMAC whose secret is the public key, which anyone can read. */
function asHmac(): string {
  const [, body] = makeToken(RS).split('.')
  const signed = `${b64({ alg: 'HS256', kid: 'rs' })}.${body}`
  return `${signed}.${createHmac('sha256', JSON.stringify(RS.jwk)).update(signed).digest('base64url')}`
}

const unsigned = (): string => `${b64({ alg: 'none', kid: 'es' })}.${makeToken(ES).split('.')[1]}.AA`
const edited = (): string => {
  const [head, , signature] = makeToken(ES).split('.')
  return `${head}.${makeToken(ES, { namespace: 'team-b' }).split('.')[1]}.${signature}`
}

const CASES: Readonly<Record<string, [string, string | RegExp]>> = {
  'of an EC key': [ofES({}), 'team-a team-a/app'],
  'of an RSA key': [whose(makeToken(RS, { namespace: 'team-b', account: 'job' })), 'team-b team-b/job'],
  'of a larger EC key': [whose(makeToken(ES384)), 'team-a team-a/app'],
  'one audience as a string': [ofES({ claims: { aud: 'llama-swap-client' } }), 'team-a team-a/app'],
  'several audiences': [ofES({ audience: ['other', 'llama-swap-client'] }), 'team-a team-a/app'],
  'of another audience': [ofES({ audience: 'https://kubernetes.default.svc' }), AUDIENCE],
  'for operators': [ofES({ audience: 'llama-swap-push' }), AUDIENCE],
  'for clients and operators': [ofES({ audience: ['llama-swap-client', 'llama-swap-push'] }), AUDIENCE],
  'without an audience': [ofES({ claims: { aud: undefined } }), AUDIENCE],
  expired: [ofES({ expiresAt: SECONDS - 1 }), /has expired/],
  'without an end': [ofES({ claims: { exp: undefined } }), /has expired/],
  'that begins within the leeway of clocks': [ofES({ claims: { nbf: SECONDS + 50 } }), 'team-a team-a/app'],
  'that begins later': [ofES({ claims: { nbf: SECONDS + 70 } }), /not valid yet/],
  'of a key of another cluster with the same name': [whose(makeToken(STRANGER)), STRANGE],
  'of an unknown key': [ofES({ header: { kid: 'other' } }), STRANGE],
  'that names no key': [ofES({ header: { kid: undefined } }), STRANGE],
  'of another issuer': [ofES({ claims: { iss: 'https://elsewhere' } }), STRANGE],
  'whose algorithm is not its key’s': [ofES({ header: { kid: 'rs' } }), STRANGE],
  'that says RS256 over an EC key': [ofES({ header: { alg: 'RS256' } }), STRANGE],
  'of an RSA key that is too short': [whose(makeToken(SHORT)), STRANGE],
  'signed with the public key as a secret': [whose(asHmac()), STRANGE],
  'with the algorithm "none"': [whose(unsigned()), STRANGE],
  'whose claims were edited': [whose(edited()), STRANGE],
  'that is of no ServiceAccount': [ofES({ claims: { 'kubernetes.io': undefined } }), /not of a ServiceAccount/],
  'whose subject is another account': [ofES({ claims: { sub: 'system:serviceaccount:team-b:app' } }), /not of a ServiceAccount/],
  'that is none': [whose('a.b.c'), /can be read here/],
}

for (const [name, [got, expected]] of Object.entries(CASES))
  test(`a token ${name}`, () => (typeof expected === 'string' ? assert.equal(got, expected) : assert.match(got, expected)))

test('a verified token is looked up until it expires, and no longer than its issuer’s keys stay', () => {
  const issuer = issuerOf(ES)
  const token = makeToken(ES, { expiresAt: SECONDS + 10, claims: { iat: SECONDS, nbf: SECONDS } })
  assert.equal(whose(token, [issuer]), 'team-a team-a/app')
  assert.equal(whose(token, [issuer], NOW_MS + 5_000), 'team-a team-a/app')
  assert.match(whose(token, [issuer], NOW_MS + 11_000), /has expired/)
  assert.match(whose(token, [issuerOf(RS)]), STRANGE)
  assert.match(whose(token, [{ issuer: ISSUER, keys: [{ kid: 'es', kty: 'EC' }] }]), STRANGE)
})

test('what cannot be a token is not read as one', () => {
  assert.deepEqual(['sk-key-0123', 'a.b', 'a.b.c.d', 'a..c', makeToken(ES)].map(looksLikeToken), [false, false, false, false, true])
})
