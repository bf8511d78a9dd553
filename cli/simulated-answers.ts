/** What the simulated engine says, in the shapes of the OpenAI API. Pure: identifiers and times come in. */

export interface Turn {
  /** Name of the engine and of its only model. */
  model: string
  id: string
  /** Seconds since the epoch. */
  created: number
  prompt: string
  /** One token each; joined they are the answer. */
  pieces: readonly string[]
  finish: 'stop' | 'length'
}

export interface Asked {
  model: string
  id: string
  created: number
  body: Readonly<Record<string, unknown>>
}

/** The answer to a request body: it repeats the end of the prompt, so that one sees that it arrived. */
export function turnOf({ model, id, created, body }: Asked): Turn {
  const prompt = promptOf(body)
  const said = prompt.length > 200 ? `…${prompt.slice(-200)}` : prompt
  const answer = `This is ${model}, a simulated engine without a language model. You said: "${said.trim()}". Start a real engine and llama-swap will route to it.`
  const pieces = answer.match(/\s*\S+/g) ?? []
  const limit = maxTokens(body) ?? pieces.length
  return { model, id, created, prompt, pieces: pieces.slice(0, limit), finish: limit < pieces.length ? 'length' : 'stop' }
}

/** Text of the last user message, of `prompt` or of `input`; content parts that are not text are passed over. */
function promptOf(body: Readonly<Record<string, unknown>>): string {
  const last = list(body['messages']).at(-1) ?? list(body['input']).at(-1)
  if (isObject(last)) return contentText(last['content'])
  return [body['prompt'], body['input']]
    .flatMap((value) => (typeof value === 'string' ? [value] : list(value)))
    .filter(isText)
    .join(' ')
}

function contentText(content: unknown): string {
  if (typeof content === 'string') return content
  return list(content)
    .flatMap((part) => (isObject(part) && isText(part['text']) ? [part['text']] : []))
    .join(' ')
}

function maxTokens(body: Readonly<Record<string, unknown>>): number | undefined {
  const asked = [body['max_completion_tokens'], body['max_tokens'], body['max_output_tokens']].find(
    (value) => typeof value === 'number' && value > 0,
  )
  return typeof asked === 'number' ? Math.floor(asked) : undefined
}

// --- chat completions and completions ---

export function chatCompletion(turn: Turn): object {
  const message = { role: 'assistant', content: turn.pieces.join('') }
  return { ...head(turn, 'chat.completion'), choices: [{ index: 0, message, finish_reason: turn.finish }], usage: usage(turn) }
}

/** Chunks in order: the role, one delta a token, the finish, the usage if asked. */
export function chatChunks(turn: Turn, includeUsage: boolean): object[] {
  const chunk = (delta: object, finish: string | null) => ({
    ...head(turn, 'chat.completion.chunk'),
    choices: [{ index: 0, delta, finish_reason: finish }],
    ...(includeUsage ? { usage: null } : {}),
  })
  const deltas = turn.pieces.map((content) => chunk({ content }, null))
  const last = includeUsage ? [{ ...head(turn, 'chat.completion.chunk'), choices: [], usage: usage(turn) }] : []
  return [chunk({ role: 'assistant', content: '' }, null), ...deltas, chunk({}, turn.finish), ...last]
}

export function completion(turn: Turn): object {
  return {
    ...head(turn, 'text_completion'),
    choices: [{ index: 0, text: turn.pieces.join(''), finish_reason: turn.finish }],
    usage: usage(turn),
  }
}

export function completionChunks(turn: Turn, includeUsage: boolean): object[] {
  const chunk = (text: string, finish: string | null) => ({
    ...head(turn, 'text_completion'),
    choices: [{ index: 0, text, finish_reason: finish }],
  })
  const last = includeUsage ? [{ ...head(turn, 'text_completion'), choices: [], usage: usage(turn) }] : []
  return [...turn.pieces.map((text) => chunk(text, null)), chunk('', turn.finish), ...last]
}

function head({ id, created, model }: Turn, object: string): { id: string; object: string; created: number; model: string } {
  return { id, object, created, model }
}

