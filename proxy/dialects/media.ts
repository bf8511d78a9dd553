/** Speech, transcripts, images: JSON or forms in; JSON, bytes or named events out. */
import type { Capability } from '../routing-table/v1.ts'
import { chat } from './chat.ts'
import { type Dialect, type EventMeaning, promptOfTexts, responsesUsage, type Usage } from './dialect.ts'
import { isJson, type Json, jsonOf } from './json.ts'
import { plainDialect } from './plain.ts'
import { responses } from './responses.ts'

/** Of answers that count tokens; those that count seconds tell nothing here. */
const tokensOf = (value: unknown): Usage | undefined =>
  isJson(value) && typeof value['input_tokens'] === 'number' ? responsesUsage(value) : undefined

/** OpenAI's events end in `.delta` and `.done` or `.completed`; vLLM sends its transcripts as choices. */
function readEvent(data: Json, event: string): EventMeaning {
  if (Array.isArray(data['choices'])) return chat.readEvent(data, event)
  const type = typeof data['type'] === 'string' ? data['type'] : event
  const finishes = /\.(done|completed)$/.test(type)
  return {
    commits: finishes || /\.(delta|segment|partial_image)$/.test(type),
    opens: 0,
    finishes: finishes ? 1 : 0,
    usageOnly: false,
    usage: finishes ? tokensOf(data['usage']) : undefined,
    error: jsonOf(data['error']) ?? (type === 'error' ? data : undefined),
  }
}

const MEDIA = {
  streams: true,
  readEvent,
  readUsage: (answer: Json) => tokensOf(answer['usage']),
  errorEvent: responses.errorEvent,
} as const
const AUDIO: readonly Capability[] = ['audio']

/** `POST /v1/audio/speech`: sound as it is made; `stream_format: "sse"` asks for events. */
export const speech: Dialect = {
  ...plainDialect('speech', '/v1/audio/speech', { capability: 'audio', texts: () => [] }),
  ...MEDIA,
  readRequest: ({ input, stream_format: format }) => ({ needs: AUDIO, prompt: promptOfTexts(input), stream: format === 'sse' }),
  passes: (contentType) => /^(audio|video)\/|^application\/octet-stream\b/i.test(contentType),
}

/** Transcripts as plain text and as subtitles. */
const isText = (contentType: string): boolean => /^text\/(plain|vtt|srt)\b|^application\/(x-)?subrip\b/i.test(contentType)

/** `POST /v1/audio/transcriptions`. */
export const transcriptions: Dialect = {
  ...plainDialect('transcriptions', '/v1/audio/transcriptions', { capability: 'audio', texts: () => [] }),
  ...MEDIA,
  bodies: 'form',
  passes: isText,
}

/** `POST /v1/audio/translations`. */
export const translations: Dialect = { ...transcriptions, route: 'translations', path: '/v1/audio/translations', streams: false }

const images = (path: string, more: Pick<Dialect, 'bodies'>): Dialect => ({
  ...plainDialect('images', path, { capability: undefined, texts: ({ prompt }) => [prompt] }),
  ...MEDIA,
  ...more,
})

/** `POST /v1/images/…`. No capability has their name: whoever names a model for images has chosen the model. */
export const imageGenerations: Dialect = images('/v1/images/generations', {})
export const imageEdits: Dialect = images('/v1/images/edits', { bodies: 'either' })
export const imageVariations: Dialect = images('/v1/images/variations', { bodies: 'form' })
