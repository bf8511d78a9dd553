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
/** More kinds of limits than any provider has. */
const MAX_KINDS = 16

/**
 * Every limit that an answer tells: `x-ratelimit-WORD-KIND`, `anthropic-ratelimit-KIND-WORD`, `x-ratelimitbysize-WORD-KIND`,
 * `ratelimit-WORD`, whatever KIND is. Values below zero say nothing, nor does a limit of 0 (Azure sends both on Responses). Takes anything.
 */
export function heardLimits(headers: Headers, nowMs: number): readonly HeardLimit[] {
  const kinds = new Map<string, Map<Word, string>>()
  for (const name in headers) {
    if (!name.includes('ratelimit')) continue
    const value = headers[name]
    const parts = name.split('-')
    const word = WORDS.find((one) => parts.includes(one))
    if (word === undefined || typeof value !== 'string') continue
    const kind = parts.filter((part) => part !== word).join('-')
    const said = kinds.get(kind) ?? new Map<Word, string>()
    if (said.size === 0 && kinds.size >= MAX_KINDS) continue
    kinds.set(kind, said.set(word, value))
  }
  return kinds.size === 0 ? [] : [...kinds].flatMap(([kind, said]) => limitOf(kind, said, nowMs) ?? [])
}

function limitOf(name: string, said: ReadonlyMap<Word, string>, nowMs: number): HeardLimit | undefined {
  const limit = numberOf(said.get('limit'))
  const remaining = numberOf(said.get('remaining'))
  const absent = said.has('limit') && !((limit ?? 0) > 0)
  if (absent || (limit === undefined && remaining === undefined)) return undefined
  return { name, limit, remaining, resetMs: waitOf(said.get('reset'), nowMs) }
}
