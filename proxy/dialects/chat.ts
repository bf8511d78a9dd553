import { errorEnvelope } from '../errors.ts'
import type { Capability } from '../routing-table/v1.ts'
import { chatUsage, type Dialect, type EventMeaning, isJson, type Json, jsonOf, readContent, readNeeds, timingsUsage } from './dialect.ts'

const filled = (value: unknown): boolean => (typeof value === 'string' || Array.isArray(value) ? value.length > 0 : isJson(value))

/** Engines differ on the name of reasoning text; all of these are content to whoever reads it. */
const isContent = (delta: Json): boolean =>
  filled(delta['content']) ||
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
    let promptCharacters = readNeeds(body, needs)
    const { messages } = body
    if (Array.isArray(messages))
      for (const message of messages) if (isJson(message)) promptCharacters += readContent(message['content'], needs)
    return { needs: [...needs], promptCharacters }
  },
  readEvent: (data) => readChoices(data, (choice) => isJson(choice['delta']) && isContent(choice['delta'])),
  readUsage: (answer) => chatUsage(answer['usage']),
  errorEvent: (error) => `data: ${errorEnvelope(error)}\n\n`,
}
