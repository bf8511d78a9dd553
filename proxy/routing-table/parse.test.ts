import assert from 'node:assert/strict'
import test from 'node:test'
import { parseTable } from './index.ts'

const empty = { version: 1, epoch: 0, seq: 0, models: [], policies: [], endpointSets: [], credentials: [], clientKeys: [] }

const errorsOf = (value: unknown): string[] => {
  const parsed = parseTable(value)
  return 'errors' in parsed ? parsed.errors.map(({ pointer, message }) => `${pointer} ${message}`) : []
}

test('reads an empty table', () => {
  assert.deepEqual(parseTable(empty), { table: empty })
})

test('refuses a version it does not read, and says which it reads', () => {
  assert.deepEqual(errorsOf({ ...empty, version: 99 }), ['/version table version 99 is not read here; this proxy reads 1'])
})

test('refuses what is no object at all', () => {
  assert.match(errorsOf('hello').join(), /table version string is not read here/)
})

test('refuses unknown fields with their pointer', () => {
  assert.deepEqual(errorsOf({ ...empty, colour: 'red' }), ['/colour is not known'])
})

test('names every fault, not only the first', () => {
  const { models: _, ...rest } = empty
  assert.deepEqual(errorsOf({ ...rest, epoch: -1, clientKeys: [{ client: 'a/b', namespace: 'a', sha256: 'zz' }] }), [
    `/epoch must be a number from 0 to ${Number.MAX_SAFE_INTEGER}`,
    '/models is missing',
    '/clientKeys/0/sha256 must be a SHA-256 in hex',
  ])
})

test('refuses an access of a kind it does not know', () => {
  const policy = { ref: 'default/auto', generation: 1, names: ['auto'], access: { from: 'Everybody' }, rules: [] }
  assert.deepEqual(errorsOf({ ...empty, policies: [policy] }), ['/policies/0/access must have "from" of Same, All, Namespaces'])
})
