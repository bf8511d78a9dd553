import { type ModelView, type Standing, together } from './model-view.ts'
import { answerMs, BUCKETS, blendedMs, medianOf } from './pace-view.ts'

/** What a decision sees of the models of one rule. The live state keeps it while nothing changes but loads. */
export interface Outlook {
  readonly views: readonly ModelView[]
  /** What holds of all of them. */
  readonly all: Standing
  /** As of a moment ago at most: averages over seconds do not change faster. */
  expected(bucket: number, outputTokens: number, nowMs: number): Expected
}

/** Of each model how long it takes until the whole answer is there. NaN, and `fastestMs` Infinity, where nothing is known of any. */
export interface Expected {
  readonly times: readonly number[]
  readonly fastestMs: number
}

const MOMENT_MS = 100

export function outlookOf(views: readonly ModelView[]): Outlook {
  const kept: (Kept | undefined)[] = Array.from({ length: BUCKETS }, () => undefined)
  return {
    views,
    all: together(views),
    expected: (bucket, outputTokens, nowMs) => {
      const known = kept[bucket]
      if (known?.outputTokens === outputTokens && nowMs - known.atMs < MOMENT_MS) return known
      const made = { ...expectedOf(views, { bucket, outputTokens, nowMs }), outputTokens, atMs: nowMs }
      kept[bucket] = made
      return made
    },
  }
}

interface Kept extends Expected {
  readonly outputTokens: number
  readonly atMs: number
}

/**
 * As the better endpoints of each model have been doing for prompts of this size. A model of which little or nothing is known is taken to be
 * as its peers are at the median.
 */
export function expectedOf(
  views: readonly ModelView[],
  { bucket, outputTokens, nowMs }: { bucket: number; outputTokens: number; nowMs: number },
): Expected {
  const times: number[] = []
  for (const view of views) times.push(answerMs(view.pace(bucket), outputTokens))
  const peersMs = medianOf(times)
  let fastestMs = Number.POSITIVE_INFINITY
  for (let at = 0; at < times.length; at++) {
    const [pace, ownMs = Number.NaN] = [views[at]?.pace(bucket), times[at]]
    const believedMs = pace === undefined ? ownMs : blendedMs(pace, ownMs, peersMs, nowMs)
    times[at] = believedMs
    if (believedMs < fastestMs) fastestMs = believedMs
  }
  return { times, fastestMs }
}
