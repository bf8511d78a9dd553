/**
 * What users read of their objects. In: translations and what gateways say of them. Out: statuses and Events in the cluster. EFFECT: writes
 * both, as little and as seldom as that takes: nothing at rest, nothing for sidecars, once in 2 s for an object. It decides nothing that
 * proxies see, and never fails whoever calls it. Reasons: `reasons.ts`; rules: `conditions.ts` and `settled-status.ts`.
 */
import type { KubeClient } from '../kube/client.ts'
import { SYSTEM_TIMERS, type Timers } from '../queue/timers.ts'
import type { WorkQueue, WorkRecord } from '../queue/work-queue.ts'
import { type Verdict, verdictOf } from './conditions.ts'
import { EventWriter } from './events.ts'
import { type FactsByObject, factsOf, type Heard, type ObjectFacts, type Translated } from './facts.ts'
import { StatusWriter } from './status-writer.ts'
import { troublesOf } from './troubles.ts'

export interface ReportOptions {
  readonly client: Pick<KubeClient, 'get' | 'create' | 'request' | 'serverSideApply'>
  /** Asked right before each write. */
  readonly isLeader: () => boolean
  /** What the push knows now. It must speak of the newest translation: publish first. */
  readonly heard: () => Heard
  /** Of this operator: its pod's name. */
  readonly instance: string
  readonly onRecord?: (queue: string, record: WorkRecord) => void
  readonly onError?: (object: string, error: unknown) => void
  readonly timers?: Timers
  /** Milliseconds since the epoch. */
  readonly wall?: () => number
}

/** News is gathered for this long. */
const SETTLE_MS = 250
/** A new leader gives gateways this long to come. */
const GATHER_MS = 10_000
/** Timers may be this much ahead of the wall clock. */
const TIMER_SLACK_MS = 50

/** One per term of leadership: it knows what the API server holds only as long as nobody else writes. Owner: whoever leads; `close()` once. */
export class Report {
  readonly #options: ReportOptions
  readonly #timers: Timers
  readonly #wall: () => number
  readonly #statuses: StatusWriter
  readonly #events: EventWriter
  readonly #gatheringUntilMs: number
  #translated: Translated | undefined
  #facts: FactsByObject = new Map()
  readonly #verdicts = new WeakMap<ObjectFacts, Verdict>()
  #cancel: (() => void) | undefined
  #cancelLater: (() => void) | undefined
  readonly #cancelGathering: () => void
  #isClosed = false

  constructor(options: ReportOptions) {
    const { client, isLeader, instance, onRecord = () => undefined, onError = () => undefined } = options
    this.#options = options
    this.#timers = options.timers ?? SYSTEM_TIMERS
    this.#wall = options.wall ?? Date.now
    this.#gatheringUntilMs = this.#wall() + GATHER_MS
    const shared = { client, isLeader, timers: this.#timers, wall: this.#wall, onError }
    const isGathering = (): boolean => this.#wall() < this.#gatheringUntilMs
    this.#statuses = new StatusWriter({ ...shared, isGathering, onRecord: (record) => onRecord('statuses', record) })
    this.#events = new EventWriter({ ...shared, instance, onRecord: (record) => onRecord('events', record) })
    this.#cancelGathering = this.#timers.after(GATHER_MS + TIMER_SLACK_MS, () => {
      this.#statuses.review()
      this.poke()
    })
  }

  /** For metrics. */
  get queues(): readonly WorkQueue[] {
    return [this.#statuses.queue, this.#events.queue]
  }

  /** A new translation, after it was published. */
  translated(translated: Translated): void {
    this.#translated = translated
    this.poke()
  }

  /** Gateways have said something. Called often, and cheap. */
  poke(): void {
    if (this.#isClosed) return
    this.#cancel ??= this.#timers.after(SETTLE_MS, () => {
      this.#cancel = undefined
      this.#tell()
    })
  }

  /** Writes what is due, for 10 s at most. */
  async close(): Promise<void> {
    this.#isClosed = true
    for (const cancel of [this.#cancel, this.#cancelLater, this.#cancelGathering]) cancel?.()
    await Promise.all([this.#statuses.close(), this.#events.close()])
  }

  #tell(): void {
    if (this.#translated === undefined) return
    const nowMs = this.#wall()
    this.#facts = factsOf(this.#translated, this.#options.heard(), this.#facts)
    const verdicts = [...this.#facts.values()].map((facts) => this.#verdictOf(facts, nowMs))
    this.#statuses.set(verdicts)
    this.#events.set([...this.#translated.problems, ...verdicts.flatMap(troublesOf)])
    this.#tellAgainAt(Math.min(...verdicts.map(({ changesAtMs = Number.POSITIVE_INFINITY }) => changesAtMs).filter((atMs) => atMs > nowMs)))
  }

  /** The same facts lead to the same verdict until it says itself that it changes. */
  #verdictOf(facts: ObjectFacts, nowMs: number): Verdict {
    const before = this.#verdicts.get(facts)
    if (before !== undefined && (before.changesAtMs === undefined || before.changesAtMs > nowMs)) return before
    const verdict = verdictOf(facts, { nowMs, gatheringUntilMs: this.#gatheringUntilMs })
    this.#verdicts.set(facts, verdict)
    return verdict
  }

  #tellAgainAt(atMs: number): void {
    this.#cancelLater?.()
    this.#cancelLater = Number.isFinite(atMs) ? this.#timers.after(atMs - this.#wall(), () => this.#tell()) : undefined
  }
}
