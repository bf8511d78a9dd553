/**
 * What a request belongs to. In: headers, and the body when a strategy asks. Out: numbers that are the same in every proxy. `session`: the
 * header x-session-id, else prompt_cache_key, else how the conversation began. `prefix`: the beginning of the prompt, as far as an engine's cache
 * is likely to tell it from others.
 */
import { hashOf } from '../decide/affinity/hash.ts'
import type { AffinityKeys, Facts } from '../decide/input.ts'
import { isJson, type Json } from './json.ts'

/**
 * Characters of the system prompt, and of what comes first after it. Many conversations share a system prompt, and every endpoint has that in its
 * cache soon; so what follows it counts too, but only its beginning: questions on one long document belong together.
 */
const SYSTEM_CHARACTERS = 2048
const FIRST_CHARACTERS = 512
/** Of a conversation's beginning nothing more is needed to tell it from others. */
const SESSION_CHARACTERS = 8192
const MAX_KEY_CHARACTERS = 512

export function affinityKeys(headers: Facts['headers'], readBody: () => Json): AffinityKeys {
  let begun: Beginning | undefined
  const beginning = (): Beginning => {
    begun ??= beginningOf(readBody())
    return begun
  }
  return {
    session: () => {
      const given = headers['x-session-id']
      const named = textOf(given) ?? beginning().cacheKey
      if (named !== undefined) return hashOf(named.slice(0, MAX_KEY_CHARACTERS))
      return hashed(beginning(), SESSION_CHARACTERS, SESSION_CHARACTERS)
    },
    prefix: () => hashed(beginning(), SYSTEM_CHARACTERS, FIRST_CHARACTERS),
  }
}

interface Beginning {
  readonly system: string
  readonly first: string
  readonly cacheKey: string | undefined
}

function hashed({ system, first }: Beginning, ofSystem: number, ofFirst: number): number | undefined {
  return system === '' && first === '' ? undefined : hashOf(first.slice(0, ofFirst), hashOf(system.slice(0, ofSystem)) % 4_294_967_296)
}

function beginningOf(body: Json): Beginning {
  const cacheKey = textOf(body['prompt_cache_key'])
  const list = turns(body['messages'] ?? body['input'])
  if (list === undefined) return { system: '', first: plainText(body['prompt'] ?? body['input']), cacheKey }
  const isSystem = ({ role }: Turn): boolean => role === 'system' || role === 'developer'
  const given = plainText(body['system'] ?? body['instructions'])
  const system = [given, ...list.filter(isSystem).map(({ text }) => text())].join('\n').trim()
  return { system, first: list.find((turn) => !isSystem(turn))?.text() ?? '', cacheKey }
}

interface Turn {
  readonly role: unknown
  readonly text: () => string
}

/** Only those at the beginning are looked at: a conversation goes on at its end. */
const MAX_TURNS = 8

function turns(value: unknown): readonly Turn[] | undefined {
  if (!Array.isArray(value) || !value.some(isJson)) return undefined
  return value
    .slice(0, MAX_TURNS)
    .filter(isJson)
    .map((turn) => ({ role: turn['role'], text: () => plainText(turn['content']) }))
}

/** Of a text, or of a list of texts or parts that have one. */
function plainText(value: unknown): string {
  if (typeof value === 'string') return value
  if (!Array.isArray(value)) return ''
  return value
    .slice(0, MAX_TURNS)
    .map((part) => (typeof part === 'string' ? part : isJson(part) && typeof part['text'] === 'string' ? part['text'] : ''))
    .join('\n')
}

const textOf = (value: unknown): string | undefined => (typeof value === 'string' && value !== '' ? value : undefined)
