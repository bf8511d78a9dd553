import type { Engine } from '../routing-table/v1.ts'
import { isJson, type Json } from './json.ts'
import { bytewise, type Field, scanObject } from './json-scan.ts'
import type { Edit } from './splice.ts'

/** What one event of a stream adds to the answer. */
export interface Delta {
  /** Of choice 0. */
  readonly text: string
  /** It adds what is no text of choice 0: a tool call, reasoning, a refusal, another choice. */
  readonly other: boolean
}

/** What changes in a body so that it asks for the rest of an answer. */
export interface PrefixBody {
  readonly edits: readonly Edit[]
  /** New top-level fields, as JSON text. */
  readonly added: readonly string[]
}

/** How a stream of one route goes on at another engine. In: events and request bodies. Out: what they add, and what they become. */
export interface Continuing {
  readDelta(data: Json): Delta
  /** The event with this text in place of its own; it begins no message. */
  withText(data: Json, text: string): Json
  /** Undefined: this body cannot ask for the rest of an answer that begins with `text`. */
  prefixBody(request: ScannedBody, text: string, engine: Engine): PrefixBody | undefined
}

/** A request body, and where its top-level values stand. */
export interface ScannedBody {
  readonly bytes: Buffer
  readonly fields: ReadonlyMap<string, Field>
}

/** Above this a body is not parsed just to append to it. */
const MAX_PARSED_BYTES = 1024 * 1024
/** Output of a form that a second engine would begin anew, or figures that belong to the tokens of one engine. */
const EXACT_FIELDS = [
  'audio',
  'echo',
  'grammar',
  'guided_choice',
  'guided_grammar',
  'guided_json',
  'guided_regex',
  'json_schema',
  'logprobs',
  'structured_outputs',
  'suffix',
  'top_logprobs',
] as const

/** Undefined: what the request asks for can only come from one engine in one piece. */
export function scanContinuable(bytes: Uint8Array): ScannedBody | undefined {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const list = scanObject(bytewise(buffer)) ?? []
  const scanned = { bytes: buffer, fields: new Map(list.map((field) => [field.key, field])) }
  const isSet = (key: string): boolean => ![undefined, null, false, ''].some((nothing) => fieldValue(scanned, key) === nothing)
  const isOne = (key: string): boolean => [undefined, null, 1].some((one) => fieldValue(scanned, key) === one)
  if (scanned.fields.size < list.length || EXACT_FIELDS.some(isSet) || !isOne('n') || !isOne('best_of')) return undefined
  const format = fieldValue(scanned, 'response_format')
  return isJson(format) && format['type'] !== 'text' ? undefined : scanned
}

/** Undefined where the field is absent or too large to be read. */
export function fieldValue({ bytes, fields }: ScannedBody, key: string): unknown {
  const field = fields.get(key)
  if (field === undefined || field.valueEnd - field.valueStart > MAX_PARSED_BYTES) return undefined
  try {
    return JSON.parse(bytes.toString('utf8', field.valueStart, field.valueEnd))
  } catch {
    return undefined // not a value: no engine has answered such a body
  }
}
