/**
 * What the operator counts. In: records of its parts, and ways to ask them at a scrape. Out: Prometheus metrics under the names that dashboards of
 * other operators know, and `llama_swap_*` for what only this one has; listed in docs/metrics.md. It decides nothing, and nothing of a
 * resource, a token or a proxy's name becomes a label: all label sets are closed.
 */
import { Counter, Gauge, Histogram, Registry } from 'prom-client'
import type { ProxyMode } from '../../proxy/routing-table/frames.ts'
import type { WebhookRecord } from '../admission/server.ts'
import { type Audit, MISSING } from '../inject/audit.ts'
import { RESULTS } from '../inject/inject.ts'
import { WEBHOOK_PATH } from '../inject/manifests.ts'
import type { RequestRecord } from '../kube/client.ts'
import type { WorkQueue, WorkRecord } from '../queue/work-queue.ts'

/** What is asked at each scrape; undefined = not known, and absent. None may throw. */
export interface Sources {
  /** Name of the leader Lease, and whether this process holds it. */
  readonly lease: string
  readonly isLeader: () => boolean
  readonly proxies: () => Readonly<Record<ProxyMode, number>> | undefined
  /** Of what was published last. */
  readonly table: () => PublishedTable | undefined
  /** Reviews of Pods that are being answered. */
  readonly reviews?: () => number | undefined
  readonly sidecars?: () => Audit | undefined
}

export interface PublishedTable {
  readonly epoch: number
  readonly seq: number
  readonly models: number
  readonly withoutEndpoints: number
  readonly policies: number
}

const QUEUE_BOUNDS = [0.001, 0.01, 0.1, 1, 10, 100, 1000]
const RECONCILE_BOUNDS = [0.005, 0.025, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60]
const WORK_BOUNDS = [0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5]
const CONVERGENCE_BOUNDS = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30]
/** Reasons come from closed lists; should one of them grow, the rest is `_other`. */
const MAX_REASONS = 64

