/**
 * How long to wait before try number `failures` (1 = the first again), in milliseconds: any time up to a limit that doubles ("full jitter"), so
 * that many who failed together do not come back together. `dice` is in [0, 1).
 */
export function backoffMs(failures: number, dice: number, { baseMs, maxMs }: { readonly baseMs: number; readonly maxMs: number }): number {
  return dice * Math.min(maxMs, baseMs * 2 ** Math.min(failures, 20))
}
