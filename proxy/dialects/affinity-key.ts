/**
 * What a request belongs to. In: head and body, of which nothing is read before a strategy asks. Out: numbers that are the same in every
 * proxy. `session`: the header x-session-id, else prompt_cache_key, else how the conversation began. `prefix`: the beginning of the prompt, as
 * far as an engine's cache is likely to tell it from others.
 */
import { hashOf } from '../decide/affinity/hash.ts'
import type { AffinityKeys, Facts, Route } from '../decide/input.ts'
import { type Beginning, beginningOf, fieldText } from './beginning.ts'
import type { RequestBody } from './request.ts'

/**
 * Caches keep prompts in blocks of 16 to 64 tokens. Prompts that share more than this, some 500 tokens, are worth going to the same place; with
 * less in common it is better to spread them, as every endpoint has a system prompt that many share in its cache soon.
 */
const PREFIX_CHARACTERS = 2048
/** Of what follows the system prompt at least this counts, however long that is: conversations are told apart by how their users begin. */
const FIRST_CHARACTERS = 512
/** Of a conversation's beginning more is not needed to tell it from others. */
const SESSION_CHARACTERS = 8192
const MAX_NAME_BYTES = 512

/** Routes with a prompt that an engine's cache may have a beginning of. */
const WITH_PROMPT: readonly Route[] = ['chat', 'completions', 'responses', 'messages']

interface Asked {
  readonly route: Route
  readonly headers: Facts['headers']
  readonly body: Pick<RequestBody, 'bytes' | 'scanned'>
}

export function affinityKeys({ route, headers, body }: Asked): AffinityKeys {
  const hasPrompt = WITH_PROMPT.includes(route)
  return {
    session: once(() => named(headers['x-session-id'], body) ?? (hasPrompt ? sessionOf(beginningOf(body)) : undefined)),
    prefix: once(() => (hasPrompt ? prefixOf(beginningOf(body)) : undefined)),
  }
}

/** Only the number is kept: the texts would keep the body's text alive for as long as the answer takes. */
function once(read: () => number | undefined): () => number | undefined {
  let known: { readonly key: number | undefined } | undefined
  return () => {
    known ??= { key: read() }
    return known.key
  }
}

function named(header: Facts['headers'][string], body: Asked['body']): number | undefined {
  const name = typeof header === 'string' && header !== '' ? header : fieldText(body, 'prompt_cache_key', MAX_NAME_BYTES)
  return name === '' ? undefined : hashOf(name.slice(0, MAX_NAME_BYTES))
}

const sessionOf = ({ system, first }: Beginning): number | undefined =>
  system === '' && first === '' ? undefined : pairOf(system.slice(0, SESSION_CHARACTERS), first.slice(0, SESSION_CHARACTERS))

function prefixOf({ system, first }: Beginning): number | undefined {
  if (system === '' && first === '') return undefined
  const shared = system.slice(0, PREFIX_CHARACTERS)
  return pairOf(shared, first.slice(0, Math.max(FIRST_CHARACTERS, PREFIX_CHARACTERS - shared.length)))
}

const pairOf = (system: string, first: string): number => hashOf(first, hashOf(system) % 4_294_967_296)
