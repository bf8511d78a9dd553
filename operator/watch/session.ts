import { setTimeout as sleep } from 'node:timers/promises'
import { type SessionEnd, SessionEndError } from './session-end.ts'

/**
 * The life of one list and one watch: a signal that ends both, aborted from outside, by `end`, or when the server keeps silent for too long.
 * Owner: the Reflector; `close()` once.
 */
export class Session {
  readonly signal: AbortSignal
  readonly #controller = new AbortController()
  #deadline: NodeJS.Timeout | undefined
  #deadlineMs = 0

  constructor(outside: AbortSignal) {
    this.signal = AbortSignal.any([outside, this.#controller.signal])
  }

  /** The server has to say something within this time from now. */
  expectWithin(ms: number): void {
    if (this.#deadline !== undefined && this.#deadlineMs === ms) {
      this.#deadline.refresh()
      return
    }
    clearTimeout(this.#deadline)
    this.#deadlineMs = ms
    this.#deadline = setTimeout(() => this.end({ reason: 'silent', relist: false, message: `nothing heard for ${ms} ms` }), ms)
  }

  end(end: SessionEnd): void {
    this.#controller.abort(new SessionEndError(end))
  }

  /** False when the session ends first. */
  async waits(ms: number): Promise<boolean> {
    return sleep(ms, true, { signal: this.signal }).catch(() => false)
  }

  close(): void {
    clearTimeout(this.#deadline)
    this.#controller.abort()
  }
}
