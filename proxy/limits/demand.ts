import type { LimitedRequest } from '../decide/limits-view.ts'

/** What a request will use, estimated before it is sent. */
export interface Demand {
  /** Prompt and answer together, with room for what an estimate misses. */
  readonly tokens: number
  readonly inputTokens: number
  readonly outputTokens: number
}

/** Of its estimated length a prompt may have so much. */
const INPUT_ROOM_PERCENT = 110
/** While too few answers are known, and the request names no limit. */
const UNKNOWN_OUTPUT_TOKENS = 1000
/** Routes whose answers are generated token by token; others answer with none. */
const GENERATES: ReadonlySet<string> = new Set(['chat', 'completions', 'responses', 'messages'])

/** `promptTokens`: as the model counts them, where it is known which. */
export function demandOf(
  request: LimitedRequest,
  p95OutputTokens: number | undefined,
  promptTokens: number = request.promptTokens,
): Demand {
  const { route, maxOutputTokens } = request
  const inputTokens = Math.ceil((promptTokens * INPUT_ROOM_PERCENT) / 100)
  const usual = p95OutputTokens ?? maxOutputTokens ?? UNKNOWN_OUTPUT_TOKENS
  const outputTokens = GENERATES.has(route) ? Math.ceil(Math.min(maxOutputTokens ?? usual, usual)) : 0
  return { tokens: inputTokens + outputTokens, inputTokens, outputTokens }
}

const KEPT = 64
const ENOUGH = 20

/** Output tokens of the last 64 answers; answers with their 95th percentile. */
export class Outputs {
  readonly #values = new Float64Array(KEPT)
  #added = 0
  #p95: number | undefined

  add(tokens: number): void {
    this.#values[this.#added++ % KEPT] = tokens
    if (this.#added % 8 === 0) this.#p95 = undefined
  }

  /** Undefined until 20 answers are known. Sorted anew once every eight. */
  get p95(): number | undefined {
    if (this.#added < ENOUGH) return undefined
    if (this.#p95 === undefined) {
      const sorted = this.#values.slice(0, Math.min(this.#added, KEPT)).sort()
      this.#p95 = sorted[Math.floor(sorted.length * 0.95)]
    }
    return this.#p95
  }
}
