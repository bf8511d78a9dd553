import type { Timers } from './timers.ts'

interface Waiting {
  readonly atMs: number
  readonly act: () => void
}

/** A clock that stands until it is moved. */
export class FakeTimers implements Timers {
  readonly #waiting = new Set<Waiting>()
  #nowMs = 1_000_000

  get pending(): number {
    return this.#waiting.size
  }

  now(): number {
    return this.#nowMs
  }

  after(ms: number, act: () => void): () => void {
    const waiting = { atMs: this.#nowMs + Math.max(0, ms), act }
    this.#waiting.add(waiting)
    return () => void this.#waiting.delete(waiting)
  }

  /** Acts come in the order of their times; between two of them, all that they have set off settles. */
  async move(ms: number): Promise<void> {
    const untilMs = this.#nowMs + ms
    await settled()
    for (let next = this.#next(untilMs); next !== undefined; next = this.#next(untilMs)) {
      this.#waiting.delete(next)
      this.#nowMs = next.atMs
      next.act()
      await settled()
    }
    this.#nowMs = untilMs
  }

  #next(untilMs: number): Waiting | undefined {
    return [...this.#waiting].filter(({ atMs }) => atMs <= untilMs).sort((a, b) => a.atMs - b.atMs)[0]
  }
}

/** One turn of the event loop: promises that wait for nothing else are through. */
export const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
