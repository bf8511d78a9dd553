import type { Continuing } from '../dialects/continuation.ts'
import type { EventMeaning, Usage } from '../dialects/dialect.ts'
import type { Json } from '../dialects/json.ts'
import type { Editor } from './relay.ts'

/** Most of an answer that is remembered, in UTF-8: a longer one is not gone on with. */
const MAX_TEXT_BYTES = 64 * 1024
/** The text is kept in one piece but for a tail of this many UTF-16 units: thousands of joined pieces take many times its size. */
const MAX_TAIL = 4096

/** What the client has of one answer, as far as another attempt needs it to go on. Passes every event on as it is. */
export class Delivered implements Editor {
  readonly #continuing: Continuing
  #text = ''
  #tail = ''
  #bytes = 0
  #deltas = 0
  #usage: Usage | undefined
  #isClosed = false
  #id: unknown
  #created: unknown

  constructor(continuing: Continuing) {
    this.#continuing = continuing
  }

  get text(): string {
    return this.#text + this.#tail
  }

  /** Of the text, in UTF-8. */
  get bytes(): number {
    return this.#bytes
  }

  /** Output tokens of the text: as the engine counted them while it streamed, else one an event, which is what most engines send. */
  get tokens(): number {
    return Math.max(this.#usage?.outputTokens ?? 0, this.#deltas)
  }

  /** What the first event called the answer; absent fields stay as they are. */
  get names(): Json {
    return { ...(this.#id !== undefined && { id: this.#id }), ...(this.#created !== undefined && { created: this.#created }) }
  }

  /** There is more to it than text of one choice, or too much of that, or it is finished: nobody else can go on with it. */
  get isClosed(): boolean {
    return this.#isClosed || /^\s*<think>/.test(this.#text === '' ? this.#tail : this.#text)
  }

  usage(reported: Usage): Usage {
    this.#usage = reported
    return reported
  }

  edit(data: Json, meaning: EventMeaning): Json {
    this.#id ??= data['id']
    this.#created ??= data['created']
    const { text, other } = this.#continuing.readDelta(data)
    if (text !== '') this.add(text)
    if (other || meaning.finishes !== 0) this.#isClosed = true
    return data
  }

  add(text: string): void {
    this.#bytes += Buffer.byteLength(text)
    this.#deltas++
    if (this.#bytes > MAX_TEXT_BYTES) return this.#close()
    this.#tail += text
    if (this.#tail.length > MAX_TAIL) this.#flatten()
  }

  #close(): void {
    this.#isClosed = true
    this.#text = ''
    this.#tail = ''
  }

  #flatten(): void {
    this.#text = Buffer.from(this.text, 'utf16le').toString('utf16le')
    this.#tail = ''
  }
}
