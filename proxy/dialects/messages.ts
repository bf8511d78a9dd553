import { anthropicEnvelope } from '../errors.ts'
import { noParts, type PromptParts } from '../estimate/prompt.ts'
import type { Capability } from '../routing-table/v1.ts'
import type { Dialect, EventMeaning, Usage } from './dialect.ts'
import { isJson, type Json, jsonOf } from './json.ts'

const NOTHING: EventMeaning = { commits: false, opens: 0, finishes: 0, usageOnly: false, usage: undefined, error: undefined }
/** Blocks that begin empty and say something only by their deltas. */
const SPOKEN = new Set(['text', 'thinking'])

/** Anthropic counts cached tokens apart, on routes of OpenAI's shape they are inside. Fields that are absent stay so: a stream tells in two parts. */
function messagesUsage(value: unknown): Partial<Usage> | undefined {
  if (!isJson(value)) return undefined
  const { input_tokens: fresh, cache_creation_input_tokens: written, cache_read_input_tokens: read, output_tokens: output } = value
  const [cached, cacheWriteTokens] = [count(read), count(written)]
  return {
    ...(typeof fresh === 'number' && { inputTokens: count(fresh) + cacheWriteTokens + cached, cachedInputTokens: cached }),
    ...(typeof fresh === 'number' && cacheWriteTokens > 0 && { cacheWriteTokens }),
    ...(typeof output === 'number' && { outputTokens: count(output) }),
  }
}

const count = (value: unknown): number => (typeof value === 'number' && value >= 0 ? value : 0)

/** Named events; `message_delta` has the stop reason and is the finish, `message_stop` is the sentinel. */
function readEvent(data: Json, event: string): EventMeaning {
  const type = typeof data['type'] === 'string' ? data['type'] : event
  switch (type) {
    case 'message_start':
      return { ...NOTHING, usagePart: messagesUsage(jsonOf(data['message'])?.['usage']) }
    case 'content_block_start':
      return { ...NOTHING, commits: !SPOKEN.has(String(jsonOf(data['content_block'])?.['type'])) }
    case 'content_block_delta':
      return { ...NOTHING, commits: true }
    case 'message_delta': {
      const finishes = typeof jsonOf(data['delta'])?.['stop_reason'] === 'string'
      return { ...NOTHING, commits: finishes, finishes: finishes ? 1 : 0, usagePart: messagesUsage(data['usage']) }
    }
    case 'message_stop':
      return { ...NOTHING, commits: true, finishes: 1, isSentinel: true }
    case 'error':
      return { ...NOTHING, error: jsonOf(data['error']) ?? data }
    default:
      return type === '' ? { ...NOTHING, error: jsonOf(data['error']) } : NOTHING
  }
}

/** `POST /v1/messages`, as Anthropic speaks it; nothing is translated, so that only backends of that dialect serve it. */
export const messages: Dialect = {
  route: 'messages',
  path: '/v1/messages',
  capability: 'chat',
  streams: true,
  usageByOption: false,
  sentinel: 'event: message_stop\ndata: {"type":"message_stop"}\n\n',
  keepAlive: 'event: ping\ndata: {"type":"ping"}\n\n',
  outputTokenFields: ['max_tokens'],
  outputTokenField: () => 'max_tokens',
  readRequest(body) {
    const needs = new Set<Capability>(['chat'])
    return { needs: [...needs, ...needsOf(body)], prompt: promptOfBody(body) }
  },
  readEvent,
  readUsage(answer) {
    const usage = messagesUsage(answer['usage'])
    return usage && { inputTokens: 0, outputTokens: 0, cachedInputTokens: 0, ...usage }
  },
  errorEvent: (error, requestId = '') => `event: error\ndata: ${anthropicEnvelope(error, requestId)}\n\n`,
}

/** `POST /v1/messages/count_tokens`: never streams. An engine without it says so, which says nothing of what else it can do. */
export const countTokens: Dialect = {
  ...messages,
  route: 'count_tokens',
  path: '/v1/messages/count_tokens',
  capability: undefined,
  streams: false,
  sentinel: undefined,
  outputTokenFields: [],
  readRequest: (body) => ({ needs: [], prompt: promptOfBody(body) }),
  readUsage: () => undefined,
}

function needsOf(body: Json): Capability[] {
  const { tools } = body
  const blocks = Array.isArray(body['messages']) ? body['messages'].flatMap(blocksOf) : []
  return [
    ...(Array.isArray(tools) && tools.length > 0 ? (['tools'] as const) : []),
    ...(isJson(jsonOf(body['output_config'])?.['format']) ? (['jsonSchema'] as const) : []),
    ...(blocks.some(({ type }) => type === 'image') ? (['vision'] as const) : []),
  ]
}

/** The blocks of a message, those inside tool results too. */
function blocksOf(message: unknown): Json[] {
  const content = isJson(message) ? message['content'] : undefined
  const blocks = Array.isArray(content) ? content.filter(isJson) : []
  return blocks.flatMap((block) => (block['type'] === 'tool_result' ? [block, ...blocksOf(block)] : [block]))
}

/** System, tools and messages; of images and documents only that they are there. */
function promptOfBody({ system, tools, messages: turns }: Json): PromptParts {
  const prompt = noParts()
  if (Array.isArray(tools) && tools.length > 0) prompt.tools = JSON.stringify(tools)
  for (const turn of [{ content: system }, ...(Array.isArray(turns) ? turns : [])]) {
    const content = isJson(turn) ? (turn['content'] ?? undefined) : undefined
    if (content === undefined) continue
    prompt.messages++
    addContent(prompt, content)
  }
  return prompt
}

function addContent(prompt: PromptParts, content: unknown): void {
  if (typeof content === 'string') prompt.texts.push(content)
  if (!Array.isArray(content)) return
  for (const block of content) {
    if (!isJson(block)) continue
    for (const value of [block['text'], block['thinking']]) if (typeof value === 'string') prompt.texts.push(value)
    if (block['type'] === 'tool_result') addContent(prompt, block['content'])
    else if (block['type'] === 'tool_use') prompt.texts.push(JSON.stringify(block['input'] ?? {}))
    else if (block['type'] === 'image' || block['type'] === 'document') prompt.opaque = true
  }
}
