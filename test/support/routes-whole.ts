/** The inference routes that never stream, as tests speak them. Their answers carry the words too, in whatever shape the route has. */
import { jsonOf, type RouteSpeech, WORDS } from './routes.ts'

type Json = Readonly<Record<string, unknown>>

export interface WholeSpeech extends RouteSpeech {
  /** Sent as multipart/form-data: the name of the field with the file. */
  readonly fileField?: string
  /** Of its answers; absent = JSON. */
  readonly answerType?: string
}

const NO_EVENTS = { begin: [], words: [], finish: [], sentinel: [] }

function speech(
  path: string,
  {
    asks,
    answer,
    read,
    ...more
  }: { asks: Json; answer: (words: readonly string[], model: string) => unknown; read: (body: string) => string } & Pick<
    WholeSpeech,
    'fileField' | 'answerType'
  >,
): WholeSpeech {
  return {
    path,
    request: (model) => ({ model, ...asks }),
    answer: (words, model = 'm') => answer(words, model),
    events: () => NO_EVENTS,
    textOfAnswer: read,
    textOfEvents: () => '',
    ...more,
  }
}

const usage = { prompt_tokens: 7, total_tokens: 7 }
const numberOf = (word: string): number => Number(word.trim().slice(1))
const wordOf = (number: unknown): string => `w${String(number)} `
const listOf = (value: unknown): Json[] => (Array.isArray(value) ? value.map((each) => jsonOf(JSON.stringify(each))) : [])
const at = (value: unknown, key: string): unknown => jsonOf(JSON.stringify(value ?? {}))[key]

const base64 = (text: string): string => Buffer.from(text).toString('base64')
const images = (words: readonly string[]): Json => ({ created: 1, data: words.map((word) => ({ b64_json: base64(word) })) })
const readImages = (body: string): string =>
  listOf(jsonOf(body)['data'])
    .map((image) => Buffer.from(String(image['b64_json']), 'base64').toString())
    .join('')
const spoken = (words: readonly string[]): Json => ({ text: words.join('') })
const readSpoken = (body: string): string => String(jsonOf(body)['text'])

export const WHOLE_ROUTES: Readonly<Record<string, WholeSpeech>> = {
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
    read: (body) => body,
  }),
  transcriptions: speech('/v1/audio/transcriptions', { asks: {}, fileField: 'file', answer: spoken, read: readSpoken }),
  translations: speech('/v1/audio/translations', { asks: {}, fileField: 'file', answer: spoken, read: readSpoken }),
  images: speech('/v1/images/generations', { asks: { prompt: 'Sixty words.' }, answer: images, read: readImages }),
  edits: speech('/v1/images/edits', { asks: { prompt: 'Sixty words.' }, fileField: 'image', answer: images, read: readImages }),
  variations: speech('/v1/images/variations', { asks: {}, fileField: 'image', answer: images, read: readImages }),
}
