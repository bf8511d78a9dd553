/**
 * Keeps a store equal to one collection of the API server: list, watch, and again whenever the watch fails in any of the ways watches fail.
 * In: a collection and a store. Out: the store, written by nobody else; `onRecord` for metrics and logs. EFFECT: talks to the API server.
 * It never gives up: every failure ends in a wait with jitter (30 s at most) and another try, and meanwhile the store says what was known last.
 *
 *   list (streamed if the server can, else in pages) → watch from there ─┬─ ended, cut, silent, throttled, unreachable → watch on from the last version
 *                                                                        └─ version expired, ERROR event, census differs → list again, drop what is gone
 */
import type { KubeClient, Query } from '../kube/client.ts'
import { Pause } from '../queue/pause.ts'
import type { ObjectKey } from '../resources/snapshot.ts'
import { type BackoffLimits, backoffMs } from './backoff.ts'
import { takeCensuses, WENT_BACK } from './census.ts'
import { type Collection, describe, pathOf, selectorsOf } from './collection.ts'
import { wentBack } from './consistency.ts'
import { listPages } from './list-pages.ts'
import { identify, type ObjectStore } from './object-store.ts'
import { Session } from './session.ts'
import { ENDED, judgeEnd, type SessionEnd, SessionEndError } from './session-end.ts'
import { parseWatchEvent, type WatchEvent } from './watch-event.ts'

export interface ReflectorTiming {
  /** The server ends a watch after this long at least, and at the latest after twice that. */
  readonly watchMs: number
  /** Time for the server to answer a watch at all. */
  readonly answerMs: number
  /** Without a line for this long a watch is taken for dead: servers send a bookmark about once a minute. */
  readonly silenceMs: number
  /** Between two censuses, at most; a third less at least. With the settling below it bounds how long a lost event can matter: 60 s. */
  readonly censusMs: number
  /** Before the first census after a failure. */
  readonly censusAfterFailureMs: number
  /** Time for events that are on their way, before a difference counts. */
  readonly settleMs: number
  /** `answeredMaxMs`: where the server did answer, so that it is not the one in need of rest. */
  readonly backoff: { readonly baseMs: number; readonly maxMs: number; readonly answeredMaxMs: number }
  /** A server's Retry-After counts up to here: a stale table is worse than one request more. */
  readonly maxRetryAfterMs: number
}

export const REFLECTOR_TIMING: ReflectorTiming = {
  watchMs: 300_000,
  answerMs: 20_000,
  silenceMs: 90_000,
  censusMs: 45_000,
  censusAfterFailureMs: 1000,
  settleMs: 2000,
  backoff: { baseMs: 200, maxMs: 30_000, answeredMaxMs: 5000 },
  maxRetryAfterMs: 60_000,
}

/** What a reflector did, for metrics and logs. */
export type WatchRecord =
  | { readonly what: 'list'; readonly how: 'streamed' | 'paged'; readonly objects: number; readonly ms: number }
  | { readonly what: 'watch' }
  | { readonly what: 'event'; readonly type: WatchEvent['type'] }
  | { readonly what: 'census'; readonly differences: number }
  | { readonly what: 'restart'; readonly end: SessionEnd; readonly waitMs: number }

export interface ReflectorOptions<T> {
  readonly client: KubeClient
  readonly collection: Collection
  readonly store: ObjectStore<T>
  readonly timing: ReflectorTiming
  readonly onRecord: (record: WatchRecord) => void
  /** In [0, 1). */
  readonly dice?: () => number
}

/** How a reflector is doing. */
export interface ReflectorState {
  readonly collection: Collection
  /** The store has held the whole collection once. */
  readonly synced: boolean
  /** Why there is no watch at the moment; absent when there is one. */
  readonly failing: SessionEnd | undefined
  /** Since the server last said anything. */
  readonly quietMs: number
  /** Ends a wait for a server that did not answer: somebody else has just reached it. */
  retryNow(): void
}

/** A watch that the server ends sooner is no sign of health. */
const SHORT_MS = 1000
/** What servers that cannot stream lists answer to the wish for it. */
const STREAMING_UNKNOWN = [400, 422]

