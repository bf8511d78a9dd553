import assert from 'node:assert/strict'
import { test } from 'node:test'
import { inspect } from 'node:util'
import { SecretValue } from './secret-value.ts'

const PRINTERS: Record<string, (value: SecretValue) => string> = {
  String: (value) => String(value),
  JSON: (value) => JSON.stringify({ value }),
  'console.log': (value) => inspect({ value }, { showHidden: true, depth: 9 }),
  'the keys of the object': (value) => JSON.stringify(Object.entries(Object(value))),
}

for (const [printer, print] of Object.entries(PRINTERS)) {
  test(`a secret is not printed by ${printer}`, () => {
    assert.doesNotMatch(print(new SecretValue('sk-very-secret')), /very-secret/)
  })
}

test('a secret is given to who asks for it by name', () => {
  assert.equal(new SecretValue('sk-very-secret').reveal(), 'sk-very-secret')
})
