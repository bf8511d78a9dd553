/** 53 bits of a text, well mixed; the same in every proxy (cyrb53). Not for secrets: it can be undone for short texts. */
export function hashOf(text: string, seed = 0): number {
  let one = 0xdeadbeef ^ seed
  let two = 0x41c6ce57 ^ seed
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at)
    one = Math.imul(one ^ unit, 2_654_435_761)
    two = Math.imul(two ^ unit, 1_597_334_677)
  }
  one = Math.imul(one ^ (one >>> 16), 2_246_822_507) ^ Math.imul(two ^ (two >>> 13), 3_266_489_909)
  two = Math.imul(two ^ (two >>> 16), 2_246_822_507) ^ Math.imul(one ^ (one >>> 13), 3_266_489_909)
  return 4_294_967_296 * (2_097_151 & two) + (one >>> 0)
}

const RANGE = 2 ** 53

/**
 * Weighted rendezvous: the member with the highest score for a key has it. When a member goes only its keys move, when its weight grows only
 * keys to it. Each member has its share of keys by weight. A weight of 0 never wins against one above it.
 */
export function scoreOf(key: number, id: string, weight: number): number {
  const chance = (hashOf(id, key % 4_294_967_296) + 1) / (RANGE + 1)
  return weight > 0 ? -weight / Math.log(chance) : Math.log(chance)
}
