import { USUAL_OUTPUT_TOKENS } from '../decide/pace-view.ts'

/** What is usual counts like so many answers. */
const FIRST = 4
/** An answer so many answers ago counts about a third. */
const LAST = 32

/** Mean output of the last answers of one model; before there are any, what is usual. */
export class MeanOutput {
  meanTokens = USUAL_OUTPUT_TOKENS
  #weight = FIRST

  add(tokens: number): void {
    this.#weight = Math.min(LAST, this.#weight + 1)
    this.meanTokens += (tokens - this.meanTokens) / this.#weight
  }
}
