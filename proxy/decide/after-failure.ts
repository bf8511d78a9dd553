import type { FallbackClass, Retry } from '../routing-table/v1.ts'
import { CLASSES, type FailureClass } from './classes.ts'
import type { PastAttempt } from './input.ts'

/** An upstream's wish to wait is followed in place up to here; a longer one moves the request elsewhere. */
const MAX_WAIT_IN_PLACE_MS = 3000
const BACK_OFF_BASE_MS = 100
const BACK_OFF_MAX_MS = 2000
const DEFAULT_SAME_ENDPOINT = 1
const DEFAULT_TOTAL_ATTEMPTS = 6

export interface FailedAttempt {
  readonly failure: FailureClass
  readonly when: FallbackClass | undefined
  /** It sent nothing in time: never tried again for the same request. */
  readonly silent: boolean
  readonly retryAfterMs: number | undefined
}

export interface RetryQuestion {
  readonly failed: FailedAttempt
  readonly endpointId: string
  /** Attempts before this one. */
  readonly past: readonly PastAttempt[]
  readonly retry: Retry
  /** What is left of the chain's deadline; Infinity without one. */
  readonly remainingMs: number
  /** Of the model that failed: whether one more retry at it fits. */
  readonly budgetAllows: boolean
  /** In [0, 1): jitter. */
  readonly dice: number
}

/**
 * Stop, or go on: whether the same endpoint may be tried once more, and how long to wait first if it is. Elsewhere there is no wait. A model
 * whose retry budget is spent gets no more of this request; another model may, as that is no load on the one that fails.
 */
export type AfterFailure =
  | { readonly kind: 'stop' }
  | { readonly kind: 'go'; readonly mayRepeat: boolean; readonly sameModel: boolean; readonly waitMs: number }

export function afterFailure(question: RetryQuestion): AfterFailure {
  const { failed, retry, remainingMs, budgetAllows } = question
  const past = question.past.filter(({ rotated }) => rotated !== true)
  const rule = CLASSES[failed.failure]
  if (rule.again === 'never' && rule.elsewhere === 'never') return { kind: 'stop' }
  if (past.length + 1 >= (retry.totalAttempts ?? DEFAULT_TOTAL_ATTEMPTS) || remainingMs <= 0) return { kind: 'stop' }
  const waitMs = waitBefore({ ...question, past })
  const repeats = past.filter(({ endpointId }) => endpointId === question.endpointId).length
  const mayRepeat = budgetAllows && repeats < (retry.sameEndpoint ?? DEFAULT_SAME_ENDPOINT) && repeatable(failed) && waitMs < remainingMs
  return { kind: 'go', mayRepeat, sameModel: budgetAllows, waitMs }
}

function repeatable({ failure, silent, retryAfterMs }: FailedAttempt): boolean {
  switch (CLASSES[failure].again) {
    case 'once':
    case 'alone':
      return !silent
    case 'wait':
      return retryAfterMs !== undefined && retryAfterMs <= MAX_WAIT_IN_PLACE_MS
    case 'never':
      return false
  }
}

/** What the upstream asked for, else exponential with jitter of 0.8 to 1.2. */
function waitBefore({ failed, past, dice }: RetryQuestion): number {
  if (failed.retryAfterMs !== undefined && failed.retryAfterMs <= MAX_WAIT_IN_PLACE_MS) return failed.retryAfterMs
  return Math.min(BACK_OFF_MAX_MS, BACK_OFF_BASE_MS * 2 ** past.length) * (0.8 + 0.4 * dice)
}
