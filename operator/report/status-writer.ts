import { isDeepStrictEqual } from 'node:util'
import { ApiError } from '../kube/api-error.ts'
import type { KubeClient } from '../kube/client.ts'
import type { Timers } from '../queue/timers.ts'
import { type Outcome, WorkQueue, type WorkRecord } from '../queue/work-queue.ts'
import { type Fields, isFields } from '../validate/problem.ts'
import type { Verdict } from './conditions.ts'
import { parseStatus, type Status, settledStatus, statusObject } from './settled-status.ts'

export type StatusClient = Pick<KubeClient, 'get' | 'serverSideApply'>

export interface StatusWriterOptions {
  readonly client: StatusClient
  /** Asked right before each write. */
  readonly isLeader: () => boolean
  readonly isGathering: () => boolean
  readonly timers: Timers
  /** Milliseconds since the epoch. */
  readonly wall: () => number
  readonly onRecord: (record: WorkRecord) => void
  readonly onError: (object: string, error: unknown) => void
}

/** Owner of the fields in a status. */
export const FIELD_MANAGER = 'llama-swap'
const API_VERSION = 'llamaswap.dev/v1alpha1'
const PLURALS: Readonly<Record<string, string>> = { LlamaModel: 'llamamodels', RoutingPolicy: 'routingpolicies' }
/** Between two writes of one object. */
const BETWEEN_WRITES_MS = 2000
const TIMEOUT_MS = 10_000
/** Conflicts in a row before the object has to wait. */
const MAX_CONFLICTS = 3
const CONCURRENCY = 4

interface Held {
  readonly resourceVersion: string
  readonly status: Status | undefined
}

interface Place {
  verdict: Verdict
  /** As read or written last; undefined = to be read. */
  held: Held | undefined
  writtenAtMs: number | undefined
}

/** Keeps statuses as they should be, with as few writes as that takes. Owner: Report; `close()` once. */
export class StatusWriter {
  readonly queue: WorkQueue
  readonly #options: StatusWriterOptions
  readonly #places = new Map<string, Place>()

  constructor(options: StatusWriterOptions) {
    this.#options = options
    const { timers, onRecord, onError } = options
    this.queue = new WorkQueue({
      name: 'statuses',
      concurrency: CONCURRENCY,
      timers,
      onRecord,
      onError,
      work: (object, signal) => this.#work(object, signal),
    })
  }

  /** Of all objects there are; others are forgotten. */
  set(verdicts: readonly Verdict[]): void {
    const objects = new Set(verdicts.map(({ object }) => object))
    for (const object of this.#places.keys()) if (!objects.has(object)) this.#forget(object)
    for (const verdict of verdicts) {
      const before = this.#places.get(verdict.object)
      // One that was deleted and made anew has no status, whatever the one before had: it is read again.
      const place = before?.verdict.source === verdict.source ? before : undefined
      if (place !== undefined && (place.verdict === verdict || isDeepStrictEqual(place.verdict, verdict))) continue
      if (place === undefined) this.#places.set(verdict.object, { verdict, held: undefined, writtenAtMs: before?.writtenAtMs })
      else place.verdict = verdict
      this.queue.add(verdict.object)
    }
  }

  /** Looks at every object again: what a verdict means has changed. */
  review(): void {
    for (const object of this.#places.keys()) this.queue.add(object)
  }

  close(): Promise<void> {
    return this.queue.close(TIMEOUT_MS)
  }

  #forget(object: string): void {
    this.#places.delete(object)
    this.queue.forget(object)
  }

  async #work(object: string, signal: AbortSignal): Promise<Outcome> {
    for (let conflicts = 0; ; conflicts += 1) {
      const place = this.#places.get(object)
      if (place === undefined || !this.#options.isLeader()) return undefined
      const waitMs = place.writtenAtMs === undefined ? 0 : place.writtenAtMs + BETWEEN_WRITES_MS - this.#options.timers.now()
      if (waitMs > 0) return { againAfterMs: waitMs }
      try {
        await this.#bring(object, place, signal)
        return undefined
      } catch (error) {
        const status = error instanceof ApiError ? error.status : 0
        if (status === 404) return undefined // The watch will say so too.
        if (status !== 409 || conflicts >= MAX_CONFLICTS) throw error
        place.held = undefined
      }
    }
  }

  /** One write at most, and none if the API server holds all of it already, or the word of somebody who has seen a newer object. */
  async #bring(object: string, place: Place, signal: AbortSignal): Promise<void> {
    place.held ??= await this.#read(object, signal)
    const { verdict, held } = place
    if (held.status !== undefined && held.status.observedGeneration > verdict.observedGeneration) return
    const time = `${new Date(this.#options.wall()).toISOString().slice(0, 19)}Z`
    const status = settledStatus(verdict, held.status, { time, isGathering: this.#options.isGathering() })
    if (isDeepStrictEqual(plain(status), plain(held.status)) || !this.#options.isLeader()) return
    const answer = await this.#apply(object, held.resourceVersion, status, signal)
    place.held = { resourceVersion: versionOf(answer), status }
    place.writtenAtMs = this.#options.timers.now()
  }

  async #read(object: string, signal: AbortSignal): Promise<Held> {
    const raw = await this.#options.client.get(pathOf(object), { signal, timeoutMs: TIMEOUT_MS })
    return { resourceVersion: versionOf(raw), status: parseStatus(raw['status']) }
  }

  #apply(object: string, resourceVersion: string, status: Status, signal: AbortSignal): Promise<Fields> {
    const { kind, namespace, name } = partsOf(object)
    const metadata = { namespace, name, resourceVersion }
    const body = { apiVersion: API_VERSION, kind, metadata, status: statusObject(status) }
    const options = { fieldManager: FIELD_MANAGER, force: true, subresource: 'status', signal, timeoutMs: TIMEOUT_MS } as const
    return this.#options.client.serverSideApply(pathOf(object), body, options)
  }
}

export interface ObjectParts {
  readonly kind: string
  readonly namespace: string
  readonly name: string
}

/** "LlamaModel namespace/name" */
export function partsOf(object: string): ObjectParts {
  const [kind = '', key = ''] = object.split(' ')
  const [namespace = '', name = ''] = key.split('/')
  return { kind, namespace, name }
}

/** Of a LlamaModel, a RoutingPolicy or a Secret. */
export function pathOf(object: string): string {
  const { kind, namespace, name } = partsOf(object)
  const plural = PLURALS[kind]
  return plural === undefined
    ? `/api/v1/namespaces/${namespace}/secrets/${name}`
    : `/apis/${API_VERSION}/namespaces/${namespace}/${plural}/${name}`
}

function versionOf(raw: Fields): string {
  const metadata = raw['metadata']
  return isFields(metadata) && typeof metadata['resourceVersion'] === 'string' ? metadata['resourceVersion'] : ''
}

/** Without fields that are undefined, as JSON has none. */
const plain = (status: Status | undefined): unknown => JSON.parse(JSON.stringify(status ?? null))
