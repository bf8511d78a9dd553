/** A monotonic clock and what waits on it. Tests move their own. */
export interface Timers {
  /** Milliseconds; never goes back, goes on while the process is stopped. */
  now(): number
  /** Calls `act` once, after `ms`; gives what cancels it. */
  after(ms: number, act: () => void): () => void
}

export const SYSTEM_TIMERS: Timers = {
  now: () => performance.now(),
  after(ms, act) {
    const timer = setTimeout(act, ms)
    return () => clearTimeout(timer)
  },
}
