/**
 * The operator's source in a cluster. In: a client, the namespaces served, the installation's settings. Out: `Resources`, whole, first once all
 * that is watched has been read, then after each change that matters: 10 ms of quiet after one of endpoints (slices, pods), 50 ms after any
 * other, 500 ms at the most. What did not change is the same object as in the snapshot before. EFFECT: watches the API server; it decides
 * nothing about what objects mean, and writes nothing.
 * An object that is wrong is a problem, and its last good version goes on holding; an API server that is away changes nothing.
 */
import { isDeepStrictEqual } from 'node:util'
import type { KubeClient } from '../kube/client.ts'
import type { ObjectKey, Resources, Settings } from '../resources/snapshot.ts'
import { type ClusterKinds, watchKinds } from './cluster-kinds.ts'
import { type ClusterProblem, general, heldProblems, refusalProblem } from './cluster-problem.ts'
import { ClusterView } from './cluster-view.ts'
import type { Collection } from './collection.ts'
import { IssuerKeys } from './issuer-keys.ts'
import { LeavingPods } from './leaving-pods.ts'
import type { Identity } from './object-store.ts'
import { MAX_REFERENCED_SECRETS, ReferencedSecrets, secretsNamedBy } from './referenced-secrets.ts'
import { REFLECTOR_TIMING, type ReflectorState, type ReflectorTiming, type WatchRecord } from './reflector.ts'
import { Settle } from './settle.ts'
import type { WatchSettings } from './watched-kind.ts'

export interface ClusterSourceOptions {
  readonly client: KubeClient
  readonly namespaces: 'all' | readonly string[]
  /** Whose pods are watched besides, as proxies run there. */
  readonly podNamespaces?: readonly string[]
  readonly settings: Settings
  /** All that holds now, and all that is wrong now. Not called when neither changed. */
  readonly onSnapshot: (resources: Resources, problems: readonly ClusterProblem[]) => void
  /** For metrics and logs. */
  readonly onRecord: (collection: Collection, record: WatchRecord) => void
  readonly timing?: ReflectorTiming
}

/** How one watch is doing. */
export interface WatchHealth {
  readonly collection: Collection
  readonly synced: boolean
  /** Since the API server last said anything about it; a watch that is well is never quiet for longer than the timing's silence. */
  readonly quietMs: number
  /** Why it has no watch now. */
  readonly failing?: string
}

const ENDPOINTS = { quietMs: 10, maxMs: 50 }
const ROUTES = { quietMs: 50, maxMs: 500 }

/** Owner: who creates it; `start()` once, `close()` once. */
export class ClusterSource {
  readonly #options: ClusterSourceOptions
  readonly #kinds: ClusterKinds
  readonly #secrets: ReferencedSecrets
  readonly #issuers: IssuerKeys
  readonly #view: ClusterView
  readonly #endpointsSettle = new Settle({ ...ENDPOINTS, act: () => this.#handOnEndpoints() })
  readonly #routesSettle = new Settle({ ...ROUTES, act: () => this.#handOn() })
  readonly #leaving = new LeavingPods((key) => this.#touch('pods', key))
  #handed: { readonly resources: Resources; readonly problems: readonly ClusterProblem[] } | undefined

