import assert from 'node:assert/strict'
import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import { test } from 'node:test'
import { type AuthenticateOptions, type KnownPod, makeAuthenticate, type Review } from './authenticate.ts'
import type { Verdict } from './identity.ts'

const NOW_MS = 1_760_000_000_000
const ISSUER = 'https://kubernetes.default.svc.cluster.local'
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 })
const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const stranger = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const KEYS = [
  { ...rsa.publicKey.export({ format: 'jwk' }), kid: 'rsa-1', alg: 'RS256', use: 'sig' },
  { ...ec.publicKey.export({ format: 'jwk' }), kid: 'ec-1' },
]

interface TokenLines {
  readonly alg?: string
  readonly kid?: string
  readonly key?: KeyObject
  readonly claims?: Readonly<Record<string, unknown>>
  readonly namespace?: string
  readonly serviceAccount?: string
  readonly pod?: object | null
}

function token({ alg = 'ES256', kid = 'ec-1', key = ec.privateKey, claims = {}, ...who }: TokenLines = {}): string {
  const { namespace = 'team-a', serviceAccount = 'default', pod = { name: 'app-0', uid: 'u-1' } } = who
  const bound = { namespace, serviceaccount: { name: serviceAccount, uid: 'u-sa' }, ...(pod !== null && { pod }) }
  const payload = {
    iss: ISSUER,
    aud: ['llama-swap-push'],
    exp: NOW_MS / 1000 + 3600,
    nbf: NOW_MS / 1000,
    'kubernetes.io': bound,
    ...claims,
  }
  const encode = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url')
  const signed = `${encode({ alg, kid })}.${encode(payload)}`
  const signature = sign('sha256', Buffer.from(signed), { key, dsaEncoding: 'ieee-p1363' })
  return `${signed}.${signature.toString('base64url')}`
}

const POD: KnownPod = { uid: 'u-1', isOver: false }

function options(given: Partial<AuthenticateOptions> = {}): AuthenticateOptions {
  return {
    gatewayServiceAccounts: ['llama-swap/gateway'],
    servesNamespace: (namespace) => namespace.startsWith('team-'),
    podOf: () => POD,
    check: { by: 'Keys', issuers: () => [{ issuer: ISSUER, keys: KEYS }] },
    clock: () => NOW_MS,
    ...given,
  }
}

const ask = (text: string, given?: Partial<AuthenticateOptions>): Promise<Verdict> =>
  makeAuthenticate(options(given))(text, AbortSignal.timeout(1_000))

const codeOf = (verdict: Verdict): string => ('refusal' in verdict ? verdict.refusal.code : verdict.identity.modes.join())

const OFFLINE: Readonly<Record<string, readonly [string, string, Partial<AuthenticateOptions>?]>> = {
  'an app of a served namespace is a sidecar': [token(), 'Sidecar'],
  'RSA keys do as well': [token({ alg: 'RS256', kid: 'rsa-1', key: rsa.privateKey }), 'Sidecar'],
  "the gateway's account is a gateway, and no sidecar outside of what is served": [
    token({ namespace: 'llama-swap', serviceAccount: 'gateway' }),
    'Gateway',
  ],
  'a namespace that is not served': [token({ namespace: 'kube-system' }), 'namespace_not_served'],
  "a client's token": [token({ claims: { aud: ['llama-swap-client'] } }), 'wrong_audience'],
  'a token for the API server': [token({ claims: { aud: [ISSUER] } }), 'wrong_audience'],
  'an expired token': [token({ claims: { exp: NOW_MS / 1000 - 1 } }), 'invalid_token'],
  'a token of tomorrow': [token({ claims: { nbf: NOW_MS / 1000 + 60 } }), 'invalid_token'],
  'a token that never expires': [token({ claims: { exp: undefined } }), 'invalid_token'],
  'another issuer': [token({ claims: { iss: 'https://elsewhere' } }), 'invalid_token'],
  'a token bound to no pod': [token({ pod: null }), 'invalid_token'],
  "a stranger's key": [token({ key: stranger.privateKey }), 'invalid_token'],
  'an algorithm that does not go with the key': [token({ alg: 'RS256', kid: 'ec-1', key: ec.privateKey }), 'invalid_token'],
  'no algorithm': [`${token({ alg: 'none' }).split('.').slice(0, 2).join('.')}.AA`, 'invalid_token'],
  'a symmetric algorithm': [token({ alg: 'HS256' }), 'invalid_token'],
  'claims changed after signing': [tampered(), 'invalid_token'],
  'no token at all': ['garbage', 'invalid_token'],
  'a pod that is gone': [token(), 'pod_gone', { podOf: () => undefined }],
  'a pod of that name that is another': [token({ pod: { name: 'app-0', uid: 'u-0' } }), 'pod_gone'],
  'a pod that has ended': [token(), 'pod_gone', { podOf: () => ({ uid: 'u-1', isOver: true }) }],
  'a pod that is not watched cannot be told from a deleted one': [token(), 'pod_gone', { podOf: () => 'unwatched' }],
}

