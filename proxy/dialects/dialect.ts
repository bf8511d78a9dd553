/**
 * The wire formats of the inference routes, one file each. In: a parsed request, one SSE event, a whole answer. Out: facts, what an event
 * means, usage, an in-band error. PURE: bytes and JSON only; who sends what to whom is decided elsewhere.
 */
import type { Route } from '../decide/input.ts'
import type { ApiError } from '../errors.ts'
import { noParts, type PromptParts } from '../estimate/prompt.ts'
import type { Capability, Engine, ExtraRoute } from '../routing-table/v1.ts'
import type { Continuing } from './continuation.ts'
import { isJson, type Json, jsonOf } from './json.ts'

/** Token counts as the engine reports them; cached tokens are inside `inputTokens`, reasoning tokens inside `outputTokens`. */
export interface Usage {
  readonly inputTokens: number
  readonly outputTokens: number
  readonly cachedInputTokens: number
  /** Of the input, what the engine has put into its cache for later requests, where it says so. */
  readonly cacheWriteTokens?: number
}

/** What one SSE event means for the stream it is in. */
export interface EventMeaning {
  /** Content, a tool call, reasoning, or the finish: the first such event is the content commit. */
  readonly commits: boolean
  /** Choices it is about that it does not finish: one bit each, by index. */
  readonly opens: number
  /** Choices it finishes, by a finish reason or the route's own closing event. */
  readonly finishes: number
  /** Nothing but usage: taken out when the client did not ask for it. */
  readonly usageOnly: boolean
  readonly usage: Usage | undefined
  /** The upstream's own error object. */
  readonly error: Json | undefined
  /** Of a usage that a stream tells in parts; what comes later holds. */
  readonly usagePart?: Partial<Usage> | undefined
  /** It is this route's sentinel. (`[DONE]` is one on every route.) */
  readonly isSentinel?: boolean
}

export interface RequestFacts {
  readonly needs: readonly Capability[]
  readonly prompt: PromptParts
  /** Where another field than `stream` asks for one. */
  readonly stream?: boolean
}

export interface Dialect {
  readonly route: Route
  readonly path: string
  /** Absent = POST. */
  readonly method?: ExtraRoute['method']
  /** How a request may be written; absent = as JSON only. */
  readonly bodies?: 'form' | 'either'
  /** Undefined = no word of the resource is about this route. */
  readonly capability: Capability | undefined
  readonly streams: boolean
  /** Upstream usage must be asked for by `stream_options.include_usage`. */
  readonly usageByOption: boolean
  /** The last event of a whole stream, or undefined where the route has none. */
  readonly sentinel: string | undefined
  /** What keeps an idle stream alive; absent = an SSE comment. */
  readonly keepAlive?: string
  /** Fields that limit the output, strictest meaning first. */
  readonly outputTokenFields: readonly string[]
  /** The field to insert where the request has none. */
  outputTokenField(engine: Engine): string
  readRequest(body: Json): RequestFacts
  /** `event` is the event's name, '' if it has none. */
  readEvent(data: Json, event: string): EventMeaning
  readUsage(answer: Json): Usage | undefined
  /** A whole answer has this list, and something in it. */
  readonly answerList?: string
  /** Whether an answer of this content type passes as it comes; absent = an answer is a JSON object, held until it is whole. */
  passes?(contentType: string): boolean
  /** The error as one SSE event, with its closing blank line. */
  errorEvent(error: ApiError, requestId?: string): string
  /** Absent: a stream of this route that breaks cannot be gone on with elsewhere. */
  readonly continuing?: Continuing
}

/** 1e400 is Infinity to JSON.parse: no count, and the end of every sum. */
const count = (value: unknown): number => (typeof value === 'number' && value >= 0 && value <= Number.MAX_SAFE_INTEGER ? value : 0)

/** OpenAI's `usage` of chat, completions and embeddings. Null or missing = undefined, never zero. */
export function chatUsage(value: unknown): Usage | undefined {
  if (!isJson(value)) return undefined
  const inputTokens = count(value['prompt_tokens'])
  return { inputTokens, outputTokens: count(value['completion_tokens']), ...cacheUse(value['prompt_tokens_details']) }
}

/** llama.cpp's `timings`: prompt tokens that were read and those that its cache had, and tokens that were written. */
export function timingsUsage(value: unknown): Usage | undefined {
  if (!isJson(value) || typeof value['predicted_n'] !== 'number') return undefined
  const cached = count(value['cache_n'])
  return { inputTokens: count(value['prompt_n']) + cached, outputTokens: count(value['predicted_n']), cachedInputTokens: cached }
}

/** The usage of `/v1/responses`. */
export function responsesUsage(value: unknown): Usage | undefined {
  if (!isJson(value)) return undefined
  const inputTokens = count(value['input_tokens'])
  return { inputTokens, outputTokens: count(value['output_tokens']), ...cacheUse(value['input_tokens_details']) }
}

function cacheUse(details: unknown): Pick<Usage, 'cachedInputTokens' | 'cacheWriteTokens'> {
  const { cached_tokens: cached, cache_write_tokens: written } = jsonOf(details) ?? {}
  return { cachedInputTokens: count(cached), ...(count(written) > 0 && { cacheWriteTokens: count(written) }) }
}

/** A string, or a list of content parts with what they need. */
export function readContent(content: unknown, prompt: PromptParts, needs: Set<Capability>): void {
  if (typeof content === 'string') prompt.texts.push(content)
  if (!Array.isArray(content)) return
  for (const part of content) {
    if (!isJson(part)) continue
    const { type, text } = part
    if (type === 'image_url' || type === 'input_image') needs.add('vision')
    else if (type === 'input_audio') needs.add('audio')
    if (typeof text === 'string') prompt.texts.push(text)
    else prompt.opaque = true
  }
}

/** What `tools` and a JSON-schema output format ask for, on routes that have them. */
export function readNeeds(body: Json, prompt: PromptParts, needs: Set<Capability>): void {
  const { tools } = body
  if (Array.isArray(tools) && tools.length > 0) {
    needs.add('tools')
    prompt.tools = JSON.stringify(tools)
  }
  const format = jsonOf(body['response_format']) ?? jsonOf(jsonOf(body['text'])?.['format'])
  if (format?.['type'] === 'json_schema') needs.add('jsonSchema')
}

/** A text, a list of texts, token numbers, or lists of those. */
export function promptOfTexts(...values: readonly unknown[]): PromptParts {
  const prompt = noParts()
  for (const value of values) addTexts(prompt, value)
  return prompt
}

function addTexts(prompt: PromptParts, value: unknown): void {
  if (typeof value === 'string') prompt.texts.push(value)
  else if (typeof value === 'number') prompt.given++
  else if (Array.isArray(value)) for (const entry of value) addTexts(prompt, entry)
}
