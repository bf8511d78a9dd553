/**
 * Work by key. In: keys, as often as anybody likes. Out: `work(key)`, once however often the key was added while it waited, again if it was
 * added while it ran, never twice at a time for one key. What throws is tried again later, what asks for another turn gets it.
 * EFFECT: runs work and keeps timers. It knows neither Kubernetes nor metrics; `onRecord` tells what it did.
 */
import { RETRY_LIMITS, RetryDelays, type RetryLimits } from './retry-delays.ts'
import { SYSTEM_TIMERS, type Timers } from './timers.ts'

/** Undefined: done until it is added again. */
export type Outcome = { readonly againAfterMs: number } | undefined

export type WorkRecord =
  | { readonly what: 'added' }
  | { readonly what: 'started'; readonly waitedMs: number }
  | { readonly what: 'ended'; readonly result: 'success' | 'error' | 'requeue_after'; readonly ms: number }
  | { readonly what: 'retry' }

export interface WorkQueueOptions {
  /** "statuses", as in metrics. */
  readonly name: string
  readonly concurrency: number
  /** `signal` is aborted when the queue does not wait any longer for its end. */
  readonly work: (key: string, signal: AbortSignal) => Promise<Outcome>
  readonly onRecord?: (record: WorkRecord) => void
  /** Each failure, before it is tried again. */
  readonly onError?: (key: string, error: unknown) => void
  readonly retries?: RetryLimits
  readonly timers?: Timers
}

export interface QueueReading {
  /** Keys that wait for a worker. */
  readonly depth: number
  /** How long each key that is worked on has been. */
  readonly runningMs: readonly number[]
}

const MAX_CLOSE_MS = 5000

/** Owner: who creates it; `close()` once. It holds a key once at most in each of: waiting, running, delayed. */
export class WorkQueue {
  readonly name: string
  readonly concurrency: number
  readonly #options: WorkQueueOptions
  readonly #timers: Timers
  readonly #delays: RetryDelays
  /** Key → since when, in the order they came. */
  readonly #waiting = new Map<string, number>()
  readonly #running = new Map<string, number>()
  /** Added while they ran. */
  readonly #again = new Set<string>()
  readonly #delayed = new Map<string, { readonly atMs: number; readonly cancel: () => void }>()
  readonly #aborting = new AbortController()
  #isClosing = false
  #whenIdle: (() => void) | undefined

  constructor(options: WorkQueueOptions) {
    this.name = options.name
    this.concurrency = options.concurrency
    this.#options = options
    this.#timers = options.timers ?? SYSTEM_TIMERS
    this.#delays = new RetryDelays(options.retries ?? RETRY_LIMITS)
  }

  /** Never throws and never waits; ignored once the queue closes. */
  add(key: string): void {
    if (this.#isClosing || this.#waiting.has(key) || this.#again.has(key)) return
    this.#record({ what: 'added' })
    if (this.#running.has(key)) {
      this.#again.add(key)
      return
    }
    this.#waiting.set(key, this.#timers.now())
    this.#startSome()
  }

  /** Of two times the earlier counts. */
  addAfter(key: string, ms: number): void {
    if (ms <= 0) {
      this.add(key)
      return
    }
    if (this.#isClosing) return
    const atMs = this.#timers.now() + ms
    const before = this.#delayed.get(key)
    if (before !== undefined && before.atMs <= atMs) return
    before?.cancel()
    const cancel = this.#timers.after(ms, () => {
      this.#delayed.delete(key)
      this.add(key)
    })
    this.#delayed.set(key, { atMs, cancel })
  }

  /** The key is of no more interest: it waits no more, and its failures do not count. Work on it that runs goes on. */
  forget(key: string): void {
    this.#delays.forget(key)
    this.#delayed.get(key)?.cancel()
    this.#delayed.delete(key)
    this.#waiting.delete(key)
    this.#again.delete(key)
  }

  reading(): QueueReading {
    const now = this.#timers.now()
    return { depth: this.#waiting.size, runningMs: [...this.#running.values()].map((since) => now - since) }
  }

  /** Works off what waits now; drops what is delayed. After `maxMs` running work is aborted and the rest dropped. */
  async close(maxMs = MAX_CLOSE_MS): Promise<void> {
    this.#isClosing = true
    for (const { cancel } of this.#delayed.values()) cancel()
    this.#delayed.clear()
    if (this.#isIdle()) return
    const cancel = this.#timers.after(maxMs, () => {
      this.#waiting.clear()
      this.#again.clear()
      this.#aborting.abort()
    })
    await new Promise<void>((resolve) => {
      this.#whenIdle = resolve
    })
    cancel()
  }

  #startSome(): void {
    for (const [key, since] of this.#waiting) {
      if (this.#running.size >= this.concurrency) return
      this.#waiting.delete(key)
      void this.#run(key, since)
    }
  }

  async #run(key: string, since: number): Promise<void> {
    const startedAt = this.#timers.now()
    this.#running.set(key, startedAt)
    this.#record({ what: 'started', waitedMs: startedAt - since })
    const result = await this.#attempt(key)
    this.#running.delete(key)
    this.#record({ what: 'ended', result, ms: this.#timers.now() - startedAt })
    if (this.#again.delete(key)) this.#waiting.set(key, this.#timers.now())
    this.#startSome()
    if (this.#isIdle()) this.#whenIdle?.()
  }

  async #attempt(key: string): Promise<'success' | 'error' | 'requeue_after'> {
    try {
      const outcome = await this.#options.work(key, this.#aborting.signal)
      this.#delays.forget(key)
      if (outcome === undefined) return 'success'
      this.addAfter(key, outcome.againAfterMs)
      return 'requeue_after'
    } catch (error) {
      if (this.#isClosing) return 'error'
      this.#options.onError?.(key, error)
      this.#record({ what: 'retry' })
      this.addAfter(key, this.#delays.failed(key, this.#timers.now()))
      return 'error'
    }
  }

  #isIdle(): boolean {
    return this.#waiting.size === 0 && this.#running.size === 0
  }

  #record(record: WorkRecord): void {
    this.#options.onRecord?.(record)
  }
}
