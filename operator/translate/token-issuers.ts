import type { TokenIssuer } from '../../proxy/routing-table/index.ts'
import type { Resources } from '../resources/snapshot.ts'

/** Public parts of a JSON Web Key, and what says how it is used: all that the table takes. */
const KEY_FIELDS: readonly string[] = ['kty', 'use', 'alg', 'kid', 'n', 'e', 'crv', 'x', 'y']

/** Keys without a type are none. Whatever else an issuer publishes with a key stays here, private parts above all. */
export function translateTokenIssuers(issuers: Resources['tokenIssuers']): readonly TokenIssuer[] {
  return issuers.map(({ issuer, keys }) => ({ issuer, keys: keys.filter(({ kty }) => typeof kty === 'string').map(publicParts) }))
}

const publicParts = (key: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> =>
  Object.fromEntries(Object.entries(key).filter(([name, value]) => KEY_FIELDS.includes(name) && typeof value === 'string'))
