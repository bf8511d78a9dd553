/** The inference routes as tests speak them: what to ask, what a healthy engine answers, and what a client reads of it. */
export interface RouteSpeech {
  readonly path: string
  request(model: string, stream: boolean): Readonly<Record<string, unknown>>
  /** A healthy whole answer with these words. A string goes as it is. */
  answer(words: readonly string[], model?: string): unknown
  /** A healthy stream, one text an event: a beginning without content, one event a word, the closing ones. */
  readonly events: (
    words: readonly string[],
    model?: string,
  ) => {
    readonly begin: readonly string[]
    readonly words: readonly string[]
    readonly finish: readonly string[]
    readonly sentinel: readonly string[]
  }
  /** The text of a whole answer, and of a stream's events. */
  textOfAnswer(body: string): string
  textOfEvents(body: string): string
}

type Json = Readonly<Record<string, unknown>>

const data = (event: Json): string => `data: ${JSON.stringify(event)}\n\n`
const named = (event: Json): string => `event: ${String(event['type'])}\n${data(event)}`
const usage = (words: readonly string[]): Json => ({ prompt_tokens: 7, completion_tokens: words.length, total_tokens: 7 + words.length })
const DONE = 'data: [DONE]\n\n'

/** Sixty different words, so that a missing, doubled or foreign one shows. */
export const WORDS: readonly string[] = Array.from({ length: 60 }, (_, index) => `w${index} `)

/** The JSON of each event of a stream; what is none is left out, and so is a byte order mark, as clients do. */
export function eventsOf(body: string): Json[] {
  return body
    .replace(/^\uFEFF/, '')
    .split('\n\n')
    .flatMap((event) => {
      const line = event.split('\n').find((each) => each.startsWith('data: '))
      return line === undefined || line === 'data: [DONE]' ? [] : [jsonOf(line.slice('data: '.length))]
    })
}

export function jsonOf(text: string): Json {
  const value: unknown = JSON.parse(text)
  return typeof value === 'object' && value !== null ? { ...value } : {}
}

/** Reads `path` such as "choices.0.delta.content" of a value; '' where it is absent. */
function textAt(value: unknown, path: string): string {
  let at: unknown = value
  for (const key of path.split('.')) at = typeof at === 'object' && at !== null ? Reflect.get(at, key) : undefined
  return typeof at === 'string' ? at : ''
}

const chatEvent = (model: string, delta: Json, finish: string | null): string =>
  data({ id: 'chatcmpl-1', object: 'chat.completion.chunk', created: 1, model, choices: [{ index: 0, delta, finish_reason: finish }] })

const chat: RouteSpeech = {
  path: '/v1/chat/completions',
  request: (model, stream) => ({ model, stream, messages: [{ role: 'user', content: 'Say the words.' }] }),
  answer: (words, model = 'm') => ({
    id: 'chatcmpl-1',
    object: 'chat.completion',
    created: 1,
    model,
    choices: [{ index: 0, message: { role: 'assistant', content: words.join('') }, finish_reason: 'stop' }],
    usage: usage(words),
  }),
  events: (words, model = 'm') => ({
    begin: [chatEvent(model, { role: 'assistant', content: '' }, null)],
    words: words.map((content) => chatEvent(model, { content }, null)),
    finish: [
      chatEvent(model, {}, 'stop'),
      data({ id: 'chatcmpl-1', object: 'chat.completion.chunk', created: 1, model, choices: [], usage: usage(words) }),
    ],
    sentinel: [DONE],
  }),
  textOfAnswer: (body) => textAt(jsonOf(body), 'choices.0.message.content'),
  textOfEvents: (body) =>
    eventsOf(body)
      .map((event) => textAt(event, 'choices.0.delta.content'))
      .join(''),
}

const completionEvent = (model: string, text: string, finish: string | null): string =>
  data({ id: 'cmpl-1', object: 'text_completion', created: 1, model, choices: [{ index: 0, text, finish_reason: finish }] })

