/**
 * Accounting. In: one record of each settled request (`serve/lifecycle.ts`), live state and table when somebody scrapes. Out: Prometheus
 * metrics (this file; listed in `docs/metrics.md`), an access line (`access-log.ts`), log lines (`log.ts`). It decides nothing, never
 * fails a request, and every label set and buffer in it is bounded. Nothing of a prompt, a header or a credential passes through it.
 *
 * `cells.ts` counts on the request path, `readings.ts` reads at scrape time, `settled.ts` says what a record means.
 */
import { Registry } from 'prom-client'
import type { Ending } from '../forward/run.ts'
import type { CircuitEvent } from '../live/live.ts'
import type { RequestRecord } from '../serve/lifecycle.ts'
import { CounterCells, HistogramCells } from './cells.ts'
import { CircuitMetrics } from './circuit-metrics.ts'
import { CostMetrics } from './cost-metrics.ts'
import { EventLoopLag } from './event-loop.ts'
import { GenAiMetrics } from './gen-ai.ts'
import { registerLimitMetrics } from './limit-metrics.ts'
import { registerLiveMetrics, type Sources } from './live-metrics.ts'
import { registerProcessMetrics } from './process-metrics.ts'
import { type PushSources, registerPushMetrics } from './push-metrics.ts'
import { type QueueSources, registerQueueMetrics } from './queue-metrics.ts'
import { ReadCounter } from './readings.ts'
import { attemptWord, continuationResult, outcomeOf, policyRuleOf, ruleOf } from './settled.ts'
import { registerTlsMetrics, type TlsReadings } from './tls-metrics.ts'

const wallClock = (): number => performance.timeOrigin + performance.now()

/** The model label of a request that went to no endpoint. */
const NO_MODEL = '_none'
const DURATION_BOUNDS = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300] as const
const OVERHEAD_BOUNDS = [0.000_025, 0.000_05, 0.000_1, 0.000_15, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01] as const

export interface MetricsOptions extends Omit<Sources, 'now'> {
  readonly holds: QueueSources
  /** Milliseconds since the epoch; the system's clock if absent. */
  readonly now?: () => number
  /** Lines that the access log has dropped so far. */
  readonly accessLinesDropped?: () => number
  /** Absent where no operator pushes. */
  readonly push?: PushSources
  /** Absent where the inference port speaks plain HTTP. */
  readonly tls?: () => TlsReadings
}

