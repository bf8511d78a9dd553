/** Puts `text` in place of the bytes `[start, end)`; `start === end` inserts. */
export interface Edit {
  readonly start: number
  readonly end: number
  readonly text: string
}

const encoder = new TextEncoder()

/** Applies edits that do not overlap. Every byte outside them stays as it was; without edits the same array comes back. */
export function splice(bytes: Uint8Array, edits: readonly Edit[]): Uint8Array {
  if (edits.length === 0) return bytes
  const sorted = [...edits].sort((a, b) => a.start - b.start)
  const texts = sorted.map(({ text }) => encoder.encode(text))
  const grown = sorted.reduce((sum, { start, end }, index) => sum + (texts[index]?.length ?? 0) - (end - start), 0)
  const result = new Uint8Array(bytes.length + grown)
  let from = 0
  let to = 0
  sorted.forEach(({ start, end }, index) => {
    const text = texts[index] ?? new Uint8Array()
    result.set(bytes.subarray(from, start), to)
    result.set(text, to + start - from)
    to += start - from + text.length
    from = end
  })
  result.set(bytes.subarray(from), to)
  return result
}