function usage(turn: Turn): { prompt_tokens: number; completion_tokens: number; total_tokens: number } {
  const [input, output] = tokens(turn)
  return { prompt_tokens: input, completion_tokens: output, total_tokens: input + output }
}

function tokens(turn: Turn): [input: number, output: number] {
  return [turn.prompt.match(/\S+/g)?.length ?? 0, turn.pieces.length]
}

// --- responses ---

export function response(turn: Turn): object {
  const [input, output] = tokens(turn)
  const usageOf = {
    input_tokens: input,
    input_tokens_details: { cached_tokens: 0 },
    output_tokens: output,
    output_tokens_details: { reasoning_tokens: 0 },
  }
  const ended =
    turn.finish === 'stop' ? { status: 'completed' } : { status: 'incomplete', incomplete_details: { reason: 'max_output_tokens' } }
  return { ...responseHead(turn), ...ended, output: [message(turn, true)], usage: { ...usageOf, total_tokens: input + output } }
}

/** Events in order. Each is named; there is no `[DONE]`. */
export function responseEvents(turn: Turn): { type: string }[] {
  const begun = { ...responseHead(turn), status: 'in_progress', output: [], usage: null }
  const at = { item_id: `msg_${turn.id}`, output_index: 0, content_index: 0 }
  const text = turn.pieces.join('')
  const events = [
    { type: 'response.created', response: begun },
    { type: 'response.in_progress', response: begun },
    { type: 'response.output_item.added', output_index: 0, item: message(turn, false) },
    { type: 'response.content_part.added', ...at, part: outputText('') },
    ...turn.pieces.map((delta) => ({ type: 'response.output_text.delta', ...at, delta, logprobs: [] })),
    { type: 'response.output_text.done', ...at, text, logprobs: [] },
    { type: 'response.content_part.done', ...at, part: outputText(text) },
    { type: 'response.output_item.done', output_index: 0, item: message(turn, true) },
    { type: turn.finish === 'stop' ? 'response.completed' : 'response.incomplete', response: response(turn) },
  ]
  return events.map((event, index) => ({ ...event, sequence_number: index }))
}

function responseHead({ id, created, model }: Turn): object {
  return {
    id: `resp_${id}`,
    object: 'response',
    created_at: created,
    model,
    error: null,
    incomplete_details: null,
    parallel_tool_calls: true,
    tool_choice: 'auto',
    tools: [],
  }
}

function message(turn: Turn, done: boolean): object {
  const content = done ? [outputText(turn.pieces.join(''))] : []
  return { id: `msg_${turn.id}`, type: 'message', role: 'assistant', status: done ? 'completed' : 'in_progress', content }
}

function outputText(text: string): object {
  return { type: 'output_text', text, annotations: [], logprobs: [] }
}

// --- embeddings ---

const DIMENSIONS = 16

export function embeddings(model: string, body: Readonly<Record<string, unknown>>): object {
  const inputs = typeof body['input'] === 'string' ? [body['input']] : list(body['input']).map(String)
  const base64 = body['encoding_format'] === 'base64'
  const data = inputs.map((text, index) => ({ object: 'embedding', index, embedding: base64 ? encoded(vectorOf(text)) : vectorOf(text) }))
  const prompt_tokens = inputs.reduce((sum, text) => sum + (text.match(/\S+/g)?.length ?? 0), 0)
  return { object: 'list', model, data, usage: { prompt_tokens, total_tokens: prompt_tokens } }
}

/** Letters counted by code, of unit length: equal texts are equal, similar ones similar. */
function vectorOf(text: string): number[] {
  const counts = Array.from({ length: DIMENSIONS }, () => 0)
  for (const letter of text) {
    const at = (letter.codePointAt(0) ?? 0) % DIMENSIONS
    counts[at] = (counts[at] ?? 0) + 1
  }
  const length = Math.hypot(...counts) || 1
  return counts.map((count) => count / length)
}

function encoded(vector: readonly number[]): string {
  return Buffer.from(Float32Array.from(vector).buffer).toString('base64')
}

function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : []
}

function isText(value: unknown): value is string {
  return typeof value === 'string'
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
