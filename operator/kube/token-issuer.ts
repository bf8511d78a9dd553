import type { TokenIssuer } from '../resources/snapshot.ts'
import { isFields } from '../validate/problem.ts'
import { ApiError } from './api-error.ts'
import type { CallOptions, KubeClient } from './client.ts'

const DISCOVERY_PATH = '/.well-known/openid-configuration'
const KEYS_PATH = '/openid/v1/jwks'
/** Private parts of a key, should a server ever send them. */
const PRIVATE = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k']

/** The issuer of the cluster's ServiceAccount tokens and its public keys; the ClusterRole system:service-account-issuer-discovery allows it. */
export async function readTokenIssuer(client: KubeClient, options: CallOptions): Promise<TokenIssuer> {
  const { issuer } = await client.get(DISCOVERY_PATH, options)
  const { keys } = await client.get(KEYS_PATH, { ...options, accept: 'application/jwk-set+json' })
  if (typeof issuer !== 'string' || !Array.isArray(keys)) {
    throw new ApiError({ status: 0, reason: 'BadAnswer', message: `GET ${DISCOVERY_PATH}: the answer names no issuer or no keys` })
  }
  return { issuer, keys: keys.filter(isFields).map(publicPart) }
}

const publicPart = (key: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> =>
  Object.fromEntries(Object.entries(key).filter(([name]) => !PRIVATE.includes(name)))
