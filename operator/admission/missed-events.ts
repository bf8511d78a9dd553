import type { Missed, MissingReason } from '../inject/audit.ts'
import { INJECT } from '../inject/names.ts'
import { unless } from '../kube/api-error.ts'
import type { KubeClient } from '../kube/client.ts'
import { eventName, eventOf, eventsPath } from '../kube/cluster-event.ts'
import { type Outcome, WorkQueue, type WorkRecord } from '../queue/work-queue.ts'

export interface MissedEventsOptions {
  readonly client: Pick<KubeClient, 'create'>
  /** Asked right before each write. */
  readonly isLeader: () => boolean
  /** Of this operator: its pod's name. */
  readonly instance: string
  readonly now: () => number
  readonly onRecord?: (record: WorkRecord) => void
  readonly onError: (pod: string, error: unknown) => void
}

/** Pods that are remembered; more are told by the metric alone. */
const MAX_REMEMBERED = 5_000
const TIMEOUT_MS = 10_000
const CLOSE_MS = 2_000

const RECREATE = 'Delete the Pod, and its controller makes one with a sidecar.'
const NOTES: Readonly<Partial<Record<MissingReason, string>>> = {
  NotReached: `This Pod asks for a llama-swap sidecar and has none: no operator answered when it was made. ${RECREATE}`,
  NamespaceNotLabelled: `This Pod asks for a llama-swap sidecar, and its namespace has no label ${INJECT}: "true". Label the namespace, then delete the Pod.`,
  NamespaceExcluded: 'This Pod asks for a llama-swap sidecar, and Pods of this namespace get none.',
}

/** One Event at each Pod that was missed, whoever leads. Owner: Admission; `close()` once. */
export class MissedEvents {
  readonly queue: WorkQueue
  readonly #options: MissedEventsOptions
  /** "namespace/name uid" → what to tell of it. */
  readonly #known = new Map<string, Missed>()

  constructor(options: MissedEventsOptions) {
    this.#options = options
    const { onRecord, onError } = options
    this.queue = new WorkQueue({
      name: 'missed_sidecars',
      concurrency: 1,
      work: (key, signal) => this.#work(key, signal),
      ...(onRecord !== undefined && { onRecord }),
      onError: (key, error) => onError(key.split(' ')[0] ?? key, error),
    })
  }

  /** All that are missed now. */
  set(missed: readonly Missed[]): void {
    const now = new Map(missed.map((one) => [`${one.pod} ${one.uid} ${one.reason}`, one]))
    for (const key of this.#known.keys()) {
      if (now.has(key)) continue
      this.#known.delete(key)
      this.queue.forget(key)
    }
    for (const [key, one] of now) {
      if (this.#known.has(key) || this.#known.size >= MAX_REMEMBERED) continue
      this.#known.set(key, one)
      this.queue.add(key)
    }
  }

  close(): Promise<void> {
    return this.queue.close(CLOSE_MS)
  }

  /** An Event of that name is one that a leader before us wrote: it stands. */
  async #work(key: string, signal: AbortSignal): Promise<Outcome> {
    const missed = this.#known.get(key)
    if (missed === undefined || !this.#options.isLeader()) return undefined
    const [namespace = '', name = ''] = missed.pod.split('/')
    const body = this.#event({ namespace, name }, missed)
    await unless([409, 404], () => this.#options.client.create(eventsPath(namespace), body, { signal, timeoutMs: TIMEOUT_MS }))
    return undefined
  }

  #event({ namespace, name }: { readonly namespace: string; readonly name: string }, { uid, reason }: Missed): unknown {
    return eventOf({
      namespace,
      name: eventName(name, `${uid} ${reason}`),
      atMs: this.#options.now(),
      reason: 'SidecarMissing',
      action: 'Inject',
      note: NOTES[reason] ?? `This Pod asks for a llama-swap sidecar and has none: ${reason}. docs/sidecars.md says what that means.`,
      instance: this.#options.instance,
      regarding: { apiVersion: 'v1', kind: 'Pod', namespace, name, uid },
    })
  }
}
