export interface BackoffLimits {
  readonly baseMs: number
  readonly maxMs: number
}

/**
 * How long to wait after so many failures in a row, in milliseconds; 0 after none. Any time up to a limit that doubles with each failure ("full
 * jitter"), so that many who failed together do not come back together. `dice` is in [0, 1).
 */
export function backoffMs(failures: number, dice: number, { baseMs, maxMs }: BackoffLimits): number {
  return failures === 0 ? 0 : dice * Math.min(maxMs, baseMs * 2 ** Math.min(failures, 20))
}
