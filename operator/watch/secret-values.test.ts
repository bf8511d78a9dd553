import assert from 'node:assert/strict'
import { test } from 'node:test'
import { digestClientKey } from './client-key-digest.ts'
import { readSecretValues } from './secret-values.ts'

/** "${NAME}", as it stands in a file. */
const variable = (name: string): string => `\${${name}}`

const read = (secret: Parameters<typeof readSecretValues>[0], env = {}) => {
  const { values, mistakes } = readSecretValues(secret, env)
  return { values: Object.fromEntries(values), paths: mistakes.map(({ path }) => path) }
}

test('data is decoded, stringData is not, and stringData goes first', () => {
  const secret = { data: { a: 'c2stMQ==', b: 'c2stMg==' }, stringData: { b: 'plain' } }
  assert.deepEqual(read(secret), { values: { a: 'sk-1', b: 'plain' }, paths: [] })
})

test('a value that is exactly a variable comes from the environment', () => {
  const secret = { stringData: { a: variable('KEY'), b: `x${variable('KEY')}`, c: '$KEY' }, data: { d: variable('KEY') } }
  assert.deepEqual(read(secret, { KEY: 'sk-1' }), { values: { a: 'sk-1', b: `x${variable('KEY')}`, c: '$KEY', d: 'sk-1' }, paths: [] })
})

test('a variable that is not set is a mistake of that entry alone', () => {
  assert.deepEqual(read({ stringData: { a: variable('NOPE'), b: 'sk-1', c: variable('toString') } }), {
    values: { b: 'sk-1' },
    paths: ['stringData.a', 'stringData.c'],
  })
})

test('a mistake does not show the value', () => {
  const { mistakes } = readSecretValues({ data: { a: 'not base64 at all!' } }, {})
  assert.doesNotMatch(JSON.stringify(mistakes), /not base64 at all/)
  assert.equal(mistakes.length, 1)
})

test('a client key is digested without the line break at its end', () => {
  assert.deepEqual(digestClientKey('key', 'abc\n'), {
    name: 'key',
    sha256: 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad',
    characters: 3,
    sendable: true,
  })
  assert.equal(digestClientKey('key', 'a b').sendable, false)
})