/** Owner: who creates it; `start()` once, `close()` once. */
export class Reflector<T> implements ReflectorState {
  readonly collection: Collection
  readonly #options: ReflectorOptions<T>
  readonly #dice: () => number
  readonly #closing = new AbortController()
  readonly #restart = new Pause()
  #running: Promise<void> = Promise.resolve()
  /** Up to here the store is right; absent = list first. */
  #resourceVersion: string | undefined
  #streams = true
  #synced = false
  #failures = 0
  #failing: SessionEnd | undefined
  #heardAtMs = performance.now()
  #comparedAtMs = performance.now()

  constructor(options: ReflectorOptions<T>) {
    this.#options = options
    this.#dice = options.dice ?? Math.random
    this.collection = options.collection
  }

  start(): void {
    this.#running = this.#run()
  }

  async close(): Promise<void> {
    this.#closing.abort()
    await this.#running
  }

  get synced(): boolean {
    return this.#synced
  }

  get failing(): SessionEnd | undefined {
    return this.#failing
  }

  get quietMs(): number {
    return performance.now() - this.#heardAtMs
  }

  retryNow(): void {
    if (this.#failing?.reason === 'unreachable') this.#restart.wake()
  }

  async #run(): Promise<void> {
    const { signal } = this.#closing
    while (!signal.aborted) {
      const startedAt = performance.now()
      const end = await this.#session()
      if (signal.aborted) return
      if (end.relist) this.#resourceVersion = undefined
      this.#failures = isHealthy(end, performance.now() - startedAt) ? 0 : this.#failures + 1
      await this.#pause(end)
    }
  }

  async #pause(end: SessionEnd): Promise<void> {
    const { timing, onRecord } = this.#options
    if (end.reason !== 'ended') this.#failing = end
    const asked = Math.min(end.retryAfterMs ?? 0, timing.maxRetryAfterMs)
    const own = backoffMs(asked > 0 ? 1 : this.#failures, this.#dice(), limits(end, timing.backoff))
    onRecord({ what: 'restart', end, waitMs: asked + own })
    await this.#restart.wait(asked + own, this.#closing.signal)
  }

  /** One list, if needed, and one watch. Never rejects: tells how it ended. */
  async #session(): Promise<SessionEnd> {
    const session = new Session(this.#closing.signal)
    const streamsList = this.#resourceVersion === undefined && this.#streams
    try {
      if (this.#resourceVersion === undefined && !this.#streams) await this.#listInPages(session)
      await this.#watch(session)
      return ENDED
    } catch (error) {
      const end = judgeEnd(session.signal.aborted ? session.signal.reason : error)
      if (streamsList && STREAMING_UNKNOWN.includes(end.status ?? 0)) this.#streams = false
      return end
    } finally {
      session.close()
    }
  }

  async #listInPages(session: Session): Promise<void> {
    const { client, collection, store, onRecord } = this.#options
    const startedAt = performance.now()
    const listed = new Set<ObjectKey>()
    let resourceVersion = ''
    for await (const page of listPages(client, collection, session.signal)) {
      this.#heard()
      resourceVersion = page.resourceVersion
      for (const item of page.items) addTo(listed, store.put(item))
    }
    this.#listEnds(listed, resourceVersion)
    onRecord({ what: 'list', how: 'paged', objects: listed.size, ms: performance.now() - startedAt })
  }

