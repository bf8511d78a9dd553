import { errorEnvelope } from '../errors.ts'
import { readChoices } from './chat.ts'
import { chatUsage, type Dialect } from './dialect.ts'

/** `POST /v1/completions`. A prompt may be text, a list of texts, or token numbers. */
export const completions: Dialect = {
  route: 'completions',
  path: '/v1/completions',
  capability: 'completions',
  streams: true,
  usageByOption: true,
  sentinel: 'data: [DONE]\n\n',
  outputTokenFields: ['max_tokens'],
  outputTokenField: () => 'max_tokens',
  readRequest: ({ prompt }) => ({ needs: ['completions'], promptCharacters: textLength(prompt) }),
  readEvent: (data) => readChoices(data, ({ text }) => typeof text === 'string' && text.length > 0),
  readUsage: (answer) => chatUsage(answer['usage']),
  errorEvent: (error) => `data: ${errorEnvelope(error)}\n\n`,
}

/** A token number counts as four characters, so that the estimate gives one token. */
export function textLength(value: unknown): number {
  if (typeof value === 'string') return value.length
  if (typeof value === 'number') return 4
  return Array.isArray(value) ? value.reduce((sum: number, entry) => sum + textLength(entry), 0) : 0
}
