import { DecayedMean } from './pace.ts'

/** A prompt that is shorter says more of the network than of the engine. */
const MIN_PROMPT_TOKENS = 128

/** One of our requests has had its first token. */
export interface Began {
  readonly promptTokens: number
  readonly waitedMs: number
  /** None of ours waited for a first token there when it was sent. */
  readonly alone: boolean
  /** Others of ours still wait for theirs. */
  readonly queued: boolean
}

/** What an endpoint's queue and prompt reading have been like for our own requests: known at once, whatever the engine tells. */
export class QueueBook {
  readonly #intervals = new DecayedMean()
  readonly #reading = new DecayedMean()
  #lastMs = Number.NEGATIVE_INFINITY

  began({ promptTokens, waitedMs, alone, queued }: Began, nowMs: number): void {
    if (Number.isFinite(this.#lastMs)) this.#intervals.add(nowMs - this.#lastMs, nowMs)
    this.#lastMs = queued ? nowMs : Number.NEGATIVE_INFINITY
    if (alone && promptTokens >= MIN_PROMPT_TOKENS) this.#reading.add(waitedMs / promptTokens, nowMs)
  }

  /** Between two first tokens while others waited for theirs. */
  get beginEveryMs(): number | undefined {
    return this.#intervals.known ? this.#intervals.mean : undefined
  }

  /** Of each prompt token where nobody waited. */
  get promptTokenMs(): number | undefined {
    return this.#reading.known ? this.#reading.mean : undefined
  }
}

/** As much of an endpoint's state as this changes. */
interface Begins {
  queue: QueueBook | undefined
  readonly unbegun: number
  beginEveryMs: number | undefined
  promptTokenMs: number | undefined
}

export function learnBegin(state: Begins, began: Omit<Began, 'queued'>, nowMs: number): void {
  const book = state.queue ?? new QueueBook()
  state.queue = book
  book.began({ ...began, queued: state.unbegun > 1 }, nowMs)
  state.beginEveryMs = book.beginEveryMs
  state.promptTokenMs = book.promptTokenMs
}
