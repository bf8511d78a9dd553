/**
 * Whose namespaces these are. In: the namespaces that an installation serves (docs/adr/0007-scope-leases.md). Out: whether it may, and if not, who is
 * in the way. EFFECT: holds a Lease `llama-swap-scope` in each of them, in the name of the installation, so that another leader of the same one
 * goes on where this one stopped. Nothing is let go of at the end: what is not renewed expires, and so frees a removed installation's namespaces.
 */
import { ApiError } from '../kube/api-error.ts'
import type { OwnAccount } from '../kube/own-account.ts'
import { Pause } from '../queue/pause.ts'
import { type Clocks, type LeaseClient, LeaseHolder, SYSTEM_CLOCKS } from './lease-holder.ts'

export const SCOPE_LEASE = 'llama-swap-scope'

export interface ScopeTiming {
  readonly renewMs: number
  /** Writes of all namespaces together: renewals come this far apart, and with many namespaces each one less often. */
  readonly betweenWritesMs: number
  /** A Lease lasts this many renewals. */
  readonly renewals: number
  /** Before a namespace that another holds, or that could not be asked, is tried again. */
  readonly retryMs: number
}

export const SCOPE_TIMING: ScopeTiming = { renewMs: 20_000, betweenWritesMs: 500, renewals: 3, retryMs: 5000 }

export interface ScopeConflict {
  readonly namespace: string
  /** "namespace/name" of the other installation's leader Lease. */
  readonly holder: string
}

export type ScopeState =
  /** Not all namespaces are held yet, and none is another's: no right to begin, and no reason to stop. */
  | { readonly may: 'unknown'; readonly message: string }
  | { readonly may: 'lead' }
  | { readonly may: 'not'; readonly conflicts: readonly ScopeConflict[]; readonly message: string }

export interface ScopeOptions {
  readonly client: LeaseClient
  /** "namespace/name" of the leader Lease: one per installation, the same for all its replicas. */
  readonly installation: string
  readonly namespaces: Iterable<string>
  /** Owns the Lease of its own namespace; those elsewhere have no owner. */
  readonly account?: OwnAccount | undefined
  /** Must not throw. Called when `may` or the conflicts change. */
  readonly onChange: (state: ScopeState) => void
  readonly onError?: (error: unknown) => void
  readonly timing?: ScopeTiming
  readonly clocks?: Clocks
}

interface Place {
  readonly holder: LeaseHolder
  standing: 'new' | 'held' | { readonly holder: string } | { readonly error: string }
  nextAtMs: number
}

const CALL_TIMEOUT_MS = 5000
/** Names that a message lists. */
const MAX_NAMED = 5

/** One per term of leadership. Owner: whoever leads; `start()` once, `close()` once. */
export class Scope {
  readonly #options: ScopeOptions
  readonly #timing: ScopeTiming
  readonly #clocks: Clocks
  readonly #places = new Map<string, Place>()
  readonly #closing = new AbortController()
  readonly #pause = new Pause()
  #running: Promise<void> = Promise.resolve()
  #told = ''

  constructor(options: ScopeOptions) {
    this.#options = options
    this.#timing = options.timing ?? SCOPE_TIMING
    this.#clocks = options.clocks ?? SYSTEM_CLOCKS
    this.setNamespaces(options.namespaces)
  }

  start(): void {
    this.#running = this.#run()
  }

  async close(): Promise<void> {
    this.#closing.abort()
    this.#pause.wake()
    await this.#running
  }

