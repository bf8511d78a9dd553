const OFFSET = 0xcbf29ce484222325n
const PRIME = 0x100000001b3n
const MASK = 0xffffffffffffffffn

/**
 * A short stable name for a longer text, such as "0p1kq3c2x7v9f" (13 characters of [0-9a-z]): FNV-1a, 64 bits. It keeps addresses out of headers and
 * logs; it is no protection against someone who can guess the text. Ten thousand endpoints collide with a chance of 3 in 10^12.
 */
export function opaqueId(text: string): string {
  let hash = OFFSET
  for (const character of text) hash = ((hash ^ BigInt(character.codePointAt(0) ?? 0)) * PRIME) & MASK
  return hash.toString(36).padStart(13, '0')
}
