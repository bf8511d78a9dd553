import type { ApiError, Code } from '../errors.ts'
import { noParts, type Prompt, promptOf } from '../estimate/prompt.ts'
import type { Capability, Engine } from '../routing-table/v1.ts'
import type { PrefixBody } from './continuation.ts'
import type { Dialect, RequestFacts } from './dialect.ts'
import type { FormField } from './form.ts'
import { isJson, type Json } from './json.ts'
import { bytewise, type Field, scanObject } from './json-scan.ts'
import { type Edit, splice } from './splice.ts'

/** Above this facts are scanned, not parsed: a body of images or documents should not stall the event loop. */
const MAX_PARSED_BYTES = 1024 * 1024
/** Read, and possibly spliced, on every route; the output limit comes on top. */
const SPLICED: readonly string[] = ['model', 'stream', 'stream_options']

/** A request body that has been read: what it asks for, and where its spliceable values stand. */
export interface RequestBody {
  readonly bytes: Uint8Array
  readonly model: string
  readonly stream: boolean
  /** The client wants the usage chunk itself. */
  readonly usageAsked: boolean
  readonly maxOutputTokens: number | undefined
  readonly needs: readonly Capability[]
  readonly prompt: Prompt
  /** By the plain weights. */
  readonly promptTokens: number
  /** Those whose values may be spliced. */
  readonly fields: ReadonlyMap<string, Field>
  /** All top-level fields in their order; of a form none. */
  readonly scanned: readonly Field[]
  /** Behind it a new field is inserted. */
  readonly lastField: Field | undefined
  /** Absent = JSON; empty = there is no body. */
  readonly contentType?: string
  /** Of the request's address, to be sent on; a `model` in it is the request's. */
  readonly query?: string
}

/** A request that is no JSON: its model is a part of the form, or stands in the query. */
export function plainRequest(
  dialect: Dialect,
  given: Pick<RequestBody, 'bytes' | 'model'> & { fields?: ReadonlyMap<string, FormField>; contentType: string; query?: string },
): { body: RequestBody } | { error: ApiError } {
  const { fields = new Map<string, FormField>(), model } = given
  if (model === '') return bad('invalid_value', MODEL_WANTED, 'model')
  const stream = fields.get('stream')?.value.toLowerCase() ?? 'false'
  if (!STREAM_WORDS.includes(stream)) return bad('invalid_value', '"stream" must be true or false.', 'stream')
  const { needs } = dialect.readRequest({})
  const isStream = dialect.streams && (stream === 'true' || stream === '1')
  return { body: { ...NOTHING_ASKED, ...given, needs, fields, stream: isStream } }
}

const MODEL_WANTED = '"model" must be a model\'s name; "auto" lets the server choose.'
const STREAM_WORDS: readonly string[] = ['true', 'false', '1', '0', '']
const NOTHING_ASKED = {
  usageAsked: false,
  maxOutputTokens: undefined,
  prompt: promptOf(noParts()),
  promptTokens: 0,
  scanned: [],
  lastField: undefined,
} as const

const bad = (code: Code, message: string, param?: string): { error: ApiError } => ({
  error: { code, message, ...(param !== undefined && { param }) },
})

/** Reads a body of valid UTF-8. Duplicates among the keys read here are refused: what we authorise must be what the engine reads. */
export function readRequest(bytes: Buffer, dialect: Dialect): { body: RequestBody } | { error: ApiError } {
  const decoded = bytes.length <= MAX_PARSED_BYTES ? bytes.toString() : undefined
  const fields = scanObject(bytewise(bytes, decoded))
  const parsed = decoded === undefined ? undefined : parse(decoded)
  if (fields === undefined || (decoded !== undefined && parsed === undefined)) {
    return bad('invalid_json', 'The body is no valid JSON object. Check quotes, commas and brackets.')
  }
  const byKey = new Map<string, Field>()
  for (const field of fields) {
    if (!SPLICED.includes(field.key) && !dialect.outputTokenFields.includes(field.key)) continue
    if (byKey.has(field.key)) return bad('invalid_value', `"${field.key}" stands more than once in the body. Send it once.`, field.key)
    byKey.set(field.key, field)
  }
  return readFields({ bytes, fields: byKey, parsed, dialect, scanned: fields })
}

/** For conditions on the body itself. Of a large one, and of a form, only the fields that the proxy itself reads. */
export function readBodyAgain({ bytes, fields, contentType }: RequestBody): Json {
  const whole = contentType === undefined && bytes.length <= MAX_PARSED_BYTES ? parse(decoder.decode(bytes)) : undefined
  if (whole !== undefined) return whole
  const form = contentType !== undefined
  return Object.fromEntries([...fields].map(([key, field]) => [key, form ? 'value' in field && field.value : smallValue(bytes, field)]))
}

function parse(text: string): Json | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return isJson(value) ? value : undefined
  } catch {
    return undefined // not JSON: the caller says so
  }
}

interface Read {
  readonly bytes: Uint8Array
  readonly fields: ReadonlyMap<string, Field>
  readonly parsed: Json | undefined
  readonly dialect: Dialect
  readonly scanned: readonly Field[]
}

