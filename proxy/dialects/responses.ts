import { type ApiError, ERRORS } from '../errors.ts'
import { noParts, type PromptParts } from '../estimate/prompt.ts'
import type { Capability } from '../routing-table/v1.ts'
import { type Dialect, readContent, readNeeds, responsesUsage } from './dialect.ts'
import { isJson, type Json, jsonOf } from './json.ts'

const CLOSING = new Set(['response.completed', 'response.incomplete'])
/** Deltas of text, arguments, reasoning, refusals and audio all end so. */
const DELTA = '.delta'

/** Names of what the engine adds by itself. */
const KEPT_BY_ENGINE: readonly string[] = ['previous_response_id', 'conversation', 'prompt']

function readItem(content: unknown, prompt: PromptParts, needs: Set<Capability>): void {
  if (content === undefined || content === null) return
  prompt.messages++
  readContent(content, prompt, needs)
}

/** `POST /v1/responses`: named events, no sentinel; the closing event carries the whole answer. */
export const responses: Dialect = {
  route: 'responses',
  path: '/v1/responses',
  capability: 'responses',
  streams: true,
  usageByOption: false,
  sentinel: undefined,
  outputTokenFields: ['max_output_tokens'],
  outputTokenField: () => 'max_output_tokens',
  readRequest(body) {
    const needs = new Set<Capability>(['responses'])
    const prompt = noParts()
    readNeeds(body, prompt, needs)
    readItem(body['instructions'], prompt, needs)
    const { input } = body
    if (Array.isArray(input))
      for (const item of input) readItem(isJson(item) ? (item['content'] ?? item['output']) : undefined, prompt, needs)
    else readItem(input, prompt, needs)
    if (KEPT_BY_ENGINE.some((field) => (body[field] ?? undefined) !== undefined)) prompt.opaque = true
    return { needs: [...needs], prompt }
  },
  readEvent(data, event) {
    const type = typeof data['type'] === 'string' ? data['type'] : event
    const finishes = CLOSING.has(type)
    return {
      commits: finishes || type.endsWith(DELTA),
      opens: 0,
      finishes: finishes ? 1 : 0,
      usageOnly: false,
      usage: finishes ? responsesUsage(jsonOf(data['response'])?.['usage']) : undefined,
      error: errorOf(data, type),
    }
  },
  readUsage: (answer) => responsesUsage(answer['usage']),
  errorEvent,
}

function errorOf(data: Json, type: string): Json | undefined {
  if (type === 'error') return jsonOf(data['error']) ?? data
  if (type === 'response.failed') return jsonOf(jsonOf(data['response'])?.['error']) ?? {}
  return type === '' ? jsonOf(data['error']) : undefined
}

/** Both shapes in one: the event's own fields, and `error` as the official SDKs look for it. */
function errorEvent(error: ApiError): string {
  const { code, message, param } = error
  const data = {
    type: 'error',
    code,
    message,
    param: param ?? null,
    error: { message, type: ERRORS[code].type, param: param ?? null, code },
  }
  return `event: error\ndata: ${JSON.stringify(data)}\n\n`
}
