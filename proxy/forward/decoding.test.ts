import assert from 'node:assert/strict'
import { test } from 'node:test'
import { brotliCompressSync, deflateSync, gzipSync, zstdCompressSync } from 'node:zlib'
import { decoderFor } from './decoding.ts'

/** Resolves with the decoded bytes, or the error of a broken encoding. */
function decode(coding: string, chunks: readonly Buffer[]): Promise<Buffer | Error> {
  return new Promise((resolve, reject) => {
    const out: Buffer[] = []
    const decoder = decoderFor(coding, {
      onData: (chunk) => out.push(chunk),
      onDrain: () => {},
      onEnd: (error) => resolve(error ?? Buffer.concat(out)),
    })
    if (decoder === undefined) return reject(new Error(`no decoder for ${coding}`))
    for (const chunk of chunks) decoder.push(chunk)
    decoder.end()
  })
}

const bytewise = (bytes: Buffer): Buffer[] => Array.from(bytes, (byte) => Buffer.of(byte))
const TEXT = Buffer.from('data: {"choices":[]}\n\n'.repeat(50))
const CODINGS = { gzip: gzipSync, 'x-gzip': gzipSync, deflate: deflateSync, br: brotliCompressSync, zstd: zstdCompressSync }

for (const [coding, encode] of Object.entries(CODINGS)) {
  test(`${coding}, whole and byte after byte`, async () => {
    assert.deepEqual(await decode(coding, [encode(TEXT)]), TEXT)
    assert.deepEqual(await decode(coding, bytewise(encode(TEXT))), TEXT)
  })

  test(`${coding}, cut short: an error, not a short answer`, async () => {
    assert.ok((await decode(coding, [encode(TEXT).subarray(0, -3)])) instanceof Error)
  })
}

test('capitals and spaces do not matter', async () => {
  assert.deepEqual(await decode(' GZIP ', [gzipSync(TEXT)]), TEXT)
})

test('an encoding that is none is an error', async () => {
  assert.ok((await decode('gzip', [Buffer.from('not gzip at all')])) instanceof Error)
})

test('no decoder for what is unknown, or for several at once', () => {
  const to = { onData: () => {}, onDrain: () => {}, onEnd: () => {} }
  for (const coding of ['compress', 'gzip, br', 'constructor', '__proto__']) assert.equal(decoderFor(coding, to), undefined)
})

test('a decoder that falls behind says so, and when it has caught up', async () => {
  // Bytes that do not shrink: more of them at once than a decoder takes.
  const noise = Buffer.from(Array.from({ length: 256 * 1024 }, (_, index) => (Math.imul(index + 1, 2654435761) >>> 24) ^ (index >>> 3)))
  let decoded = 0
  await new Promise<void>((resolve) => {
    const onData = (chunk: Buffer): void => {
      decoded += chunk.length
    }
    const decoder = decoderFor('gzip', { onData, onDrain: resolve, onEnd: () => {} })
    assert.equal(decoder?.push(gzipSync(noise, { level: 0 })), false)
  })
  assert.ok(decoded > 0)
})
