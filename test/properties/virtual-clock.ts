import type { MockTracker } from 'node:test'

interface Due {
  atMs: number
  readonly everyMs: number | undefined
  readonly delayMs: number
  readonly act: () => void
}

/** Turns of the event loop after which nothing is under way any more that waits for no timer. */
const TURNS = 12

/**
 * A clock that moves only when it is told to, with the timers that are set by it. Unlike the mock timers of node:test, a timer here can be
 * refreshed. What node:http does for itself goes by the real clock.
 */
export class VirtualClock {
  nowMs = 1_000_000
  readonly #timers = new Set<Due>()

  /** Timers that have not fired. */
  get pending(): number {
    return this.#timers.size
  }

  /** Until the tracker is reset, all timers that are set anywhere are this clock's. */
  install(mock: MockTracker): void {
    mock.method(globalThis, 'setTimeout', (act: () => void, ms = 0) => this.#set(act, ms, undefined))
    mock.method(globalThis, 'setInterval', (act: () => void, ms = 0) => this.#set(act, ms, ms))
    for (const name of ['clearTimeout', 'clearInterval'] as const)
      mock.method(globalThis, name, (timer: { clear?: () => void } | undefined) => timer?.clear?.())
  }

  #set(act: () => void, delayMs: number, everyMs: number | undefined): object {
    const due: Due = { atMs: this.nowMs + Math.max(1, delayMs), everyMs, delayMs, act }
    this.#timers.add(due)
    const timer = {
      ref: () => timer,
      unref: () => timer,
      hasRef: () => true,
      refresh: () => {
        due.atMs = this.nowMs + Math.max(1, due.delayMs)
        this.#timers.add(due)
        return timer
      },
      clear: () => void this.#timers.delete(due),
    }
    return timer
  }

  /** Fires what is due meanwhile, each at its time, and lets it have its effects before the next. */
  async advance(ms: number): Promise<void> {
    const untilMs = this.nowMs + ms
    for (let next = this.#next(untilMs); next !== undefined; next = this.#next(untilMs)) {
      this.nowMs = Math.max(this.nowMs, next.atMs)
      if (next.everyMs === undefined) this.#timers.delete(next)
      else next.atMs = this.nowMs + Math.max(1, next.everyMs)
      next.act()
      await quiet()
    }
    this.nowMs = untilMs
  }

  #next(untilMs: number): Due | undefined {
    let first: Due | undefined
    for (const due of this.#timers) if (due.atMs <= untilMs && (first === undefined || due.atMs < first.atMs)) first = due
    return first
  }
}

/** Resolves when all that happens by itself has happened. */
export async function quiet(): Promise<void> {
  for (let turn = 0; turn < TURNS; turn++) await new Promise<void>((resolve) => setImmediate(resolve))
}
