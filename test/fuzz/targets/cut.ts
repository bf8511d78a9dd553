import type { Dice } from '../../support/dice.ts'

/** The same bytes in pieces of any size, copies of their own. */
export function cutAnywhere(input: Buffer, dice: Dice): Buffer[] {
  const chunks: Buffer[] = []
  const longest = dice.pick([1, 2, 3, 20, 2000])
  for (let at = 0; at < input.length; ) {
    const size = 1 + dice.below(longest)
    chunks.push(Buffer.from(input.subarray(at, at + size)))
    at += size
  }
  return chunks
}
