import { errorEnvelope } from '../errors.ts'
import { onlyChoice, readChoices, readDelta } from './chat.ts'
import { type Continuing, fieldValue, type PrefixBody, type ScannedBody } from './continuation.ts'
import { chatUsage, type Dialect, promptOfTexts } from './dialect.ts'

const textOf = ({ text }: Readonly<Record<string, unknown>>): string => (typeof text === 'string' ? text : '')

const completionsContinuing: Continuing = {
  readDelta: (data) => readDelta(data, (choice) => ({ text: textOf(choice), other: false })),
  withText(data, text) {
    const choice = onlyChoice(data)
    return choice === undefined ? data : { ...data, choices: [{ ...choice, text }] }
  },
  prefixBody,
}

/** The prompt with the answer so far behind it, if the prompt is one text. */
function prefixBody(request: ScannedBody, text: string): PrefixBody | undefined {
  const field = request.fields.get('prompt')
  if (field === undefined || typeof fieldValue(request, 'prompt') !== 'string') return undefined
  const at = field.valueEnd - 1
  return { edits: [{ start: at, end: at, text: JSON.stringify(text).slice(1, -1) }], added: [] }
}

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
  readRequest: ({ prompt }) => ({ needs: ['completions'], prompt: promptOfTexts(prompt) }),
  readEvent: (data) => readChoices(data, ({ text }) => typeof text === 'string' && text.length > 0),
  readUsage: (answer) => chatUsage(answer['usage']),
  answerList: 'choices',
  errorEvent: (error) => `data: ${errorEnvelope(error)}\n\n`,
  continuing: completionsContinuing,
}
