/** Characters of Latin-script text and code in one token, over common vocabularies. */
const ASCII_PER_TOKEN = 4
/** Tokens of one character beyond ASCII (mostly CJK). */
const TOKENS_PER_WIDE = 0.9

/**
 * Estimates tokens from lengths alone: O(1), whatever the text. `utf8Bytes` and `characters` (UTF-16 units) of the same text tell how much
 * of it is beyond ASCII (three bytes a character in CJK). Good to about ±30 %: callers leave room.
 */
export function estimateTokens({ utf8Bytes, characters }: { utf8Bytes: number; characters: number }): number {
  const wide = Math.min(characters, (utf8Bytes - characters) / 2)
  return Math.ceil((characters - wide) / ASCII_PER_TOKEN + wide * TOKENS_PER_WIDE)
}