  constructor(options: ClusterSourceOptions) {
    const { client, namespaces, podNamespaces = [], settings, timing = REFLECTOR_TIMING } = options
    this.#options = options
    const watching: WatchSettings = { client, timing, onRecord: (collection, record) => this.#record(collection, record) }
    this.#kinds = watchKinds({ settings: watching, namespaces, podNamespaces, onChange: (kind, key) => this.#changed(kind, key) })
    this.#secrets = new ReferencedSecrets({ settings: watching, onChange: (key) => this.#changed('secrets', key) })
    this.#issuers = new IssuerKeys({ client, onChange: () => this.#routesSettle.poke() })
    this.#view = new ClusterView({
      kinds: () => this.#kinds,
      leavingPod: (key) => this.#leaving.get(key),
      secret: (key) => this.#secrets.get(key),
      settings,
      namespaces,
    })
  }

  start(): void {
    for (const kind of Object.values(this.#kinds)) kind?.start()
    this.#issuers.start()
  }

  async close(): Promise<void> {
    this.#callOff()
    await Promise.all([...Object.values(this.#kinds).map(async (kind) => kind?.close()), this.#secrets.close(), this.#issuers.close()])
    this.#callOff()
  }

  /** What waits for quiet, or for time. */
  #callOff(): void {
    this.#endpointsSettle.close()
    this.#routesSettle.close()
    this.#leaving.close()
  }

  /** A snapshot was handed on. */
  get synced(): boolean {
    return this.#handed !== undefined
  }

  health(): readonly WatchHealth[] {
    return this.#reflectors().map(({ collection, synced, quietMs, failing }) => ({
      collection,
      synced,
      quietMs,
      ...(failing === undefined ? {} : { failing: failing.message }),
    }))
  }

  /** The version of a LlamaModel or RoutingPolicy that was seen last: what a write of its status starts from. */
  identityOf(kind: 'LlamaModel' | 'RoutingPolicy', key: ObjectKey): Identity | undefined {
    return (kind === 'LlamaModel' ? this.#kinds.models : this.#kinds.policies).identityOf(key)
  }

  #changed(kind: keyof ClusterKinds | 'secrets', key: ObjectKey): void {
    if (kind === 'pods') this.#podChanged(key)
    this.#touch(kind, key)
  }

  #touch(kind: keyof ClusterKinds | 'secrets', key: ObjectKey): void {
    this.#view.touch(kind, key)
    if (kind === 'slices' || kind === 'pods') this.#endpointsSettle.poke()
    else this.#routesSettle.poke()
  }

  #podChanged(key: ObjectKey): void {
    const handed = this.#handed?.resources.pods.get(key)
    if (this.#kinds.pods.get(key) !== undefined) this.#leaving.isBack(key)
    else if (handed !== undefined) this.#leaving.leaves(key, handed)
  }

  #record(collection: Collection, record: WatchRecord): void {
    if (record.what === 'watch') for (const reflector of this.#reflectors()) reflector.retryNow()
    // A first sync may be the last that was missing, and what is refused, or no more, is a problem told.
    if (record.what === 'list' || record.what === 'watch' || (record.what === 'restart' && record.end.reason === 'refused'))
      this.#routesSettle.poke()
    this.#options.onRecord(collection, record)
  }

  /** While a Secret that a model has just come to name is being read, the model waits with it. */
  #handOn(): void {
    const models = [...this.#kinds.models.entries()].flatMap(([, { resource }]) => resource ?? [])
    this.#secrets.want(secretsNamedBy(models))
    if (!this.#complete()) return
    if (!this.#secrets.settled) this.#routesSettle.poke()
    else this.#give(this.#view.all(this.#issuers.issuers), this.#problems())
  }

  #handOnEndpoints(): void {
    if (this.#handed !== undefined) this.#give(this.#view.endpoints(this.#handed.resources), this.#handed.problems)
  }

  #complete(): boolean {
    return Object.values(this.#kinds).every((kind) => kind === undefined || kind.synced) && this.#issuers.asked
  }

  #give(resources: Resources, problems: readonly ClusterProblem[]): void {
    const before = this.#handed
    if (before !== undefined && sameParts(before.resources, resources) && isDeepStrictEqual(before.problems, problems)) return
    this.#handed = { resources, problems }
    this.#options.onSnapshot(resources, problems)
  }

  /** What may not be read, whether or not there was a snapshot yet: without all of it there is none. */
  troubles(): readonly ClusterProblem[] {
    return this.#reflectors().flatMap(({ collection, failing }) => refusalProblem(collection, failing) ?? [])
  }

  #problems(): readonly ClusterProblem[] {
    const { left } = this.#secrets
    const tooMany = `Models name more than ${MAX_REFERENCED_SECRETS} Secrets. Not read: ${left.slice(0, 8).join(', ')}${left.length > 8 ? ', …' : ''}.`
    const noKeys = `ServiceAccount tokens of clients cannot be verified: ${this.#issuers.problem}`
    return [
      ...heldProblems('LlamaModel', this.#kinds.models.entries()),
      ...heldProblems('RoutingPolicy', this.#kinds.policies.entries()),
      ...this.troubles(),
      ...(left.length > 0 ? [general(tooMany)] : []),
      ...(this.#issuers.problem === undefined ? [] : [general(noKeys)]),
    ]
  }

  #reflectors(): readonly ReflectorState[] {
    return [...Object.values(this.#kinds).flatMap((kind) => kind?.reflectors ?? []), ...this.#secrets.reflectors]
  }
}

const sameParts = (a: Resources, b: Resources): boolean => {
  const after = new Map<string, unknown>(Object.entries(b))
  return Object.entries(a).every(([name, part]) => after.get(name) === part)
}
