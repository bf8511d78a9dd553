/**
 * Requests that wait: for a slot of a saturated endpoint, for room in a limit, later for a model to wake. In: who waits, for which models,
 * and a way to try. Out: that its turn came, or why not. Knows nothing of HTTP; the one who waits decides again, at once, in `tryTurn`.
 * Bounds: count, bytes and time of each model's queue. One request waits in the queues of all models it may go to, and leaves them together.
 */
import type { QueueLimits } from '../routing-table/v1.ts'
import { DrainRate } from './drain-rate.ts'
import { FairQueue, type Waiting } from './fair-queue.ts'

const DEFAULT_MAX_REQUESTS = 1000
const DEFAULT_MAX_BYTES = 256 * 1024 * 1024
/** How long a timer sleeps at least, whatever it hopes for, and at most. */
const MIN_TIMER_MS = 10
const MAX_TIMER_MS = 60_000

/** What a turn led to: the request has gone (or will never go), or waits on, until there may be room at the latest. */
export type Turn = { readonly kind: 'over' } | { readonly kind: 'waits'; readonly wakeAtMs: number | undefined }

export interface HoldRequest extends Waiting {
  /** Queues by key: a model's ref, or whatever else may have room again. Not empty. */
  readonly lines: readonly { readonly key: string; readonly queue: QueueLimits | undefined }[]
  /** Latest end, on the clock of the options. */
  readonly untilMs: number
  /** When there may be room without anybody saying so. */
  readonly wakeAtMs: number | undefined
  readonly tryTurn: () => Turn
}

/** How a wait ended. `retryAfterMs`: by the rate at which the queue has drained lately. */
export type HoldEnd =
  | { readonly kind: 'turn' }
  | { readonly kind: 'gone' }
  | { readonly kind: 'full'; readonly retryAfterMs: number }
  | { readonly kind: 'late'; readonly retryAfterMs: number }

/** One line as it stands. */
export interface Queued {
  readonly key: string
  readonly requests: number
  readonly bytes: number
}

interface Line {
  readonly queue: FairQueue<Held>
  readonly drained: DrainRate
}

interface Held extends Waiting {
  readonly request: HoldRequest
  readonly lines: readonly Line[]
  readonly end: (end: HoldEnd) => void
  /** Sleeps until there may be room, or until the end of the wait. */
  readonly sleep: (wakeAtMs: number | undefined) => void
}

export class Holds {
  readonly #lines = new Map<string, Line>()
  readonly #now: () => number
  #waiting = 0

  constructor(now: () => number) {
    this.#now = now
  }

  /** Requests that wait, over all models. */
  get size(): number {
    return this.#waiting
  }

  /** Requests that wait for this model. */
  waitingFor(key: string): number {
    return this.#lines.get(key)?.queue.size ?? 0
  }

  /** Every line in which somebody waits. */
  *queues(): Generator<Queued> {
    for (const [key, { queue }] of this.#lines) if (queue.size > 0) yield { key, requests: queue.size, bytes: queue.bytes }
  }

  /** `onGone`: registers what is to be called when the client leaves. */
  wait(request: HoldRequest, onGone: (left: () => void) => void): Promise<HoldEnd> {
    const lines = request.lines.filter(({ key, queue }) => this.#hasRoom(key, queue, request.bytes)).map(({ key }) => this.#line(key))
    if (lines.length === 0) return Promise.resolve({ kind: 'full', retryAfterMs: this.#drainMs(request) })
    const { promise, resolve } = Promise.withResolvers<HoldEnd>()
    const held = this.#held(request, lines, resolve)
    this.#waiting++
    for (const { queue } of lines) queue.push(held)
    held.sleep(request.wakeAtMs)
    onGone(() => held.end({ kind: 'gone' }))
    return promise
  }

  #held(request: HoldRequest, lines: readonly Line[], resolve: (end: HoldEnd) => void): Held {
    const { client, priority, bytes, untilMs } = request
    let timer: NodeJS.Timeout | undefined
    let over = false
    const end = (how: HoldEnd): void => {
      if (over) return
      over = true
      clearTimeout(timer)
      this.#waiting--
      const led = lines.filter(({ queue }) => queue.head === held)
      for (const { queue } of lines) queue.remove(held)
      resolve(how)
      // Whoever is next may fit where this one did not.
      if (how.kind !== 'turn') for (const line of led) this.#serve(line)
    }
    const look = (): void => {
      if (this.#now() >= untilMs) return end({ kind: 'late', retryAfterMs: this.#drainMs(request) })
      held.sleep(undefined)
      for (const line of lines) if (!over && line.queue.head === held) this.#serve(line)
    }
    const sleep = (wakeAtMs: number | undefined): void => {
      clearTimeout(timer)
      const nowMs = this.#now()
      const wakeMs = Math.max(MIN_TIMER_MS, (wakeAtMs ?? untilMs) - nowMs)
      // A wait alone keeps no process alive: its client's socket does.
      timer = setTimeout(look, Math.max(1, Math.min(MAX_TIMER_MS, wakeMs, untilMs - nowMs)))
      timer.unref()
    }
    const held: Held = { client, priority, bytes, request, lines, end, sleep }
    return held
  }

  /** There may be room at this model: those who wait for it try, in order, until one has to wait on. */
  roomAt(key: string): void {
    const line = this.#lines.get(key)
    if (line !== undefined && line.queue.size > 0) this.#serve(line)
  }

  /** The same for all models: after a new table, or news of limits. */
  roomAnywhere(): void {
    for (const [key, line] of this.#lines) {
      if (line.queue.size > 0) this.#serve(line)
      else this.#lines.delete(key)
    }
  }

  #serve(line: Line): void {
    for (let held = line.queue.head; held !== undefined; held = line.queue.head) {
      const turn = held.request.tryTurn()
      if (turn.kind === 'waits') {
        held.sleep(turn.wakeAtMs)
        return
      }
      for (const { drained } of held.lines) drained.add(this.#now())
      held.end({ kind: 'turn' })
    }
  }

  #line(key: string): Line {
    const line = this.#lines.get(key) ?? { queue: new FairQueue<Held>(), drained: new DrainRate() }
    this.#lines.set(key, line)
    return line
  }

  #hasRoom(key: string, limits: QueueLimits | undefined, bytes: number): boolean {
    const queue = this.#lines.get(key)?.queue
    const { maxRequests = DEFAULT_MAX_REQUESTS, maxBytes = DEFAULT_MAX_BYTES } = limits ?? {}
    return (queue?.size ?? 0) < maxRequests && (queue?.bytes ?? 0) + bytes <= maxBytes
  }

  #drainMs({ lines }: HoldRequest): number {
    const waits = lines.map(({ key }) => this.#lines.get(key)).map((line) => line?.drained.waitMs(line.queue.size, this.#now()) ?? 1000)
    return Math.min(...waits)
  }
}