  #listEnds(listed: ReadonlySet<ObjectKey>, resourceVersion: string): void {
    this.#options.store.keepOnly(listed)
    this.#resourceVersion = resourceVersion
    this.#comparedAtMs = performance.now()
    this.#synced = true
  }

  async #watch(session: Session): Promise<void> {
    const { client, collection, timing, onRecord } = this.#options
    const call = `watch of ${describe(collection)}`
    session.expectWithin(timing.answerMs)
    const gathering = this.#resourceVersion === undefined ? new StreamedList() : undefined
    const lines = await client.stream(pathOf(collection), this.#watchQuery(), session.signal)
    onRecord({ what: 'watch' })
    if (gathering === undefined) this.#isWatching(session)
    this.#heard()
    session.expectWithin(timing.silenceMs)
    for await (const line of lines) {
      this.#heard()
      session.expectWithin(timing.silenceMs)
      const event = parseWatchEvent(call, line)
      onRecord({ what: 'event', type: event.type })
      if (this.#resourceVersion !== undefined) this.#follow(event)
      else if (gathering !== undefined) this.#gather(event, gathering, session)
    }
  }

  #watchQuery(): Query {
    const seconds = Math.ceil((this.#options.timing.watchMs * (1 + this.#dice())) / 1000)
    const shared = { ...selectorsOf(this.#options.collection), watch: true, allowWatchBookmarks: true, timeoutSeconds: seconds }
    if (this.#resourceVersion !== undefined) return { ...shared, resourceVersion: this.#resourceVersion }
    return { ...shared, sendInitialEvents: true, resourceVersionMatch: 'NotOlderThan' }
  }

  /** An event of the streamed list, which a bookmark ends. */
  #gather(event: WatchEvent, { listed, startedAt }: StreamedList, session: Session): void {
    if (event.type !== 'BOOKMARK') {
      const key = this.#apply(event)
      if (event.type === 'DELETED') listed.delete(key ?? '')
      else addTo(listed, key)
      return
    }
    if (!event.endsInitialList) return
    this.#failures = 0
    this.#listEnds(listed, event.resourceVersion)
    this.#options.onRecord({ what: 'list', how: 'streamed', objects: listed.size, ms: performance.now() - startedAt })
    this.#isWatching(session)
  }

  /** An event of the watch proper. */
  #follow(event: WatchEvent): void {
    this.#failures = 0
    const version = event.type === 'BOOKMARK' ? event.resourceVersion : (identify(event.object)?.resourceVersion ?? '')
    if (wentBack(this.#resourceVersion ?? '', version)) throw new SessionEndError(WENT_BACK)
    if (event.type !== 'BOOKMARK') this.#apply(event)
    if (version !== '') this.#resourceVersion = version
  }

  #apply(event: Exclude<WatchEvent, { type: 'BOOKMARK' }>): ObjectKey | undefined {
    const { store } = this.#options
    if (event.type !== 'DELETED') return store.put(event.object)
    const key = identify(event.object)?.key
    if (key !== undefined) store.remove(key)
    return key
  }

  #isWatching(session: Session): void {
    const { client, collection, store, timing, onRecord } = this.#options
    const intervalMs = (): number => timing.censusMs * (2 / 3 + this.#dice() / 3)
    const dueMs = Math.max(0, this.#comparedAtMs + intervalMs() - performance.now())
    const firstMs = this.#failing === undefined ? dueMs : timing.censusAfterFailureMs
    this.#failing = undefined
    void takeCensuses(session, {
      client,
      collection,
      store,
      firstMs,
      intervalMs,
      settleMs: timing.settleMs,
      reached: () => this.#resourceVersion ?? '',
      onCensus: (differences) => {
        this.#comparedAtMs = performance.now()
        onRecord({ what: 'census', differences })
      },
    })
  }

  #heard(): void {
    this.#heardAtMs = performance.now()
  }
}

/** A watch that ended as it should, or one that a census ended, which had been well for a second at least. */
function isHealthy({ reason }: SessionEnd, lastedMs: number): boolean {
  return lastedMs > SHORT_MS && (reason === 'ended' || reason === 'diverged' || reason === 'went back')
}

function limits({ reason }: SessionEnd, { baseMs, maxMs, answeredMaxMs }: ReflectorTiming['backoff']): BackoffLimits {
  const tired = reason === 'unreachable' || reason === 'throttled' || reason === 'refused' || reason === 'bug'
  return { baseMs, maxMs: tired ? maxMs : Math.min(maxMs, answeredMaxMs) }
}

class StreamedList {
  readonly listed = new Set<ObjectKey>()
  readonly startedAt = performance.now()
}

function addTo(listed: Set<ObjectKey>, key: ObjectKey | undefined): void {
  if (key !== undefined) listed.add(key)
}
