import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { linesOf } from './lines.ts'

async function* chunksOf(bytes: Uint8Array, sizes: readonly number[]): AsyncGenerator<Uint8Array> {
  let from = 0
  for (const size of sizes) {
    yield bytes.subarray(from, from + size)
    from += size
  }
  yield bytes.subarray(from)
}

test('however the bytes are cut, the lines are the same', async () => {
  const line = fc.string({ unit: 'grapheme' }).map((text) => text.replaceAll('\n', ''))
  const property = fc.asyncProperty(fc.array(line), fc.array(fc.nat(20)), async (lines, sizes) => {
    const bytes = Buffer.from(lines.map((text) => `${text}\n`).join(''))
    assert.deepEqual(await Array.fromAsync(linesOf(chunksOf(bytes, sizes), 1e6)), lines)
  })
  await fc.assert(property, { numRuns: 200 })
})

test('a last line without its break is given, cut as it is', async () => {
  assert.deepEqual(await Array.fromAsync(linesOf(chunksOf(Buffer.from('{"a":1}\n{"b"'), [4]), 100)), ['{"a":1}', '{"b"'])
})

test('a line without end is refused', async () => {
  await assert.rejects(Array.fromAsync(linesOf(chunksOf(Buffer.alloc(101), [50]), 100)), RangeError)
})