function readFields({ bytes, fields, parsed, dialect, scanned }: Read): { body: RequestBody } | { error: ApiError } {
  const value = (key: string): unknown => (parsed === undefined ? smallValue(bytes, fields.get(key)) : parsed[key])
  const model = value('model')
  if (typeof model !== 'string' || model === '') return bad('invalid_value', MODEL_WANTED, 'model')
  const stream = value('stream') ?? false
  if (typeof stream !== 'boolean') return bad('invalid_value', '"stream" must be true or false.', 'stream')
  const options = value('stream_options') ?? {}
  if (!isJson(options)) return bad('invalid_value', '"stream_options" must be an object.', 'stream_options')
  const limits: number[] = []
  for (const key of dialect.outputTokenFields) {
    const limit = value(key) ?? undefined
    if (limit === undefined) continue
    if (typeof limit !== 'number' || !Number.isInteger(limit) || limit < -1)
      return bad('invalid_value', `"${key}" must be a whole number.`, key)
    if (limit >= 0) limits.push(limit) // −1 is llama.cpp's "without limit"
  }
  const facts = parsed === undefined ? scannedFacts(bytes, dialect) : dialect.readRequest(parsed)
  const prompt = promptOf(facts.prompt)
  return {
    body: {
      bytes,
      model,
      stream: dialect.streams && (facts.stream ?? stream),
      usageAsked: options['include_usage'] === true,
      maxOutputTokens: limits.length === 0 ? undefined : Math.min(...limits),
      needs: facts.needs,
      prompt,
      promptTokens: Math.ceil(prompt.plainTokens),
      fields,
      scanned,
      lastField: scanned.at(-1),
    },
  }
}

const decoder = new TextDecoder()

function smallValue(bytes: Uint8Array, field: Field | undefined): unknown {
  if (field === undefined || field.valueEnd - field.valueStart > 4096) return undefined
  try {
    return JSON.parse(decoder.decode(bytes.subarray(field.valueStart, field.valueEnd)))
  } catch {
    return undefined // not a value: treated as missing, the engine refuses the body
  }
}

/** How a part that is an image is marked on the routes that have some. */
const IMAGES = ['"image_url"', '"input_image"', '"type":"image"', '"type": "image"']

/** Of a large body only what a search can tell: the route's capability, images, and a size that leaves embedded files out. */
function scannedFacts(bytes: Uint8Array, dialect: Dialect): RequestFacts {
  const has = (word: string): boolean => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).includes(word)
  const vision = IMAGES.some(has)
  const audio = has('"input_audio"')
  const needs: Capability[] = [
    ...(dialect.capability === undefined ? [] : [dialect.capability]),
    ...(vision ? (['vision'] as const) : []),
    ...(audio ? (['audio'] as const) : []),
    ...(has('"tools"') ? (['tools'] as const) : []),
  ]
  return { needs, prompt: { ...noParts(), ...(vision || audio ? {} : sampled(bytes)), opaque: true } }
}

const SAMPLES = 128
const SAMPLE_BYTES = 1024

/** Evenly spread pieces of a large body, without the escapes of JSON. */
function sampled(bytes: Uint8Array): { texts: string[]; times: number } {
  const stride = Math.max(SAMPLE_BYTES, Math.floor(bytes.length / SAMPLES))
  const pieces: string[] = []
  for (let start = 0; start < bytes.length; start += stride) pieces.push(decoder.decode(bytes.subarray(start, start + SAMPLE_BYTES)))
  const text = pieces.join('')
  const shown = text.replace(/\\u([\da-f]{4})/gi, (_, hex) => String.fromCharCode(Number.parseInt(hex, 16))).replace(/\\[nrt]/g, '\n')
  return { texts: [shown], times: bytes.length / Math.min(bytes.length, pieces.length * SAMPLE_BYTES) }
}

/**
 * What this attempt changes in the body: `model`, `stream_options`, the output-token field, and what goes on with an answer; every other
 * byte stays.
 */
export function bodyFor(
  body: RequestBody,
  to: { upstreamModel: string; clampOutputTokens: number | undefined; askUsage: boolean; engine: Engine; prefix?: PrefixBody | undefined },
  dialect: Dialect,
): Uint8Array {
  const edits: Edit[] = [...(to.prefix?.edits ?? [])]
  const model = body.fields.get('model')
  if (model !== undefined && body.model !== to.upstreamModel)
    edits.push({
      start: model.valueStart,
      end: model.valueEnd,
      text: body.contentType === undefined ? JSON.stringify(to.upstreamModel) : to.upstreamModel,
    })
  const added: string[] = [...(to.prefix?.added ?? [])]
  if (to.askUsage && body.stream && dialect.usageByOption && !body.usageAsked) askForUsage(body, edits, added)
  if (to.clampOutputTokens !== undefined) clampOutput(body, { tokens: to.clampOutputTokens, engine: to.engine, dialect }, edits, added)
  const end = body.lastField?.valueEnd
  if (added.length > 0 && end !== undefined) edits.push({ start: end, end, text: added.map((field) => `,${field}`).join('') })
  return splice(body.bytes, edits)
}

function askForUsage(body: RequestBody, edits: Edit[], added: string[]): void {
  const field = body.fields.get('stream_options')
  if (field === undefined) added.push('"stream_options":{"include_usage":true}')
  else {
    const options = smallValue(body.bytes, field)
    edits.push({
      start: field.valueStart,
      end: field.valueEnd,
      text: JSON.stringify({ ...(isJson(options) && options), include_usage: true }),
    })
  }
}

function clampOutput(
  body: RequestBody,
  { tokens, engine, dialect }: { tokens: number; engine: Engine; dialect: Dialect },
  edits: Edit[],
  added: string[],
): void {
  const present = dialect.outputTokenFields.flatMap((key) => body.fields.get(key) ?? [])
  if (present.length === 0) added.push(`"${dialect.outputTokenField(engine)}":${tokens}`)
  for (const { valueStart, valueEnd } of present) {
    const sent = smallValue(body.bytes, { key: '', valueStart, valueEnd })
    if (typeof sent !== 'number' || sent < 0 || sent > tokens) edits.push({ start: valueStart, end: valueEnd, text: String(tokens) })
  }
}
