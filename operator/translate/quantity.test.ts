import assert from 'node:assert/strict'
import { test } from 'node:test'
import { decimals, MAX_BYTES, parseBytes } from './quantity.ts'

const BYTES: readonly (readonly [number | string, number])[] = [
  [1, 1],
  [1_099_511_627_776, MAX_BYTES],
  ['7', 7],
  ['2k', 2000],
  ['3M', 3_000_000],
  ['4G', 4_000_000_000],
  ['1Ki', 1024],
  ['256Mi', 268_435_456],
  ['1024Gi', MAX_BYTES],
]

for (const [quantity, bytes] of BYTES) test(`${quantity} is ${bytes} bytes`, () => assert.equal(parseBytes(quantity), bytes))

test('decimals become numbers, and what is absent stays absent', () => {
  assert.deepEqual(decimals({ a: '0.60', b: undefined, c: '12' }), { a: 0.6, c: 12 })
})
