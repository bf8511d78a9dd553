import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ownedBy, readOwnAccount } from './own-account.ts'

const tokenOf = (claims: unknown): string => `e30.${Buffer.from(JSON.stringify(claims)).toString('base64url')}.c2ln`
const CLAIMS = { 'kubernetes.io': { namespace: 'llama-swap', serviceaccount: { name: 'llama-swap-operator', uid: 'u-1' } } }
const ACCOUNT = { namespace: 'llama-swap', name: 'llama-swap-operator', uid: 'u-1' }

test('a token says which account it is of', () => {
  assert.deepEqual(readOwnAccount(tokenOf(CLAIMS)), ACCOUNT)
})

test('what is no token of a ServiceAccount says nothing', () => {
  for (const token of ['', 'a', 'a.b.c', tokenOf(null), tokenOf({}), tokenOf({ 'kubernetes.io': { namespace: 'a', serviceaccount: {} } })])
    assert.equal(readOwnAccount(token), undefined, token)
})

test('what is made in the namespace of the account is owned by it, and nothing elsewhere or without one', () => {
  const reference = { apiVersion: 'v1', kind: 'ServiceAccount', name: 'llama-swap-operator', uid: 'u-1' }
  assert.deepEqual(ownedBy(ACCOUNT, 'llama-swap'), { ownerReferences: [reference] })
  assert.deepEqual(ownedBy(ACCOUNT, 'team-a'), {})
  assert.deepEqual(ownedBy(undefined, 'llama-swap'), {})
})
