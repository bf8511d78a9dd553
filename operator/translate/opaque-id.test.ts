import assert from 'node:assert/strict'
import { test } from 'node:test'
import { opaqueId } from './opaque-id.ts'

test('an id is 13 characters that a table takes, and never changes for the same text', () => {
  assert.equal(opaqueId('a'), 0xaf63dc4c8601ec8cn.toString(36).padStart(13, '0'), 'the published FNV-1a value')
  for (const text of ['', 'a', 'default/llama gpu http://a:8000/v1']) assert.match(opaqueId(text), /^[0-9a-z]{13}$/)
})

test('ids of many addresses differ', () => {
  const ids = Array.from({ length: 20_000 }, (_, index) => opaqueId(`default/llama gpu http://10.0.${index >> 8}.${index & 255}:8000/v1`))
  assert.equal(new Set(ids).size, ids.length)
})
