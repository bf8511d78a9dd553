import { staleAfter } from '../decide/load.ts'
import type { Mutable } from './endpoint-state.ts'
import { type Answered, DecayedMean } from './pace.ts'

/** A prompt that is shorter says more of the network than of the engine. */
const MIN_PROMPT_TOKENS = 128

/** What an endpoint's queue and prompt reading have been like, where its engine says how many wait. */
export class QueueBook {
  readonly #departures = new DecayedMean()
  readonly #reading = new DecayedMean()
  #lastEndMs = Number.NEGATIVE_INFINITY

  /**
   * A request of ours has ended. `queued`: others wait, so that the engine does all it can; then the time since the one before counts.
   * `oursShare`: of all requests there ours are this part. Answers with the time between any two ends.
   */
  ended({ queued, oursShare }: { queued: boolean; oursShare: number }, nowMs: number): number | undefined {
    if (queued && Number.isFinite(this.#lastEndMs)) this.#departures.add((nowMs - this.#lastEndMs) * oursShare, nowMs)
    this.#lastEndMs = queued ? nowMs : Number.NEGATIVE_INFINITY
    return this.#departures.weight(nowMs) > 0 ? this.#departures.mean : undefined
  }

  /** A first token where nothing had to wait. Answers with the time of each prompt token. */
  read(promptTokens: number, firstTokenMs: number, nowMs: number): number | undefined {
    if (promptTokens >= MIN_PROMPT_TOKENS) this.#reading.add(firstTokenMs / promptTokens, nowMs)
    return this.#reading.weight(nowMs) > 0 ? this.#reading.mean : undefined
  }
}

/** Believes fresh signals only. */
export function learnQueue(
  state: Mutable,
  { promptTokens, firstTokenMs }: Answered,
  { staleAfterMs, nowMs }: { staleAfterMs: number | undefined; nowMs: number },
): void {
  if (state.waiting === undefined || nowMs > state.signalsAtMs + staleAfter(staleAfterMs)) return
  const book = state.queue ?? new QueueBook()
  state.queue = book
  const ours = Math.max(1, state.inFlight)
  const oursShare = ours / Math.max(ours, (state.running ?? 0) + state.waiting)
  state.departureMs = book.ended({ queued: state.waiting > 0, oursShare }, nowMs)
  if (state.waiting === 0 && firstTokenMs !== undefined) state.promptTokenMs = book.read(promptTokens, firstTokenMs, nowMs)
}
