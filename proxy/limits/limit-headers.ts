import { numberOf, waitOf } from './wait-text.ts'

/** As node:http gives them: lower-case names. */
export type Headers = Readonly<Record<string, string | readonly string[] | undefined>>

/** One limit of an upstream, as an answer's headers tell it. */
export interface HeardLimit {
  /** The header's name without the word that tells them apart: "x-ratelimit-requests", "anthropic-ratelimit-input-tokens". */
  readonly name: string
  readonly limit: number | undefined
  readonly remaining: number | undefined
  /** From now. */
  readonly resetMs: number | undefined
}

const WORDS = ['limit', 'remaining', 'reset'] as const
type Word = (typeof WORDS)[number]
type Said = { readonly name: string } & { [W in Word]?: string }
/** More kinds of limits than any provider has. */
const MAX_KINDS = 16

/**
 * Every limit that an answer tells: `x-ratelimit-WORD-KIND`, `anthropic-ratelimit-KIND-WORD`, `x-ratelimitbysize-WORD-KIND`,
 * `ratelimit-WORD`, whatever KIND is. Values below zero say nothing, nor does a limit of 0 (Azure sends both on Responses). Takes anything.
 */
export function heardLimits(headers: Headers, nowMs: number): readonly HeardLimit[] {
  const kinds: Said[] = []
  for (const header in headers) {
    const value = headers[header]
    if (typeof value !== 'string' || !header.includes('ratelimit')) continue
    const word = WORDS.find((one) => placeOf(one, header) >= 0)
    if (word !== undefined) note(kinds, kindOf(word, header), word, value)
  }
  return kinds.length === 0 ? NONE : kinds.flatMap((said) => limitOf(said, nowMs) ?? NONE)
}

const NONE: readonly HeardLimit[] = []

/** Where the word stands by itself: with a dash before it, and one behind it or the end. */
function placeOf(word: Word, header: string): number {
  const at = header.indexOf(`-${word}`)
  const end = at + 1 + word.length
  return at >= 0 && (end === header.length || header[end] === '-') ? at : -1
}

function kindOf(word: Word, header: string): string {
  const at = placeOf(word, header)
  return header.slice(0, at) + header.slice(at + 1 + word.length)
}

function note(kinds: Said[], name: string, word: Word, value: string): void {
  const known = kinds.find((said) => said.name === name)
  if (known !== undefined) known[word] = value
  else if (kinds.length < MAX_KINDS) kinds.push({ name, [word]: value })
}

function limitOf(said: Said, nowMs: number): HeardLimit | undefined {
  const limit = numberOf(said.limit)
  const remaining = numberOf(said.remaining)
  const absent = said.limit !== undefined && !((limit ?? 0) > 0)
  if (absent || (limit === undefined && remaining === undefined)) return undefined
  return { name: said.name, limit, remaining, resetMs: waitOf(said.reset, nowMs) }
}
