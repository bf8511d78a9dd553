/** Puts `text` in place of the bytes `[start, end)`; `start === end` inserts. */
export interface Edit {
  readonly start: number
  readonly end: number
  readonly text: string
}

/** Applies edits that do not overlap. Every byte outside them stays as it was; without edits the same array comes back. */
export function splice(bytes: Uint8Array, edits: readonly Edit[]): Uint8Array {
  if (edits.length === 0) return bytes
  const sorted = edits.length === 1 ? edits : [...edits].sort((a, b) => a.start - b.start)
  let length = bytes.length
  for (const { start, end, text } of sorted) length += Buffer.byteLength(text) - (end - start)
  const result = Buffer.allocUnsafe(length)
  let from = 0
  let to = 0
  for (const { start, end, text } of sorted) {
    result.set(bytes.subarray(from, start), to)
    to += start - from
    to += result.write(text, to)
    from = end
  }
  result.set(bytes.subarray(from), to)
  return result
}
