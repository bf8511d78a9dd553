import { ApiError } from '../kube/api-error.ts'
import type { KubeClient } from '../kube/client.ts'
import type { OwnAccount } from '../kube/own-account.ts'
import { claimed, decide, type Observed, observe, released } from './election-state.ts'
import { type Lease, type LeaseName, type LeaseRecord, leaseObject, leasePath, leasesPath, parseLease } from './lease.ts'

export type LeaseClient = Pick<KubeClient, 'get' | 'create' | 'update'>

export interface Clocks {
  /** Monotonic milliseconds. */
  readonly now: () => number
  /** Milliseconds since the epoch. */
  readonly wall: () => number
}

export const SYSTEM_CLOCKS: Clocks = { now: () => performance.now(), wall: Date.now }

export interface LeaseHolderOptions {
  readonly client: LeaseClient
  readonly lease: LeaseName
  /** Owns a Lease of its namespace that is made here. */
  readonly account?: OwnAccount | undefined
  readonly identity: string
  readonly clocks: Clocks
}

export type Attempt =
  | { readonly held: true; readonly sentAtMs: number; readonly annotations: Lease['annotations'] }
  /** `holder` "" = another was quicker just now. `leftMs`: until it may be taken, if it is not renewed. */
  | { readonly held: false; readonly holder: string; readonly leftMs: number }

export interface AttemptOptions {
  readonly durationMs: number
  readonly timeoutMs: number
  readonly signal: AbortSignal
  /** What to write besides the record, given what stands there now. */
  readonly annotate?: (current: Lease['annotations']) => Lease['annotations']
}

/**
 * Takes and renews one Lease, every write under the version it was decided on. One call at a time. It keeps what it saw last, so that a renewal
 * is one call; a write that turns out to be late is decided anew.
 */
export class LeaseHolder {
  readonly #options: LeaseHolderOptions
  #lease: Lease | undefined
  #observed: Observed | undefined

  constructor(options: LeaseHolderOptions) {
    this.#options = options
  }

  /** As seen last. */
  get lease(): Lease | undefined {
    return this.#lease
  }

  /** The holder, if it counts as alive. */
  get holder(): string | undefined {
    if (this.#observed === undefined || this.#observed.record.holder === '') return undefined
    const decision = decide(this.#observed, '', this.#options.clocks.now())
    return decision.take ? undefined : decision.holder
  }

  /** Rejects with an ApiError when the API server cannot be asked, or refuses for a reason other than an outdated version. */
  async attempt(options: AttemptOptions): Promise<Attempt> {
    if (this.#lease?.record.holder === this.#options.identity) {
      const renewed = await this.#write(options)
      if (renewed !== undefined) return renewed
    }
    await this.read(options)
    if (this.#observed !== undefined) {
      const decision = decide(this.#observed, this.#options.identity, this.#options.clocks.now())
      if (!decision.take) return { held: false, holder: decision.holder, leftMs: decision.leftMs }
    }
    return (await this.#write(options)) ?? { held: false, holder: '', leftMs: 0 }
  }

  /** The Lease as it is now; undefined if there is none. */
  async read({ signal, timeoutMs }: Pick<AttemptOptions, 'signal' | 'timeoutMs'>): Promise<Lease | undefined> {
    const { client, lease } = this.#options
    try {
      this.#see(await client.get(leasePath(lease), { signal, timeoutMs }))
    } catch (error) {
      if (!(error instanceof ApiError && error.status === 404)) throw error
      this.#lease = undefined
      this.#observed = undefined
    }
    return this.#lease
  }

  /** Lets go of what we hold, if we still do. */
  async release(call: Pick<AttemptOptions, 'signal' | 'timeoutMs'>): Promise<void> {
    if (await this.#letGo(call)) return
    await this.read(call)
    await this.#letGo(call)
  }

  /** False: the Lease has changed since it was read, perhaps by a renewal of ours whose answer was not awaited. */
  async #letGo(call: Pick<AttemptOptions, 'signal' | 'timeoutMs'>): Promise<boolean> {
    const record = this.#lease?.record
    if (record?.holder !== this.#options.identity) return true
    const letGo = await unlessLate([409, 404], () => this.#send(released(record, this.#options.clocks.wall()), {}, call))
    return letGo !== undefined
  }

  /** A 404 is that of the Lease when it is updated, and the namespace's, an error, when it is created. */
  async #write(options: AttemptOptions): Promise<Attempt | undefined> {
    const late = this.#lease === undefined ? [409] : [409, 404]
    return unlessLate(late, () => this.#claim(options))
  }

  async #claim({ durationMs, annotate = () => ({}), ...call }: AttemptOptions): Promise<Attempt> {
    const { identity, clocks } = this.#options
    const sentAtMs = clocks.now()
    const record = claimed(this.#lease?.record, { identity, durationMs, wallMs: clocks.wall() })
    const { annotations } = await this.#send(record, annotate(this.#lease?.annotations ?? {}), call)
    return { held: true, sentAtMs, annotations }
  }

  async #send(
    record: LeaseRecord,
    annotations: Lease['annotations'],
    call: { readonly signal: AbortSignal; readonly timeoutMs: number },
  ): Promise<Lease> {
    const { client, lease, account } = this.#options
    const body = leaseObject(this.#lease, { ...lease, account }, record, annotations)
    return this.#see(
      this.#lease === undefined ? await client.create(leasesPath(lease), body, call) : await client.update(leasePath(lease), body, call),
    )
  }

  #see(raw: Parameters<typeof parseLease>[0]): Lease {
    const seen = parseLease(raw)
    this.#lease = seen
    this.#observed = observe(this.#observed, seen.record, this.#options.clocks.now())
    return seen
  }
}

/** Undefined: the Lease has changed, come or gone since it was read. */
async function unlessLate<T>(late: readonly number[], write: () => Promise<T>): Promise<T | undefined> {
  try {
    return await write()
  } catch (error) {
    if (error instanceof ApiError && late.includes(error.status)) return undefined
    throw error
  }
}