const completions: RouteSpeech = {
  path: '/v1/completions',
  request: (model, stream) => ({ model, stream, prompt: 'Say the words.' }),
  answer: (words, model = 'm') => ({
    id: 'cmpl-1',
    object: 'text_completion',
    created: 1,
    model,
    choices: [{ index: 0, text: words.join(''), finish_reason: 'stop' }],
    usage: usage(words),
  }),
  events: (words, model = 'm') => ({
    begin: [],
    words: words.map((text) => completionEvent(model, text, null)),
    finish: [
      completionEvent(model, '', 'stop'),
      data({ id: 'cmpl-1', object: 'text_completion', created: 1, model, choices: [], usage: usage(words) }),
    ],
    sentinel: [DONE],
  }),
  textOfAnswer: (body) => textAt(jsonOf(body), 'choices.0.text'),
  textOfEvents: (body) =>
    eventsOf(body)
      .map((event) => textAt(event, 'choices.0.text'))
      .join(''),
}

const responseOf = (words: readonly string[], model: string, status: string): Json => ({
  id: 'resp_1',
  object: 'response',
  created_at: 1,
  model,
  status,
  output: [
    { id: 'msg_1', type: 'message', role: 'assistant', status, content: [{ type: 'output_text', text: words.join(''), annotations: [] }] },
  ],
  usage: { input_tokens: 7, output_tokens: words.length, total_tokens: 7 + words.length },
})

const responses: RouteSpeech = {
  path: '/v1/responses',
  request: (model, stream) => ({ model, stream, input: 'Say the words.' }),
  answer: (words, model = 'm') => responseOf(words, model, 'completed'),
  events: (words, model = 'm') => ({
    begin: [named({ type: 'response.created', response: { ...responseOf([], model, 'in_progress'), output: [] } })],
    words: words.map((delta) => named({ type: 'response.output_text.delta', item_id: 'msg_1', output_index: 0, content_index: 0, delta })),
    finish: [named({ type: 'response.completed', response: responseOf(words, model, 'completed') })],
    sentinel: [],
  }),
  textOfAnswer: (body) => textAt(jsonOf(body), 'output.0.content.0.text'),
  textOfEvents: (body) =>
    eventsOf(body)
      .filter((event) => event['type'] === 'response.output_text.delta')
      .map((event) => textAt(event, 'delta'))
      .join(''),
}

const messageOf = (words: readonly string[], model: string, stopReason: string | null, outputTokens: number): Json => ({
  id: 'msg_1',
  type: 'message',
  role: 'assistant',
  model,
  content: words.length === 0 ? [] : [{ type: 'text', text: words.join('') }],
  stop_reason: stopReason,
  stop_sequence: null,
  usage: { input_tokens: 7, output_tokens: outputTokens },
})

const messages: RouteSpeech = {
  path: '/v1/messages',
  request: (model, stream) => ({ model, stream, max_tokens: 1000, messages: [{ role: 'user', content: 'Say the words.' }] }),
  answer: (words, model = 'm') => messageOf(words, model, 'end_turn', words.length),
  events: (words, model = 'm') => ({
    begin: [
      named({ type: 'message_start', message: messageOf([], model, null, 1) }),
      named({ type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' } }),
    ],
    words: words.map((text) => named({ type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text } })),
    finish: [
      named({ type: 'content_block_stop', index: 0 }),
      named({ type: 'message_delta', delta: { stop_reason: 'end_turn', stop_sequence: null }, usage: { output_tokens: words.length } }),
    ],
    sentinel: [named({ type: 'message_stop' })],
  }),
  textOfAnswer: (body) => textAt(jsonOf(body), 'content.0.text'),
  textOfEvents: (body) =>
    eventsOf(body)
      .filter((event) => event['type'] === 'content_block_delta')
      .map((event) => textAt(event, 'delta.text'))
      .join(''),
}

/** The routes that stream. */
export const ROUTES: Readonly<Record<'chat' | 'completions' | 'responses' | 'messages', RouteSpeech>> = {
  chat,
  completions,
  responses,
  messages,
}

/** All events of a healthy stream in order. */
export function streamOf(route: RouteSpeech, words: readonly string[], model?: string): string[] {
  const { begin, words: content, finish, sentinel } = route.events(words, model)
  return [...begin, ...content, ...finish, ...sentinel]
}
