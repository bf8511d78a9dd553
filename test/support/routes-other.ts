/** The inference routes beyond those of text, as tests speak them. Their answers carry the words too, in whatever shape the route has. */
import { eventsOf, jsonOf, type RouteSpeech, WORDS } from './routes.ts'

type Json = Readonly<Record<string, unknown>>

export interface OtherSpeech extends RouteSpeech {
  /** Sent as multipart/form-data: the name of the field with the file. */
  readonly fileField?: string
  /** Of its answers; absent = JSON. */
  readonly answerType?: string
}

interface Lines extends Pick<OtherSpeech, 'fileField' | 'answerType'> {
  readonly asks: Json
  readonly answer: (words: readonly string[], model: string) => unknown
  readonly read: (body: string) => string
  /** Absent: the route never streams. */
  readonly streams?: Streams
}

interface Streams {
  /** Asks for a stream. */
  readonly asks: Json
  readonly word: (word: string, index: number) => Json
  readonly finish: (words: readonly string[]) => Json
  readonly read: (event: Json) => string
}

const named = (event: Json): string => `event: ${String(event['type'])}\ndata: ${JSON.stringify(event)}\n\n`

const speech = (path: string, { asks, answer, read, streams, ...more }: Lines): OtherSpeech => ({
  path,
  request: (model, stream) => ({ model, ...asks, ...(stream && streams?.asks) }),
  answer: (words, model = 'm') => answer(words, model),
  events: (words) => ({
    begin: [],
    words: streams === undefined ? [] : words.map((word, index) => named(streams.word(word, index))),
    finish: streams === undefined ? [] : [named(streams.finish(words))],
    sentinel: [],
  }),
  textOfAnswer: read,
  textOfEvents: (body) =>
    eventsOf(body)
      .map((event) => streams?.read(event) ?? '')
      .join(''),
  ...more,
})

const usage = { prompt_tokens: 7, total_tokens: 7 }
const numberOf = (word: string): number => Number(word.trim().slice(1))
const wordOf = (number: unknown): string => `w${String(number)} `
const listOf = (value: unknown): Json[] => (Array.isArray(value) ? value.map((each) => jsonOf(JSON.stringify(each))) : [])
const at = (value: unknown, key: string): unknown => jsonOf(JSON.stringify(value ?? {}))[key]

const base64 = (text: string): string => Buffer.from(text).toString('base64')
const ofBase64 = (value: unknown): string => (typeof value === 'string' ? Buffer.from(value, 'base64').toString() : '')
const tokens = (words: readonly string[]): Json => ({
  usage: { input_tokens: 7, output_tokens: words.length, total_tokens: 7 + words.length },
})
const images = (words: readonly string[]): Json => ({ created: 1, data: words.map((word) => ({ b64_json: base64(word) })) })
const readImages = (body: string): string =>
  listOf(jsonOf(body)['data'])
    .map((image) => ofBase64(image['b64_json']))
    .join('')
const imageEvents = (kind: string): Streams => ({
  asks: { stream: true },
  word: (word, index) => ({ type: `${kind}.partial_image`, b64_json: base64(word), partial_image_index: index }),
  finish: (words) => ({ type: `${kind}.completed`, b64_json: '', ...tokens(words) }),
  read: ({ b64_json: image }) => ofBase64(image),
})
const spoken = (words: readonly string[]): Json => ({ text: words.join('') })
const readSpoken = (body: string): string => String(jsonOf(body)['text'])
const transcriptEvents: Streams = {
  asks: { stream: true },
  word: (delta) => ({ type: 'transcript.text.delta', delta }),
  finish: (words) => ({ type: 'transcript.text.done', ...spoken(words), ...tokens(words) }),
  read: ({ delta }) => (typeof delta === 'string' ? delta : ''),
}
const soundEvents: Streams = {
  asks: { stream_format: 'sse' },
  word: (word) => ({ type: 'speech.audio.delta', audio: base64(word) }),
  finish: (words) => ({ type: 'speech.audio.done', ...tokens(words) }),
  read: ({ audio }) => ofBase64(audio),
}

export const OTHER_ROUTES: Readonly<Record<string, OtherSpeech>> = {
  embeddings: speech('/v1/embeddings', {
    asks: { input: 'Say the words.' },
    answer: (words, model) => ({
      object: 'list',
      model,
      data: words.map((word, index) => ({ object: 'embedding', index, embedding: [numberOf(word)] })),
      usage,
    }),
    read: (body) =>
      listOf(jsonOf(body)['data'])
        .map(({ embedding }) => wordOf(embedding))
        .join(''),
  }),
  rerank: speech('/v1/rerank', {
    asks: { query: 'Which words?', documents: WORDS },
    answer: (words, model) => ({
      model,
      results: words.map((text, index) => ({ index, relevance_score: 1 / (index + 1), document: { text } })),
      usage,
    }),
    read: (body) =>
      listOf(jsonOf(body)['results'])
        .map(({ document }) => String(at(document, 'text')))
        .join(''),
  }),
  moderations: speech('/v1/moderations', {
    asks: { input: WORDS },
    answer: (words, model) => ({
      id: 'modr-1',
      model,
      results: words.map((word) => ({ flagged: false, categories: {}, category_scores: { nothing: numberOf(word) } })),
    }),
    read: (body) =>
      listOf(jsonOf(body)['results'])
        .map((result) => wordOf(at(result['category_scores'], 'nothing')))
        .join(''),
  }),
  count_tokens: speech('/v1/messages/count_tokens', {
    asks: { messages: [{ role: 'user', content: 'Say the words.' }] },
    answer: (words) => ({ input_tokens: words.length }),
    read: (body) => WORDS.slice(0, Number(jsonOf(body)['input_tokens'])).join(''),
  }),
  speech: speech('/v1/audio/speech', {
    asks: { input: WORDS.join(''), voice: 'alloy' },
    answer: (words) => words.join(''),
    answerType: 'audio/mpeg',
    streams: soundEvents,
    read: (body) => body,
  }),
  transcriptions: speech('/v1/audio/transcriptions', {
    asks: {},
    fileField: 'file',
    answer: spoken,
    read: readSpoken,
    streams: transcriptEvents,
  }),
  translations: speech('/v1/audio/translations', { asks: {}, fileField: 'file', answer: spoken, read: readSpoken }),
  images: speech('/v1/images/generations', {
    asks: { prompt: 'Sixty words.' },
    answer: images,
    read: readImages,
    streams: imageEvents('image_generation'),
  }),
  edits: speech('/v1/images/edits', {
    asks: { prompt: 'Sixty words.' },
    fileField: 'image',
    answer: images,
    read: readImages,
    streams: imageEvents('image_edit'),
  }),
  variations: speech('/v1/images/variations', { asks: {}, fileField: 'image', answer: images, read: readImages }),
}
