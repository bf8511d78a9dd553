/**
 * The operator's metrics. In: what its parts tell of. Out: Prometheus text. Names of controllers, work queues, the API client and leadership are
 * those of controller-runtime and client-go, so that dashboards for these read it; the rest is `llama_swap_operator_*`. Every label has a closed set of
 * values, but for hosts of API servers (one) and kinds (those watched). docs/operator-metrics.md lists them.
 */
import { Counter, Gauge, Histogram, Registry } from 'prom-client'
import type { ProxyMode } from '../../proxy/routing-table/frames.ts'
import type { RequestRecord } from '../kube/client.ts'
import type { WorkQueue, WorkRecord } from '../queue/work-queue.ts'
import type { Collection } from '../watch/collection.ts'
import type { WatchRecord } from '../watch/reflector.ts'

/** Bounds of client-go and controller-runtime, in seconds. */
const QUEUE_BOUNDS = [1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 0.01, 0.1, 1, 10]
const RECONCILE_BOUNDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60]
const CONVERGENCE_BOUNDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 1, 2, 5, 10, 30]
const TRANSLATE_BOUNDS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1]

/** The only lease there is. */
const ELECTION = 'llama-swap-operator'

export class OperatorMetrics {
  readonly registry = new Registry()
  readonly #queues: WorkQueue[] = []
  readonly #requests = this.#counter('rest_client_requests_total', 'Requests to the API server.', ['code', 'method', 'host'])
  readonly #leader = this.#gauge('leader_election_master_status', '1 = this replica has the Lease.', ['name'])
  readonly #adds = this.#counter('workqueue_adds_total', 'Keys added.', ['name'])
  readonly #retries = this.#counter('workqueue_retries_total', 'Keys tried again after a failure.', ['name'])
  readonly #waited = this.#histogram('workqueue_queue_duration_seconds', 'Time a key waits for a worker.', ['name'], QUEUE_BOUNDS)
  readonly #worked = this.#histogram('workqueue_work_duration_seconds', 'Time a worker takes for a key.', ['name'], QUEUE_BOUNDS)
  readonly #reconciles = this.#counter('controller_runtime_reconcile_total', 'Reconciliations by result.', ['controller', 'result'])
  readonly #reconcileErrors = this.#counter('controller_runtime_reconcile_errors_total', 'Failed reconciliations.', ['controller'])
  readonly #reconcileTime = this.#histogram(
    'controller_runtime_reconcile_time_seconds',
    'Time of a reconciliation.',
    ['controller'],
    RECONCILE_BOUNDS,
  )
  readonly #lists = this.#counter('llama_swap_operator_lists_total', 'Full lists read.', ['resource', 'how'])
  readonly #events = this.#counter('llama_swap_operator_watch_events_total', 'Watch events.', ['resource', 'type'])
  readonly #restarts = this.#counter('llama_swap_operator_watch_restarts_total', 'Watches that ended, by reason.', ['resource', 'reason'])
  readonly #differences = this.#counter(
    'llama_swap_operator_census_differences_total',
    'Objects that a watch had missed and a census found.',
    ['resource'],
  )
  readonly #translations = this.#histogram(
    'llama_swap_operator_translate_duration_seconds',
    'Time from resources to a table.',
    [],
    TRANSLATE_BOUNDS,
  )
  readonly #convergence = this.#histogram(
    'llama_swap_operator_convergence_seconds',
    'Time from reading a change to its acknowledgement by a proxy.',
    ['mode'],
    CONVERGENCE_BOUNDS,
  )
  readonly #pushes = this.#counter('llama_swap_operator_pushes_total', 'Commits sent to proxies.', ['mode'])
  readonly #pushedBytes = this.#counter('llama_swap_operator_pushed_bytes_total', 'Bytes of changes and commits sent.', ['mode'])
  readonly #nacks = this.#counter('llama_swap_operator_nacks_total', 'Commits that a proxy could not apply wholly.', ['mode', 'reason'])
  readonly #refusals = this.#counter('llama_swap_operator_proxies_refused_total', 'Proxies refused at the door.', ['code'])
  readonly #proxies = this.#gauge('llama_swap_operator_proxies', 'Connected proxies.', ['mode'])

  constructor() {
    this.#leader.set({ name: ELECTION }, 0)
    this.#queueGauge('workqueue_depth', 'Keys that wait for a worker.', 'name', ({ depth }) => depth)
    this.#queueGauge('workqueue_unfinished_work_seconds', 'Time that running work has taken so far, in all.', 'name', ({ runningMs }) =>
      seconds(runningMs.reduce((sum, ms) => sum + ms, 0)),
    )
    this.#queueGauge('workqueue_longest_running_processor_seconds', 'Time of the longest running work.', 'name', ({ runningMs }) =>
      seconds(Math.max(0, ...runningMs)),
    )
    this.#queueGauge('controller_runtime_active_workers', 'Workers at work.', 'controller', ({ runningMs }) => runningMs.length)
    this.#queueGauge('controller_runtime_max_concurrent_reconciles', 'Workers at most.', 'controller', (_, queue) => queue.concurrency)
  }

  readonly contentType = this.registry.contentType

  text(): Promise<string> {
    return this.registry.metrics()
  }

  /** From now on its gauges are read. */
  addQueue(queue: WorkQueue): void {
    this.#queues.push(queue)
  }

  /** `name` is the queue's. */
  worked(name: string, record: WorkRecord): void {
    if (record.what === 'added') this.#adds.inc({ name })
    else if (record.what === 'retry') this.#retries.inc({ name })
    else if (record.what === 'started') this.#waited.observe({ name }, seconds(record.waitedMs))
    else {
      this.#worked.observe({ name }, seconds(record.ms))
      this.#reconciles.inc({ controller: name, result: record.result })
      if (record.result === 'error') this.#reconcileErrors.inc({ controller: name })
      this.#reconcileTime.observe({ controller: name }, seconds(record.ms))
    }
  }

  requested({ code, method, host }: RequestRecord): void {
    this.#requests.inc({ code, method, host })
  }

  leads(isLeader: boolean): void {
    this.#leader.set({ name: ELECTION }, isLeader ? 1 : 0)
  }

  watch({ resource }: Collection, record: WatchRecord): void {
    if (record.what === 'list') this.#lists.inc({ resource, how: record.how })
    else if (record.what === 'event') this.#events.inc({ resource, type: record.type })
    else if (record.what === 'restart') this.#restarts.inc({ resource, reason: record.end.reason })
    else if (record.what === 'census') this.#differences.inc({ resource }, record.differences)
  }

  translated(ms: number): void {
    this.#translations.observe(seconds(ms))
  }

  pushed({ mode, bytes }: { readonly mode: ProxyMode; readonly bytes: number }): void {
    this.#pushes.inc({ mode })
    this.#pushedBytes.inc({ mode }, bytes)
  }

  acked({ mode, ms }: { readonly mode: ProxyMode; readonly ms: number }): void {
    this.#convergence.observe({ mode }, seconds(ms))
  }

  nacked({ mode, reason }: { readonly mode: ProxyMode; readonly reason: string }): void {
    this.#nacks.inc({ mode, reason })
  }

  /** `code` of docs/wire.md. */
  refused(code: string): void {
    this.#refusals.inc({ code })
  }

  connected(counts: Readonly<Record<ProxyMode, number>>): void {
    for (const [mode, count] of Object.entries(counts)) this.#proxies.set({ mode }, count)
  }

  #queueGauge(
    name: string,
    help: string,
    label: 'name' | 'controller',
    read: (reading: ReturnType<WorkQueue['reading']>, queue: WorkQueue) => number,
  ): void {
    const queues = this.#queues
    new Gauge({
      name,
      help,
      labelNames: [label],
      registers: [this.registry],
      collect() {
        for (const queue of queues) this.set({ [label]: queue.name }, read(queue.reading(), queue))
      },
    })
  }

  #counter<const L extends string>(name: string, help: string, labelNames: readonly L[]): Counter<L> {
    return new Counter({ name, help, labelNames: [...labelNames], registers: [this.registry] })
  }

  #gauge<const L extends string>(name: string, help: string, labelNames: readonly L[]): Gauge<L> {
    return new Gauge({ name, help, labelNames: [...labelNames], registers: [this.registry] })
  }

  #histogram<const L extends string>(name: string, help: string, labelNames: readonly L[], buckets: readonly number[]): Histogram<L> {
    return new Histogram({ name, help, labelNames: [...labelNames], buckets: [...buckets], registers: [this.registry] })
  }
}

const seconds = (ms: number): number => ms / 1000
