import { monitorEventLoopDelay } from 'node:perf_hooks'
import type { Registry } from 'prom-client'
import { ReadGauge, type Reading } from './readings.ts'

/** The monitor is a timer of this period; what it records beyond the period is lag. */
const PERIOD_MS = 20
/** Two scrapers that come shortly after each other see the same window. */
const MIN_WINDOW_MS = 5000
const PERCENTILES = [50, 90, 99, 100] as const

/** How late the event loop runs, as percentiles since the scrape before. Owner of its timer: `close()` stops it. */
export class EventLoopLag {
  readonly #delays = monitorEventLoopDelay({ resolution: PERIOD_MS })
  #readAtMs = Number.NEGATIVE_INFINITY
  #last: readonly Reading[] = []

  constructor(registry: Registry, now: () => number) {
    this.#delays.enable()
    const read = (): readonly Reading[] => this.#read(now())
    new ReadGauge({
      name: 'llama_swap_event_loop_lag_seconds',
      help: 'Lag of the event loop since the scrape before; percentile 100 is the worst.',
      labelNames: ['percentile'],
      registry,
      read,
    })
  }

  #read(nowMs: number): readonly Reading[] {
    if (nowMs - this.#readAtMs < MIN_WINDOW_MS) return this.#last
    this.#readAtMs = nowMs
    const lag = (percentile: number): number => Math.max(0, this.#delays.percentile(percentile) / 1e9 - PERIOD_MS / 1000)
    this.#last = PERCENTILES.map((percentile) => ({ labels: { percentile: String(percentile) }, value: lag(percentile) }))
    this.#delays.reset()
    return this.#last
  }

  close(): void {
    this.#delays.disable()
  }
}
