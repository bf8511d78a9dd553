/**
 * Reads and shortens programs and libraries (64-bit ELF, little-endian) without tools of their processor. PURE.
 */

const DYNAMIC = 2
const LOAD = 1
const NEEDED = 1n
const STRING_TABLE = 5n

interface Segment {
  readonly kind: number
  readonly offset: number
  readonly address: number
  readonly size: number
}

/**
 * The same program without what is never loaded: debug information, symbols, the list of sections. That all lies behind the last segment;
 * the names that other code may link to stay. Throws on other files.
 */
export function withoutSections(file: Uint8Array): Uint8Array {
  const end = Math.max(...segmentsOf(file).flatMap(({ kind, offset, size }) => (kind === LOAD ? [offset + size] : [])))
  const short = Buffer.from(file.subarray(0, end))
  short.writeBigUInt64LE(0n, 40)
  for (const field of [58, 60, 62]) short.writeUInt16LE(0, field)
  return short
}

/** Names of the libraries that the loader wants for it, such as "libc.so.6". */
export function neededBy(file: Uint8Array): readonly string[] {
  const bytes = viewOf(file)
  const segments = segmentsOf(file)
  const dynamic = segments.find(({ kind }) => kind === DYNAMIC)
  if (dynamic === undefined) return []
  const entries = Array.from({ length: dynamic.size / 16 }, (_, index) => {
    const at = dynamic.offset + index * 16
    return { tag: bytes.readBigUInt64LE(at), value: Number(bytes.readBigUInt64LE(at + 8)) }
  })
  const strings = entries.find(({ tag }) => tag === STRING_TABLE)?.value ?? 0
  const from = segments.find(({ kind, address, size }) => kind === LOAD && address <= strings && strings < address + size)
  if (from === undefined) throw new Error('this program has no table of names')
  const names = strings - from.address + from.offset
  return entries.flatMap(({ tag, value }) =>
    tag === NEEDED ? [bytes.toString('latin1', names + value, bytes.indexOf(0, names + value))] : [],
  )
}

function segmentsOf(file: Uint8Array): readonly Segment[] {
  const bytes = viewOf(file)
  if (bytes.length < 64 || bytes.readUInt32BE(0) !== 0x7f454c46 || bytes.readUInt16BE(4) !== 0x0201)
    throw new Error('this is no 64-bit ELF file')
  const start = Number(bytes.readBigUInt64LE(32))
  const entrySize = bytes.readUInt16LE(54)
  return Array.from({ length: bytes.readUInt16LE(56) }, (_, index) => {
    const at = start + index * entrySize
    const field = (offset: number): number => Number(bytes.readBigUInt64LE(at + offset))
    return { kind: bytes.readUInt32LE(at), offset: field(8), address: field(16), size: field(32) }
  })
}

const viewOf = (file: Uint8Array): Buffer => Buffer.from(file.buffer, file.byteOffset, file.byteLength)
