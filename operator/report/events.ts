import { unless } from '../kube/api-error.ts'
import type { KubeClient } from '../kube/client.ts'
import { eventName, eventOf, eventsPath, eventTime } from '../kube/cluster-event.ts'
import type { Timers } from '../queue/timers.ts'
import { type Outcome, WorkQueue, type WorkRecord } from '../queue/work-queue.ts'
import { type Fields, isFields } from '../validate/problem.ts'
import { partsOf, pathOf } from './status-writer.ts'
import type { News } from './troubles.ts'

export type EventClient = Pick<KubeClient, 'get' | 'create' | 'request'>

export interface EventWriterOptions {
  readonly client: EventClient
  readonly isLeader: () => boolean
  /** Of this operator: its pod's name. */
  readonly instance: string
  readonly timers: Timers
  /** Milliseconds since the epoch. */
  readonly wall: () => number
  readonly onRecord: (record: WorkRecord) => void
  readonly onError: (object: string, error: unknown) => void
}

const ACTION = 'Translate'
/** Bytes, the API's bound. */
const MAX_NOTE_BYTES = 1024
/** The same news within this time is one Event that counts. */
const SAME_WITHIN_MS = 120_000
/** Counts are written this often at most. */
const BETWEEN_COUNTS_MS = 30_000
/** News that is remembered; more is told by conditions alone. */
const MAX_REMEMBERED = 5000
const TIMEOUT_MS = 10_000

interface Told {
  readonly news: News
  isThere: boolean
  /** When it came or went last. */
  changedAtMs: number
  /** How often it came. */
  count: number
  /** Of its Event. */
  name: string
  /** Of these, those that the Event tells of; 0 = there is no Event yet. */
  written: number
  writtenAtMs: number
}

/** Events of problems and troubles, when they come up; none while they stay. Owner: Report; `close()` once. */
export class EventWriter {
  readonly queue: WorkQueue
  readonly #options: EventWriterOptions
  readonly #told = new Map<string, Told>()

  constructor(options: EventWriterOptions) {
    this.#options = options
    const { timers, onRecord, onError } = options
    this.queue = new WorkQueue({
      name: 'events',
      concurrency: 1,
      timers,
      onRecord,
      onError,
      work: (key, signal) => this.#work(key, signal),
    })
  }

  /** All that are there now. */
  set(news: readonly News[]): void {
    const now = this.#options.timers.now()
    const here = new Map(news.map((one) => [keyOf(one), one]))
    for (const [key, told] of this.#told) if (!here.has(key)) this.#hasGone(key, told, now)
    for (const [key, one] of here) this.#isHere(key, one, now)
  }

  close(): Promise<void> {
    return this.queue.close(TIMEOUT_MS)
  }

  #hasGone(key: string, told: Told, now: number): void {
    if (told.isThere) told.changedAtMs = now
    told.isThere = false
    if (now - told.changedAtMs < SAME_WITHIN_MS) return
    this.#told.delete(key)
    this.queue.forget(key)
  }

  #isHere(key: string, news: News, now: number): void {
    const told = this.#told.get(key)
    if (told?.isThere === true || (told === undefined && this.#told.size >= MAX_REMEMBERED)) return
    const { count = 0, written = 0, writtenAtMs = 0, name = '' } = told ?? {}
    this.#told.set(key, { news, isThere: true, changedAtMs: now, count: count + 1, name, written, writtenAtMs })
    this.queue.add(key)
  }

  async #work(key: string, signal: AbortSignal): Promise<Outcome> {
    const told = this.#told.get(key)
    if (told === undefined || told.written >= told.count || !this.#options.isLeader()) return undefined
    const now = this.#options.timers.now()
    const waitMs = told.written === 0 ? 0 : told.writtenAtMs + BETWEEN_COUNTS_MS - now
    if (waitMs > 0) return { againAfterMs: waitMs }
    const { count } = told
    if (told.written === 0) await this.#create(key, told, signal)
    else await this.#count(told, count, signal)
    told.written = count
    told.writtenAtMs = now
    return undefined
  }

  /** An Event of that name is one that a leader before us wrote of the same problem: it stands. What recurs is an Event each time. */
  async #create(key: string, told: Told, signal: AbortSignal): Promise<void> {
    const { news } = told
    const regarding = await this.#regarding(news.object, signal)
    if (regarding === undefined) return
    const { namespace, name } = partsOf(news.object)
    const time = news.recurs === true ? ` ${this.#options.wall()}` : ''
    told.name = eventName(name, `${key} ${String(regarding['uid'])}${time}`)
    const body = eventOf({
      namespace,
      name: told.name,
      atMs: this.#options.wall(),
      reason: news.code,
      action: ACTION,
      note: cutBytes(`${news.at}: ${news.message}`, MAX_NOTE_BYTES),
      instance: this.#options.instance,
      regarding,
    })
    await unless([409, 404], () => this.#options.client.create(eventsPath(namespace), body, { signal, timeoutMs: TIMEOUT_MS }))
  }

  async #count({ news, name }: Told, count: number, signal: AbortSignal): Promise<void> {
    if (name === '') return // The object was gone when its Event was due.
    const path = `${eventsPath(partsOf(news.object).namespace)}/${name}`
    const body = { series: { count, lastObservedTime: eventTime(this.#options.wall()) } }
    const call = { method: 'PATCH', path, body, contentType: 'application/merge-patch+json', signal, timeoutMs: TIMEOUT_MS } as const
    await unless([404], () => this.#options.client.request(call))
  }

  /** With its uid, by which `kubectl describe` finds events; undefined when it is gone. Of a Secret nothing but metadata is read. */
  async #regarding(object: string, signal: AbortSignal): Promise<Fields | undefined> {
    const { kind, namespace, name } = partsOf(object)
    const apiVersion = kind === 'Secret' ? 'v1' : 'llamaswap.dev/v1alpha1'
    const accept = 'application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1'
    const raw = await unless([404, 403], () => this.#options.client.get(pathOf(object), { signal, timeoutMs: TIMEOUT_MS, accept }))
    if (raw === 404) return undefined
    const metadata = raw === 403 ? undefined : raw['metadata']
    return {
      apiVersion,
      kind,
      namespace,
      name,
      ...(isFields(metadata) && { uid: metadata['uid'], resourceVersion: metadata['resourceVersion'] }),
    }
  }
}

const keyOf = ({ object, code, at, message }: News): string => `${object} ${code} ${at}: ${message}`

/** Whole characters of at most so many bytes. */
function cutBytes(text: string, bytes: number): string {
  const whole = Buffer.from(text)
  return whole.length <= bytes ? text : new TextDecoder().decode(whole.subarray(0, bytes)).replace(/\uFFFD+$/, '')
}