  /** All of them: those that are left out are let expire. Cheap when nothing changes. */
  setNamespaces(namespaces: Iterable<string>): void {
    const wanted = new Set(namespaces)
    for (const namespace of this.#places.keys()) if (!wanted.has(namespace)) this.#places.delete(namespace)
    for (const namespace of wanted) if (!this.#places.has(namespace)) this.#add(namespace)
    this.#pause.wake()
  }

  get state(): ScopeState {
    const conflicts = [...this.#places].flatMap(([namespace, { standing }]) => conflictOf(namespace, standing))
    if (conflicts.length > 0) return { may: 'not', conflicts, message: this.#refusal(conflicts) }
    const open = [...this.#places].find(([, { standing }]) => standing !== 'held')
    return open === undefined ? { may: 'lead' } : { may: 'unknown', message: openMessage(open[0], open[1].standing) }
  }

  /** The state is told again then: whoever looked in between may have seen it unknown. */
  #add(namespace: string): void {
    this.#places.set(namespace, this.#newPlace(namespace))
    this.#told = ''
  }

  #newPlace(namespace: string): Place {
    const { client, account, installation: identity } = this.#options
    const lease = { namespace, name: SCOPE_LEASE }
    const nextAtMs = this.#clocks.now()
    return { holder: new LeaseHolder({ client, lease, account, identity, clocks: this.#clocks }), standing: 'new', nextAtMs }
  }

  async #run(): Promise<void> {
    while (!this.#closing.signal.aborted) {
      const due = this.#due()
      if (due !== undefined) await this.#ask(due)
      this.#tell()
      const pauseMs = due?.standing === 'held' && this.#isSettled() ? this.#timing.betweenWritesMs : 0
      await this.#pause.wait(Math.max(pauseMs, this.#untilNextMs()), this.#closing.signal)
    }
  }

  /** The first whose time has come. An installation that may not lead renews nothing, so that what it holds becomes free. */
  #due(): Place | undefined {
    const now = this.#clocks.now()
    return this.#asked().find(({ nextAtMs }) => nextAtMs <= now)
  }

  #asked(): readonly Place[] {
    const all = [...this.#places.values()]
    const inTheWay = all.filter(({ standing }) => typeof standing === 'object' && 'holder' in standing)
    return inTheWay.length > 0 ? inTheWay : all
  }

  #untilNextMs(): number {
    const nextAtMs = Math.min(...this.#asked().map(({ nextAtMs }) => nextAtMs), this.#clocks.now() + this.#timing.renewMs)
    return Math.max(0, nextAtMs - this.#clocks.now())
  }

  async #ask(place: Place): Promise<void> {
    const renewMs = Math.max(this.#timing.renewMs, this.#places.size * this.#timing.betweenWritesMs)
    const call = { durationMs: renewMs * this.#timing.renewals, timeoutMs: CALL_TIMEOUT_MS, signal: this.#closing.signal }
    try {
      const attempt = await place.holder.attempt(call)
      if (attempt.held) place.standing = 'held'
      else if (attempt.holder !== '') this.#isTaken(place, attempt.holder)
      place.nextAtMs = this.#clocks.now() + (attempt.held ? renewMs : Math.min(this.#timing.retryMs, attempt.leftMs))
    } catch (error) {
      if (!this.#closing.signal.aborted) this.#hasFailed(place, error)
    }
  }

  /** From now on what is held expires: it has to be had again before this installation may lead. */
  #isTaken(place: Place, holder: string): void {
    for (const other of this.#places.values()) {
      if (other.standing !== 'held') continue
      other.standing = 'new'
      other.nextAtMs = this.#clocks.now()
    }
    place.standing = { holder }
  }

  #hasFailed(place: Place, error: unknown): void {
    place.nextAtMs = this.#clocks.now() + this.#timing.retryMs
    if (isGone(error)) place.standing = 'held'
    else if (place.standing !== 'held') place.standing = { error: error instanceof Error ? error.message : String(error) }
    if (!isGone(error)) this.#options.onError?.(error)
  }

  #isSettled(): boolean {
    return [...this.#places.values()].every(({ standing }) => standing === 'held')
  }

  #tell(): void {
    const { state } = this
    const text = JSON.stringify(state)
    if (text === this.#told || this.#closing.signal.aborted) return
    this.#told = text
    this.#options.onChange(state)
  }

  #refusal(conflicts: readonly ScopeConflict[]): string {
    const holders = [...new Set(conflicts.map(({ holder }) => holder))].slice(0, MAX_NAMED).join(', ')
    const named = conflicts.slice(0, MAX_NAMED).map(({ namespace }) => namespace)
    const more = conflicts.length > named.length ? ` and ${conflicts.length - named.length} more` : ''
    return `${this.#options.installation} does not lead: ${holders} serves ${named.join(', ')}${more} already (Lease ${SCOPE_LEASE} there). Give the two installations different namespaces, or remove one of them.`
  }
}

function conflictOf(namespace: string, standing: Place['standing']): readonly ScopeConflict[] {
  return typeof standing === 'object' && 'holder' in standing ? [{ namespace, holder: standing.holder }] : []
}

function openMessage(namespace: string, standing: Place['standing']): string {
  const why = typeof standing === 'object' && 'error' in standing ? `: ${standing.error}` : ''
  return `The Lease ${SCOPE_LEASE} of namespace ${namespace} is not held yet${why}.`
}

/** A namespace that is not there, or is going, is nobody's. */
const isGone = (error: unknown): boolean =>
  error instanceof ApiError && (error.status === 404 || (error.status === 403 && /because it is being terminated/.test(error.message)))
