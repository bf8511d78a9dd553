import assert from 'node:assert/strict'
import { test } from 'node:test'
import { neededBy, withoutSections } from './elf.ts'

const NAMES = '\0libc.so.6\0libm.so.6\0'

/** A program of one segment that is loaded, with a table of names and one of what it needs, and `behind` behind it. */
function program(behind: string): Buffer {
  const bytes = Buffer.alloc(0x200)
  bytes.write('\x7fELF\x02\x01', 0, 'latin1')
  bytes.writeBigUInt64LE(64n, 32)
  bytes.writeBigUInt64LE(BigInt(bytes.length), 40)
  for (const [at, value] of [
    [54, 56],
    [56, 2],
    [58, 64],
    [60, 9],
    [62, 8],
  ] as const)
    bytes.writeUInt16LE(value, at)
  segment(bytes, 64, { kind: 1, offset: 0, address: 0x400000, size: 0x200 })
  segment(bytes, 120, { kind: 2, offset: 0x100, address: 0x400100, size: 64 })
  for (const [index, [tag, value]] of (
    [
      [1, 1],
      [5, 0x400180],
      [1, 11],
      [0, 0],
    ] as const
  ).entries()) {
    bytes.writeBigUInt64LE(BigInt(tag), 0x100 + index * 16)
    bytes.writeBigUInt64LE(BigInt(value), 0x108 + index * 16)
  }
  bytes.write(NAMES, 0x180)
  return Buffer.concat([bytes, Buffer.from(behind)])
}

function segment(
  bytes: Buffer,
  at: number,
  { kind, offset, address, size }: Readonly<Record<'kind' | 'offset' | 'address' | 'size', number>>,
): void {
  bytes.writeUInt32LE(kind, at)
  for (const [field, value] of [
    [8, offset],
    [16, address],
    [32, size],
  ] as const)
    bytes.writeBigUInt64LE(BigInt(value), at + field)
}

test('what lies behind the last segment goes, and the list of sections with it', () => {
  assert.deepEqual(withoutSections(program('debug information')), withoutSections(program('other')))
  const short = Buffer.from(withoutSections(program('debug information')))
  assert.equal(short.length, 0x200)
  assert.equal(short.readBigUInt64LE(40), 0n)
  assert.deepEqual(
    [58, 60, 62].map((at) => short.readUInt16LE(at)),
    [0, 0, 0],
  )
})

test('says which libraries it needs, before and after', () => {
  assert.deepEqual(neededBy(program('')), ['libc.so.6', 'libm.so.6'])
  assert.deepEqual(neededBy(withoutSections(program('x'))), ['libc.so.6', 'libm.so.6'])
})

test('refuses what is no program', () => {
  assert.throws(() => withoutSections(Buffer.alloc(100)), /no 64-bit ELF/)
  assert.throws(() => neededBy(Buffer.from('#!/bin/sh')), /no 64-bit ELF/)
})
