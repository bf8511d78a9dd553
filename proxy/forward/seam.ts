import type { Continuing } from '../dialects/continuation.ts'
import type { EventMeaning, Usage } from '../dialects/dialect.ts'
import type { Json } from '../dialects/json.ts'
import type { Delivered } from './delivered.ts'
import type { Editor } from './relay.ts'

/** `prefix`: the engine was given the text so far and sends the rest. `replay`: it was given the prompt alone and sends all of it again. */
export type Method = 'prefix' | 'replay'

const NO_USAGE: Usage = { inputTokens: 0, outputTokens: 0, cachedInputTokens: 0 }

/**
 * Makes one answer of two streams: what the client has, and what another attempt sends. One id, one `created`, no second role, no text
 * twice. A replay goes out from where it has repeated the text byte for byte; where it differs, or ends too early, it has diverged.
 */
export class Seam implements Editor {
  readonly #method: Method
  readonly #continuing: Continuing
  readonly #delivered: Delivered
  readonly #had: string
  readonly #tokensHad: number
  /** UTF-16 units of the text so far that the replay has repeated. */
  #at: number

  constructor(method: Method, continuing: Continuing, delivered: Delivered) {
    this.#method = method
    this.#continuing = continuing
    this.#delivered = delivered
    this.#had = delivered.text
    this.#tokensHad = delivered.tokens
    this.#at = method === 'replay' ? 0 : this.#had.length
  }

  /**
   * A replay's own is that of the whole answer. An engine that was given the text counted it as prompt: the sum stays, and the text's
   * tokens become output again. How many they are is an estimate, as the stream that broke did not come to tell.
   */
  usage(reported: Usage): Usage {
    if (this.#method === 'replay') return reported
    const moved = Math.min(this.#tokensHad, reported.inputTokens)
    const inputTokens = reported.inputTokens - moved
    return {
      inputTokens,
      outputTokens: reported.outputTokens + moved,
      cachedInputTokens: Math.min(reported.cachedInputTokens, inputTokens),
    }
  }

  edit(data: Json, meaning: EventMeaning): Json | 'diverged' | undefined {
    const { text, other } = this.#continuing.readDelta(data)
    const rest = this.#skip(text)
    if (rest === undefined || ((other || meaning.finishes !== 0) && this.#at < this.#had.length)) return 'diverged'
    if (rest === '' && !other && meaning.finishes === 0 && !meaning.usageOnly) return undefined
    const named = { ...this.#continuing.withText(data, rest), ...this.#delivered.names }
    this.#delivered.edit(named, meaning)
    return this.#withUsage(named, meaning)
  }

  /** What of `text` the client has not had; undefined = it differs from what it has. */
  #skip(text: string): string | undefined {
    const known = Math.min(text.length, this.#had.length - this.#at)
    if (known === 0) return text
    if (!this.#had.startsWith(text.slice(0, known), this.#at)) return undefined
    this.#at += known
    return text.slice(known)
  }

  #withUsage(data: Json, { usage }: EventMeaning): Json {
    const { usage: told } = data
    if (usage === undefined || this.#method === 'replay' || typeof told !== 'object' || told === null) return data
    const { inputTokens, outputTokens } = this.usage({ ...NO_USAGE, ...usage })
    return {
      ...data,
      usage: { ...told, prompt_tokens: inputTokens, completion_tokens: outputTokens, total_tokens: inputTokens + outputTokens },
    }
  }
}
