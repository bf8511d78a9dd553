import assert from 'node:assert/strict'
import type { IncomingHttpHeaders } from 'node:http'
import { test } from 'node:test'
import { makeTable } from '../../test/support/table.ts'
import { compileTable } from '../routing-table/index.ts'
import { type AuthMode, authenticate } from './authenticate.ts'

const KEY = 'llama-swap-test-key-0123456789'
const EXPIRING = 'llama-swap-other-key-0123456789'
const NOW_MS = 1_000_000

const table = compileTable(
  makeTable({
    keys: [
      { key: KEY, client: 'team-a/app' },
      { key: EXPIRING, client: 'team-b/job', expiresAtMs: NOW_MS },
    ],
  }),
)

/** Who it is, as "namespace name", or what is wrong. */
function ask(mode: AuthMode, headers: IncomingHttpHeaders, nowMs = NOW_MS): string {
  const result = authenticate(headers, table, { mode, anonymousNamespace: 'guests', ready: true }, nowMs)
  if ('client' in result) return `${result.client.namespace} ${result.client.name ?? 'anonymous'}`
  assert.equal(result.error.code, 'invalid_api_key')
  return result.error.message
}

const bearer = (key: string): IncomingHttpHeaders => ({ authorization: `Bearer ${key}` })
const REQUIRED = /^A key is required/
const UNKNOWN = /^This key is not known here/
const EXPIRED = /^This key has expired/

const CASES: Readonly<Record<string, [string, string | RegExp]>> = {
  'a key as a bearer': [ask('Required', bearer(KEY)), 'team-a team-a/app'],
  'the scheme in any capitals, spaces around the key': [ask('Required', { authorization: `bearer  ${KEY} ` }), 'team-a team-a/app'],
  'a key in x-api-key': [ask('Required', { 'x-api-key': KEY }), 'team-a team-a/app'],
  'a bearer before x-api-key': [ask('Required', { ...bearer('wrong-key'), 'x-api-key': KEY }), UNKNOWN],
  'basic authentication is no key': [ask('Required', { authorization: 'Basic dTpw' }), REQUIRED],
  'basic authentication beside x-api-key': [ask('Required', { authorization: 'Basic dTpw', 'x-api-key': KEY }), 'team-a team-a/app'],
  'no key where one is required': [ask('Required', {}), REQUIRED],
  'no key where it is optional': [ask('Optional', {}), 'guests anonymous'],
  'a wrong key where it is optional is refused all the same': [ask('Optional', bearer('wrong-key')), UNKNOWN],
  'a right key where it is optional': [ask('Optional', bearer(KEY)), 'team-a team-a/app'],
  'an empty key': [ask('Required', { authorization: 'Bearer ' }), UNKNOWN],
  'an empty x-api-key': [ask('Optional', { 'x-api-key': '' }), UNKNOWN],
  'a key with a letter more': [ask('Required', bearer(`${KEY}x`)), UNKNOWN],
  'a key in other capitals': [ask('Required', bearer(KEY.toUpperCase())), UNKNOWN],
  'the digest of a key is no key': [ask('Required', bearer([...table.clientKeys.keys()][0] ?? '')), UNKNOWN],
  'a key of a megabyte': [ask('Required', bearer('x'.repeat(1_000_000))), UNKNOWN],
  'a key just before it expires': [ask('Required', bearer(EXPIRING), NOW_MS - 1), 'team-b team-b/job'],
  'a key at the moment it expires': [ask('Required', bearer(EXPIRING)), EXPIRED],
  'an expired key where it is optional': [ask('Optional', bearer(EXPIRING)), EXPIRED],
  'with Off nobody is asked': [ask('Off', bearer('wrong-key')), 'guests anonymous'],
  'with Off a right key gives no rights either': [ask('Off', bearer(KEY)), 'guests anonymous'],
}

for (const [name, [answer, expected]] of Object.entries(CASES)) {
  test(`authenticate: ${name}`, () => (typeof expected === 'string' ? assert.equal(answer, expected) : assert.match(answer, expected)))
}

test('no refusal repeats what was sent', () => {
  for (const key of ['wrong-key-wrong-key-wrong', EXPIRING]) assert.doesNotMatch(ask('Required', bearer(key)), new RegExp(key))
})