/** Every metric of a proxy. Owner of the event-loop monitor: `close()` stops it. `record()` costs 1 to 2 µs. */
export class Metrics {
  readonly registry = new Registry()
  readonly #table: MetricsOptions['table']
  readonly #lag: EventLoopLag
  readonly #genAi: GenAiMetrics
  readonly #cost: CostMetrics
  readonly #circuits: CircuitMetrics
  readonly #dropped = new CounterCells({
    registry: this.registry,
    name: 'llama_swap_metric_series_dropped_total',
    help: 'Observations without a series of their own, as their metric has too many: counted under "_other", or, of endpoints, left out.',
    labelNames: ['metric'],
  })
  readonly #onDropped = (metric: string): void => this.#dropped.add([metric])
  readonly #shared = { registry: this.registry, onDropped: this.#onDropped }
  readonly #requests = new CounterCells({
    ...this.#shared,
    name: 'llama_swap_requests_total',
    help: 'Settled requests; outcome is "ok" or an error_type.',
    labelNames: ['route', 'model', 'rule', 'outcome'],
  })
  readonly #durations = new HistogramCells({
    ...this.#shared,
    name: 'llama_swap_request_duration_seconds',
    help: 'Time from the arrival of a request to the end of its answer.',
    labelNames: ['route', 'model'],
    bounds: DURATION_BOUNDS,
  })
  readonly #overhead = new HistogramCells({
    ...this.#shared,
    name: 'llama_swap_overhead_seconds',
    help: "The proxy's own share: from the complete request body to the first attempt.",
    labelNames: [],
    bounds: OVERHEAD_BOUNDS,
  })
  readonly #waits = new HistogramCells({
    ...this.#shared,
    name: 'llama_swap_queue_wait_seconds',
    help: 'How long requests waited in queues that had to; outcome is "ok" or an error_type, as of the whole request.',
    labelNames: ['model', 'outcome'],
    bounds: DURATION_BOUNDS,
  })
  readonly #attempts = new CounterCells({
    ...this.#shared,
    name: 'llama_swap_attempts_total',
    help: 'Attempts; outcome is "answered", "gone" (the client left), "diverged" (a replay that differs) or an error_type.',
    labelNames: ['model', 'backend', 'outcome'],
  })
  readonly #continuations = new CounterCells({
    ...this.#shared,
    name: 'llama_swap_continuations_total',
    help: 'Attempts that went on with a stream that had broken; method is "prefix" or "replay", result is "answered", "diverged", "failed" or "gone".',
    labelNames: ['model', 'method', 'result'],
  })
  readonly #decisions = new CounterCells({
    ...this.#shared,
    name: 'llama_swap_decisions_total',
    help: 'Decisions; kind is "send", "retry" (the same model again), "fallback" (another model) or "refuse".',
    labelNames: ['policy_rule', 'model', 'kind'],
  })
  readonly #malformed = new CounterCells({
    ...this.#shared,
    name: 'llama_swap_stream_events_malformed_total',
    help: 'Events of upstream streams that were skipped as malformed.',
    labelNames: ['model'],
  })
  readonly #swaps = new CounterCells({
    ...this.#shared,
    name: 'llama_swap_table_swaps_total',
    help: 'Routing tables offered to this proxy; result is "applied" or "refused" (the one before stays in use).',
    labelNames: ['result'],
  })

  readonly #affinity = new CounterCells({
    ...this.#shared,
    name: 'llama_swap_affinity_total',
    help: 'Requests to models that keep requests together; result is "kept", "shed" (their place had too much to do) or "none" (they belong to nothing).',
    labelNames: ['model', 'result'],
  })
  readonly #failedExpressions = new CounterCells({
    ...this.#shared,
    name: 'llama_swap_expression_failures_total',
    help: 'Expressions of rules that could not be evaluated for a request, and so did not hold; told of the rule that held.',
    labelNames: ['policy_rule'],
  })

  constructor({ accessLinesDropped = () => 0, now = wallClock, push, tls, holds, ...sources }: MetricsOptions) {
    this.#table = sources.table
    this.#genAi = new GenAiMetrics(this.registry, this.#onDropped)
    this.#cost = new CostMetrics(this.registry, this.#onDropped)
    registerLiveMetrics(this.registry, { ...sources, now }, this.#onDropped)
    registerLimitMetrics(this.registry, { limits: sources.live.limits, table: sources.table, now }, this.#onDropped)
    this.#circuits = new CircuitMetrics(this.registry, { ...sources, now }, this.#onDropped)
    registerQueueMetrics(this.registry, holds)
    registerPushMetrics(this.registry, push)
    registerTlsMetrics(this.registry, tls)
    registerProcessMetrics(this.registry)
    this.#lag = new EventLoopLag(this.registry, now)
    new ReadCounter({
      registry: this.registry,
      name: 'llama_swap_access_lines_dropped_total',
      help: 'Access lines that were dropped, as nobody read them in time.',
      read: () => [{ labels: {}, value: accessLinesDropped() }],
    })
    for (const result of ['applied', 'refused']) this.#swaps.add([result], 0)
  }

  /** Books a settled request. Never throws. */
  record(record: RequestRecord): void {
    const { dialect, ending, durationMs, overheadMs, heldMs } = record
    const model = ending?.sent?.model.entry.ref ?? NO_MODEL
    this.#requests.add([dialect.route, model, ruleOf(ending), outcomeOf(record)])
    this.#durations.observe([dialect.route, model], durationMs / 1000)
    if (overheadMs !== undefined) this.#overhead.observe([], overheadMs / 1000)
    if (heldMs > 0) this.#waits.observe([model, outcomeOf(record)], heldMs / 1000)
    if (ending === undefined) return
    this.#recordEnding(ending, policyRuleOf(record, this.#table))
    this.#cost.record(record)
    this.#genAi.record(record, (name) => this.#table().claims.has(name))
  }

  #recordEnding(ending: Ending, rule: string): void {
    let before: string | undefined
    const failed = ending.sent?.rule.failedExpressions ?? 0
    if (failed > 0) this.#failedExpressions.add([rule], failed)
    if (ending.sent?.affinity !== undefined) this.#affinity.add([ending.sent.model.entry.ref, ending.sent.affinity])
    for (const attempt of ending.attempts) {
      this.#attempts.add([attempt.model, attempt.backend, attemptWord(attempt)])
      this.#decisions.add([rule, attempt.model, before === undefined ? 'send' : before === attempt.model ? 'retry' : 'fallback'])
      if (attempt.continuation !== undefined) this.#continuations.add([attempt.model, attempt.continuation, continuationResult(attempt)])
      before = attempt.model
    }
    if (ending.kind === 'failed' && ending.refused !== undefined) this.#decisions.add([rule, NO_MODEL, 'refuse'])
    if (ending.malformed > 0) this.#malformed.add([before ?? NO_MODEL], ending.malformed)
  }

  recordCircuit(event: CircuitEvent): void {
    this.#circuits.record(event)
  }

  /** Call after a routing table was swapped in, or was refused. */
  swapped(result: 'applied' | 'refused'): void {
    this.#swaps.add([result])
    if (result === 'refused') return
    const { models } = this.#table()
    const isKnown = (model: string): boolean => models.has(model) || model === NO_MODEL || model === ''
    for (const metric of [
      this.#requests,
      this.#durations,
      this.#waits,
      this.#attempts,
      this.#decisions,
      this.#continuations,
      this.#malformed,
      this.#affinity,
    ])
      metric.tidy('model', isKnown)
    this.#genAi.tidy(isKnown)
    this.#cost.tidy(isKnown)
    this.#circuits.tidy(isKnown)
  }

  close(): void {
    this.#lag.close()
  }
}
