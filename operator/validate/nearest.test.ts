import assert from 'node:assert/strict'
import { test } from 'node:test'
import { nearest } from './nearest.ts'

const FIELDS = ['modelName', 'weight', 'max_tokens', 'endpoint']

const CASES: Readonly<Record<string, string | undefined>> = {
  wieght: 'weight',
  Weight: 'weight',
  'max-tokens': 'max_tokens',
  maxTokens: 'max_tokens',
  endpont: 'endpoint',
  model_name: 'modelName',
  colour: undefined,
  pricing: undefined,
  x: undefined,
}

for (const [word, expected] of Object.entries(CASES)) {
  test(`${word} is taken for ${expected ?? 'nothing that is known'}`, () => assert.equal(nearest(word, FIELDS), expected))
}

test('a very long word costs no time and resembles nothing', () => {
  assert.equal(nearest('w'.repeat(1_000_000), FIELDS), undefined)
})