/** Every metric of the operator. */
export class OperatorMetrics {
  readonly registry = new Registry()
  readonly #queues: WorkQueue[] = []
  readonly #reasons = new Map<string, Set<string>>()
  readonly #requests = this.#counter('rest_client_requests_total', 'Calls to the API server, by HTTP status; "<error>" = no answer.', [
    'code',
    'method',
    'host',
  ])
  readonly #added = this.#counter('workqueue_adds_total', 'Keys added to a queue.', ['name'])
  readonly #retries = this.#counter('workqueue_retries_total', 'Keys that are tried again after a failure.', ['name'])
  readonly #waited = this.#histogram('workqueue_queue_duration_seconds', 'How long a key waited for a worker.', ['name'], QUEUE_BOUNDS)
  readonly #worked = this.#histogram('workqueue_work_duration_seconds', 'How long work on a key took.', ['name'], QUEUE_BOUNDS)
  readonly #reconciled = this.#counter(
    'controller_runtime_reconcile_total',
    'Turns of work; result is "success", "error" or "requeue_after".',
    ['controller', 'result'],
  )
  readonly #failed = this.#counter('controller_runtime_reconcile_errors_total', 'Turns of work that failed and are tried again.', [
    'controller',
  ])
  readonly #terminal = this.#counter(
    'controller_runtime_terminal_reconcile_errors_total',
    'Turns of work that failed for good. Always 0: everything is tried again.',
    ['controller'],
  )
  readonly #took = this.#histogram(
    'controller_runtime_reconcile_time_seconds',
    'How long a turn of work took.',
    ['controller'],
    RECONCILE_BOUNDS,
  )
  readonly #pushes = this.#counter('llama_swap_pushes_total', 'Commits written to proxies.', ['mode'])
  readonly #pushedBytes = this.#counter('llama_swap_pushed_bytes_total', 'Bytes of commits and their changes.', ['mode'])
  readonly #convergence = this.#histogram(
    'llama_swap_convergence_seconds',
    'From the moment a change was read to the confirmation of one proxy.',
    ['mode'],
    CONVERGENCE_BOUNDS,
  )
  readonly #nacks = this.#counter('llama_swap_nacks_total', 'Pushed entries or tables that a proxy refused, by its first reason.', [
    'mode',
    'reason',
  ])
  readonly #refused = this.#counter('llama_swap_connections_refused_total', 'Proxies that were not let in, by reason (wire.md).', [
    'reason',
  ])
  readonly #restarts = this.#counter(
    'llama_swap_watch_restarts_total',
    'Watches that ended and were begun again, by resource and reason.',
    ['resource', 'reason'],
  )
  readonly #translate = this.#histogram(
    'llama_swap_translate_duration_seconds',
    'How long translating it into a routing table took.',
    [],
    WORK_BOUNDS,
  )

  readonly #injections = this.#counter('llama_swap_injections_total', 'Pods that were judged, by result (sidecars.md).', ['result'])
  readonly #webhookRequests = this.#counter('controller_runtime_webhook_requests_total', 'Answers of the webhook, by HTTP status.', [
    'webhook',
    'code',
  ])
  readonly #webhookTook = this.#histogram(
    'controller_runtime_webhook_latency_seconds',
    'How long an answer of the webhook took.',
    ['webhook'],
    WORK_BOUNDS,
  )

  constructor(sources: Sources) {
    for (const result of [...RESULTS, 'Error']) this.#injections.inc({ result }, 0)
    this.#registerQueues()
    this.#registerSources(sources)
    this.#registerSidecars(sources)
  }

  /** Its gauges are read when scraped. Call once a queue; `recordWork` is its `onRecord`. */
  addQueue(queue: WorkQueue): void {
    this.#queues.push(queue)
    for (const counter of [this.#added, this.#retries]) counter.inc({ name: queue.name }, 0)
    for (const counter of [this.#failed, this.#terminal]) counter.inc({ controller: queue.name }, 0)
    for (const result of ['success', 'error', 'requeue_after']) this.#reconciled.inc({ controller: queue.name, result }, 0)
  }

  /** A term of leadership is over: its queues are closed. What they counted stays. */
  removeQueue(queue: WorkQueue): void {
    const index = this.#queues.indexOf(queue)
    if (index >= 0) this.#queues.splice(index, 1)
  }

  readonly recordWork = (name: string, record: WorkRecord): void => {
    if (record.what === 'added') this.#added.inc({ name })
    else if (record.what === 'retry') this.#retries.inc({ name })
    else if (record.what === 'started') this.#waited.observe({ name }, record.waitedMs / 1000)
    else this.#ended(name, record)
  }

  /** `onRequest` of the KubeClient. */
  readonly recordRequest = ({ code, method, host }: RequestRecord): void => this.#requests.inc({ code, method, host })

  pushed({ mode, bytes }: { readonly mode: ProxyMode; readonly bytes: number }): void {
    this.#pushes.inc({ mode })
    this.#pushedBytes.inc({ mode }, bytes)
  }

  acked({ mode, ms }: { readonly mode: ProxyMode; readonly ms: number }): void {
    this.#convergence.observe({ mode }, ms / 1000)
  }

  nacked({ mode, reason }: { readonly mode: ProxyMode; readonly reason: string }): void {
    this.#nacks.inc({ mode, reason: this.#bounded('nacks', reason) })
  }

  refused({ code }: { readonly code: string }): void {
    this.#refused.inc({ reason: this.#bounded('refused', code) })
  }

  watchRestarted({ resource, reason }: { readonly resource: string; readonly reason: string }): void {
    this.#restarts.inc({ resource: this.#bounded('resource', resource), reason: this.#bounded('restart', reason) })
  }

  reviewed({ status, ms, result }: WebhookRecord): void {
    this.#webhookRequests.inc({ webhook: WEBHOOK_PATH, code: String(status) })
    this.#webhookTook.observe({ webhook: WEBHOOK_PATH }, ms / 1000)
    if (result !== undefined) this.#injections.inc({ result })
  }

  translated(ms: number): void {
    this.#translate.observe(ms / 1000)
  }

  #ended(name: string, { result, ms }: Extract<WorkRecord, { what: 'ended' }>): void {
    this.#worked.observe({ name }, ms / 1000)
    this.#took.observe({ controller: name }, ms / 1000)
    this.#reconciled.inc({ controller: name, result })
    if (result === 'error') this.#failed.inc({ controller: name })
  }

  #bounded(list: string, word: string): string {
    const known = this.#reasons.get(list) ?? new Set()
    this.#reasons.set(list, known)
    if (!known.has(word) && known.size >= MAX_REASONS) return '_other'
    known.add(word)
    return word
  }

  #registerQueues(): void {
    const perQueue = (name: string, help: string, label: 'name' | 'controller', read: (queue: WorkQueue) => number): void =>
      this.#gauge(name, help, [label], () => this.#queues.map((queue) => [{ [label]: queue.name }, read(queue)]))
    const longest = ({ runningMs }: { readonly runningMs: readonly number[] }): number => Math.max(0, ...runningMs) / 1000
    const together = ({ runningMs }: { readonly runningMs: readonly number[] }): number => runningMs.reduce((sum, ms) => sum + ms, 0) / 1000
    perQueue('workqueue_depth', 'Keys that wait for a worker.', 'name', (queue) => queue.reading().depth)
    perQueue('workqueue_unfinished_work_seconds', 'How long the keys that are worked on have been, in all.', 'name', (queue) =>
      together(queue.reading()),
    )
    perQueue('workqueue_longest_running_processor_seconds', 'How long the slowest of them has been.', 'name', (queue) =>
      longest(queue.reading()),
    )
    perQueue('controller_runtime_active_workers', 'Keys that are worked on.', 'controller', (queue) => queue.reading().runningMs.length)
    perQueue(
      'controller_runtime_max_concurrent_reconciles',
      'Keys that may be worked on at a time.',
      'controller',
      (queue) => queue.concurrency,
    )
  }

  #registerSidecars({ reviews, sidecars }: Sources): void {
    this.#gauge('controller_runtime_webhook_requests_in_flight', 'Reviews of Pods that are being answered.', ['webhook'], () => {
      const now = reviews?.()
      return now === undefined ? [] : [[{ webhook: WEBHOOK_PATH }, now]]
    })
    this.#gauge(
      'llama_swap_sidecar_pods',
      'Pods with a sidecar: as it would be injected now, an older one, or one by hand.',
      ['state'],
      () => Object.entries(sidecars?.()?.counts ?? {}).map(([state, count]) => [{ state }, count]),
    )
    this.#gauge('llama_swap_sidecars_missing', 'Pods that ask for a sidecar and have none, by reason (sidecars.md).', ['reason'], () => {
      const missed = sidecars?.()?.missed
      if (missed === undefined) return []
      return MISSING.map((reason) => [{ reason }, missed.filter((one) => one.reason === reason).length])
    })
  }

  #registerSources({ lease, isLeader, proxies, table }: Sources): void {
    this.#gauge('leader_election_master_status', '1 = this process leads.', ['name'], () => [[{ name: lease }, Number(isLeader())]])
    this.#gauge('llama_swap_proxies_connected', 'Proxies that have been let in and are heard.', ['mode'], () =>
      Object.entries(proxies() ?? {}).map(([mode, count]) => [{ mode }, count]),
    )
    const one = (name: string, help: string, pick: (now: PublishedTable) => number): void =>
      this.#gauge(name, help, [], () => {
        const now = table()
        return now === undefined ? [] : [[{}, pick(now)]]
      })
    one('llama_swap_published_epoch', 'Epoch under which this process pushes; absent while it does not lead.', ({ epoch }) => epoch)
    one('llama_swap_published_seq', 'Number of the newest routing table within its epoch.', ({ seq }) => seq)
    one('llama_swap_published_models', 'LlamaModels in it.', ({ models }) => models)
    one(
      'llama_swap_models_without_endpoints',
      'LlamaModels in it that have no endpoint: no Pod of theirs takes requests.',
      ({ withoutEndpoints }) => withoutEndpoints,
    )
    one('llama_swap_published_policies', 'RoutingPolicies in it.', ({ policies }) => policies)
  }

  #gauge(name: string, help: string, labelNames: string[], read: () => readonly [Record<string, string>, number][]): void {
    new Gauge({
      name,
      help,
      labelNames,
      registers: [this.registry],
      collect() {
        this.reset()
        const readings = read()
        for (const [labels, value] of readings) this.set(labels, value)
        if (readings.length === 0) this.remove({})
      },
    })
  }

  #counter(name: string, help: string, labelNames: string[]): Counter<string> {
    return new Counter({ name, help, labelNames, registers: [this.registry] })
  }

  #histogram(name: string, help: string, labelNames: string[], buckets: number[]): Histogram<string> {
    return new Histogram({ name, help, labelNames, buckets, registers: [this.registry] })
  }
}
