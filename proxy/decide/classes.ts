import type { FallbackClass } from '../routing-table/v1.ts'

/**
 * What each class of failure allows and costs. The signals that lead to a class are in `forward/classify.ts`.
 *
 * - `again`: the same endpoint once more for the same request: `once`, only if nothing else is left (`alone`), after a short wait the
 *   upstream asked for (`wait`), or never.
 * - `elsewhere`: another endpoint or target: `any`, only one with a `larger` context window, only if the policy's `when` lists it
 *   (`listed`), or never.
 * - `penalty`: what the endpoint pays: `counts` towards its outlier record, `opens` its circuit at once, is `parked` until it said it
 *   recovers, `disabled` until a slow re-test, or nothing.
 */
export const CLASSES = {
  RETRY_SAME: { again: 'once', elsewhere: 'any', penalty: 'counts' },
  REFUSED: { again: 'alone', elsewhere: 'any', penalty: 'opens' },
  CAPACITY: { again: 'alone', elsewhere: 'any', penalty: 'parked' },
  RATE_LIMIT: { again: 'wait', elsewhere: 'any', penalty: 'parked' },
  ENDPOINT_DISABLED: { again: 'never', elsewhere: 'any', penalty: 'disabled' },
  MODEL_MISSING: { again: 'never', elsewhere: 'any', penalty: 'parked' },
  CONTEXT: { again: 'never', elsewhere: 'larger', penalty: 'none' },
  CONTENT: { again: 'never', elsewhere: 'listed', penalty: 'none' },
  CLIENT_FATAL: { again: 'never', elsewhere: 'never', penalty: 'none' },
  NOT_IMPLEMENTED: { again: 'never', elsewhere: 'any', penalty: 'none' },
  OUR_DEADLINE: { again: 'never', elsewhere: 'any', penalty: 'counts' },
  BAD_RESPONSE: { again: 'once', elsewhere: 'any', penalty: 'counts' },
} as const satisfies Record<
  string,
  {
    again: 'once' | 'alone' | 'wait' | 'never'
    elsewhere: 'any' | 'larger' | 'listed' | 'never'
    penalty: 'counts' | 'opens' | 'parked' | 'disabled' | 'none'
  }
>

export type FailureClass = keyof typeof CLASSES

/** Failures of an endpoint that may be gone. All others are answers: there is an engine, and the table is right about it. */
export const UNREACHED: readonly FailureClass[] = ['REFUSED', 'RETRY_SAME', 'OUR_DEADLINE']

/** All but ContentFilter: what `fallback` reacts to when it does not say. */
export const DEFAULT_WHEN: readonly FallbackClass[] = [
  'Unavailable',
  'Overloaded',
  'RateLimited',
  'Timeout',
  'ServerError',
  'ContextLength',
]
