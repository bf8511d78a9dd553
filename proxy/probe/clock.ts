/** Time as the prober sees it, so that a test can move it. */
export interface ProbeClock {
  /** Milliseconds since the epoch, for reports. */
  now(): number
  /** Milliseconds that never jump, for measuring. */
  monotonicMs(): number
  /** Resolves after the time or when the signal aborts; never rejects. */
  wait(delayMs: number, signal: AbortSignal): Promise<void>
}

/** Node's timers are 32 bits wide: one that is longer would fire at once. */
export const MAX_TIMER_MS = 2 ** 31 - 1

/** The timers do not keep the process alive. */
export const systemClock: ProbeClock = {
  now: () => Date.now(),
  monotonicMs: () => performance.now(),
  wait: (delayMs, signal) =>
    new Promise((resolve) => {
      if (signal.aborted) return resolve()
      const done = () => {
        clearTimeout(timer)
        signal.removeEventListener('abort', done)
        resolve()
      }
      const timer = setTimeout(done, Math.min(delayMs, MAX_TIMER_MS)).unref()
      signal.addEventListener('abort', done)
    }),
}