function tampered(): string {
  const [header, payload, signature] = token().split('.')
  const claims = JSON.parse(Buffer.from(payload ?? '', 'base64url').toString('utf8'))
  claims['kubernetes.io'].namespace = 'team-b'
  return `${header}.${Buffer.from(JSON.stringify(claims)).toString('base64url')}.${signature}`
}

for (const [what, [text, expected, given]] of Object.entries(OFFLINE)) {
  test(`by keys: ${what}: ${expected}`, async () => assert.equal(codeOf(await ask(text, given)), expected))
}

test('identity comes from the claims', async () => {
  assert.deepEqual(await ask(token()), {
    identity: {
      modes: ['Sidecar'],
      namespace: 'team-a',
      pod: 'app-0',
      podUid: 'u-1',
      serviceAccount: 'default',
      expiresAtMs: NOW_MS + 3_600_000,
    },
  })
})

const GOOD: Review = { authenticated: true, audiences: ['llama-swap-push'], username: 'system:serviceaccount:team-a:default', error: '' }

const reviewed = (review: Partial<Review>, given: Partial<AuthenticateOptions> = {}): Partial<AuthenticateOptions> => ({
  check: { by: 'TokenReview', review: async () => ({ ...GOOD, ...review }) },
  ...given,
})

const ASKED: Readonly<Record<string, readonly [Partial<AuthenticateOptions>, string]>> = {
  'what it says yes to': [reviewed({}), 'Sidecar'],
  'pods need not be watched': [reviewed({}, { podOf: () => 'unwatched' }), 'Sidecar'],
  'where they are, they have to be there': [reviewed({}, { podOf: () => undefined }), 'pod_gone'],
  'a no': [reviewed({ authenticated: false, error: 'no' }), 'invalid_token'],
  'a no for a pod that is gone': [reviewed({ authenticated: false, error: 'no' }, { podOf: () => undefined }), 'pod_gone'],
  'a yes that knows no audiences': [reviewed({ audiences: [] }), 'wrong_audience'],
  'a yes for another user than the claims say': [reviewed({ username: 'system:serviceaccount:team-b:default' }), 'invalid_token'],
}

for (const [what, [given, expected]] of Object.entries(ASKED)) {
  test(`by the API server: ${what}: ${expected}`, async () => assert.equal(codeOf(await ask(token(), given)), expected))
}

test('a good answer of the API server holds for a minute, a bad one is asked for again', async () => {
  let asked = 0
  let nowMs = NOW_MS
  let authenticated = false
  const review = async (): Promise<Review> => {
    asked++
    return { ...GOOD, authenticated }
  }
  const authenticate = makeAuthenticate(options({ check: { by: 'TokenReview', review }, clock: () => nowMs }))
  const text = token()
  const once = async (): Promise<string> => codeOf(await authenticate(text, AbortSignal.timeout(1_000)))
  assert.deepEqual([await once(), asked], ['invalid_token', 1])
  authenticated = true
  assert.deepEqual([await once(), await once(), asked], ['Sidecar', 'Sidecar', 2])
  nowMs += 60_001
  assert.deepEqual([await once(), asked], ['Sidecar', 3])
})

test('no answer of the API server is no refusal', async () => {
  const review = async (): Promise<Review> => Promise.reject(new Error('away'))
  await assert.rejects(ask(token(), { check: { by: 'TokenReview', review } }), /away/)
})
