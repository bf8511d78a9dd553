import { errorEnvelope } from '../errors.ts'
import { noParts, type PromptParts } from '../estimate/prompt.ts'
import type { Capability, Engine } from '../routing-table/v1.ts'
import { type Continuing, type Delta, fieldValue, type PrefixBody, type ScannedBody } from './continuation.ts'
import { chatUsage, type Dialect, type EventMeaning, readContent, readNeeds, timingsUsage } from './dialect.ts'
import { isJson, type Json, jsonOf } from './json.ts'

const filled = (value: unknown): boolean => (typeof value === 'string' || Array.isArray(value) ? value.length > 0 : isJson(value))

/** Engines differ on the name of reasoning text; all of these are content to whoever reads it. */
const isContent = (delta: Json): boolean => filled(delta['content']) || isOther(delta)

const isOther = (delta: Json): boolean =>
  filled(delta['tool_calls']) ||
  filled(delta['reasoning_content']) ||
  filled(delta['reasoning']) ||
  filled(delta['refusal']) ||
  filled(delta['function_call']) ||
  filled(delta['audio'])

/** Choices beyond the 31st share bits: nobody streams so many. */
const bitOf = ({ index }: Json): number => (typeof index === 'number' ? 1 << (index & 31) : 1)

/** Shared with completions, which differ only in where a choice keeps its text. An empty finish reason is none: some engines always send it. */
export function readChoices(data: Json, isContentChoice: (choice: Json) => boolean): EventMeaning {
  const { choices } = data
  const list = Array.isArray(choices) ? choices.filter(isJson) : []
  const asked = chatUsage(data['usage'])
  let opens = 0
  let finishes = 0
  for (const choice of list) {
    if (typeof choice['finish_reason'] === 'string' && choice['finish_reason'] !== '') finishes |= bitOf(choice)
    else opens |= bitOf(choice)
  }
  return {
    commits: finishes !== 0 || list.some(isContentChoice),
    opens,
    finishes,
    usageOnly: list.length === 0 && asked !== undefined,
    usage: asked ?? timingsUsage(data['timings']),
    error: list.length === 0 ? jsonOf(data['error']) : undefined,
  }
}

/** The one choice of a stream with only one, or undefined where an event has others. */
export function onlyChoice({ choices }: Json): Json | undefined {
  const [choice] = Array.isArray(choices) && choices.length === 1 ? choices : []
  return isJson(choice) && (choice['index'] ?? 0) === 0 ? choice : undefined
}

const NOTHING: Delta = { text: '', other: false }
const OTHER: Delta = { text: '', other: true }

/** Shared with completions: `readChoice` reads the only choice. */
export function readDelta(data: Json, readChoice: (choice: Json) => Delta): Delta {
  const choice = onlyChoice(data)
  if (choice !== undefined) return readChoice(choice)
  return Array.isArray(data['choices']) && data['choices'].length > 0 ? OTHER : NOTHING
}

const chatContinuing: Continuing = {
  readDelta: (data) =>
    readDelta(data, (choice) => {
      const delta = jsonOf(choice['delta']) ?? {}
      return {
        text: typeof delta['content'] === 'string' ? delta['content'] : '',
        other: isOther(delta) || Array.isArray(delta['content']),
      }
    }),
  withText(data, text) {
    const choice = onlyChoice(data)
    if (choice === undefined) return data
    const { role: _, content, ...rest } = jsonOf(choice['delta']) ?? {}
    const delta = text === '' && typeof content !== 'string' ? rest : { ...rest, content: text }
    return { ...data, choices: [{ ...choice, delta }] }
  },
  prefixBody,
}

/** Appends the answer so far as the last message. A client that has begun the answer itself keeps its own last message: no. */
function prefixBody(request: ScannedBody, text: string, engine: Engine): PrefixBody | undefined {
  const field = request.fields.get('messages')
  const messages = fieldValue(request, 'messages')
  const last: unknown = Array.isArray(messages) ? messages.at(-1) : undefined
  if (field === undefined || !isJson(last) || last['role'] === 'assistant') return undefined
  if (request.fields.has('continue_final_message') || request.fields.has('add_generation_prompt')) return undefined
  const message = JSON.stringify({ role: 'assistant', content: text })
  return {
    edits: [{ start: field.valueEnd - 1, end: field.valueEnd - 1, text: `,${message}` }],
    // Other engines go on with a trailing assistant message without being told; some refuse fields they do not know.
    added: engine === 'vLLM' ? ['"continue_final_message":true', '"add_generation_prompt":false'] : [],
  }
}

function readMessage(message: Json, prompt: PromptParts, needs: Set<Capability>): void {
  prompt.messages++
  readContent(message['content'], prompt, needs)
  const calls = message['tool_calls']
  if (!Array.isArray(calls)) return
  for (const call of calls) {
    const asked = jsonOf(isJson(call) ? call['function'] : undefined)
    for (const text of [asked?.['name'], asked?.['arguments']]) if (typeof text === 'string') prompt.texts.push(text)
  }
}

/** `POST /v1/chat/completions`. */
export const chat: Dialect = {
  route: 'chat',
  path: '/v1/chat/completions',
  capability: 'chat',
  streams: true,
  usageByOption: true,
  sentinel: 'data: [DONE]\n\n',
  outputTokenFields: ['max_completion_tokens', 'max_tokens'],
  outputTokenField: (engine) => (engine === 'OpenAI' ? 'max_completion_tokens' : 'max_tokens'),
  readRequest(body) {
    const needs = new Set<Capability>(['chat'])
    const prompt = noParts()
    readNeeds(body, prompt, needs)
    const { messages } = body
    if (Array.isArray(messages)) for (const message of messages) if (isJson(message)) readMessage(message, prompt, needs)
    return { needs: [...needs], prompt }
  },
  readEvent: (data) => readChoices(data, (choice) => isJson(choice['delta']) && isContent(choice['delta'])),
  readUsage: (answer) => chatUsage(answer['usage']),
  answerList: 'choices',
  errorEvent: (error) => `data: ${errorEnvelope(error)}\n\n`,
  continuing: chatContinuing,
}
