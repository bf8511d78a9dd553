import type { Prompt } from '../estimate/prompt.ts'
import type { Ref } from '../routing-table/v1.ts'

/** As much of a request's facts as estimates need to know. */
export interface Counted {
  /** Tokens that any model might count; the same in every proxy and at every time. */
  readonly promptTokens: number
  /** What a model's own count is estimated from; absent = `promptTokens` is all that is known. */
  readonly prompt?: Prompt
}

/** Read-only view of what models count; its owner learns, decide never does. */
export interface TokensView {
  /** Tokens of the prompt as this model counts them: an estimate, at most eight times `promptTokens`. */
  of(model: Ref, request: Counted): number
  /** 0 to 1: a window below this part of the estimate is certainly too small. */
  certain(model: Ref, request: Counted): number
}

/** No model may count more times the plain estimate. */
export const MOST_TIMES = 8

/** While too little is known of a model: token estimates are rarely off by more. */
const CERTAIN = 0.6

/** Of models that have reported nothing. */
export const PLAIN_TOKENS: TokensView = { of: (_, { promptTokens }) => promptTokens, certain: () => CERTAIN }
