/**
 * Who leads. In: a Lease and who we are. Out: `isLeader`, `onChange`, and the epoch under which a leader pushes. EFFECT: reads and writes one
 * Lease. It starts nothing and stops nothing: what a leader does is its owner's to begin and to end, each time `onChange` says so.
 *
 * Lease and times are client-go's. The leader may act until `renewDeadlineMs` after it *sent* its last renewal; others take over only once the
 * record has stood still for `leaseMs` by their own clocks. Both clocks go on while a process is stopped, so one that wakes up again does not
 * take itself for the leader, not even before its timers run.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { OwnAccount } from '../kube/own-account.ts'
import { mayAct } from './election-state.ts'
import type { Lease, LeaseName } from './lease.ts'
import { type Attempt, type Clocks, type LeaseClient, LeaseHolder, SYSTEM_CLOCKS } from './lease-holder.ts'

export interface ElectionTiming {
  readonly leaseMs: number
  readonly renewDeadlineMs: number
  /** Between two tries. */
  readonly retryMs: number
  /** Followers wait up to this many times as long: not the 2.2 times of client-go, so that a Lease let go of is taken within 4 s. */
  readonly jitter: number
}

const ELECTION_TIMING: ElectionTiming = { leaseMs: 15_000, renewDeadlineMs: 10_000, retryMs: 2000, jitter: 1.2 }

export interface ElectionOptions {
  readonly client: LeaseClient
  readonly lease: LeaseName
  /** Owns the Lease. */
  readonly account?: OwnAccount | undefined
  /** Of this process alone, for ever: "pod name_uuid". */
  readonly identity: string
  /** Where proxies reach us, for those who ask a standby. */
  readonly address?: string
  /** Called at once whenever this process begins or ceases to lead. Must not throw. */
  readonly onChange: (isLeader: boolean) => void
  /** A try that failed; another follows. */
  readonly onError?: (error: unknown) => void
  readonly timing?: ElectionTiming
  readonly clocks?: Clocks
  readonly dice?: () => number
}

/** On the Lease: the epoch of the newest leader. */
export const EPOCH_ANNOTATION = 'llamaswap.dev/epoch'
/** On the Lease: where the leader takes proxies. */
const ADDRESS_ANNOTATION = 'llamaswap.dev/address'

const RELEASE_TIMEOUT_MS = 2000
/** After the moment when a holder's time is up, at most. */
const TAKE_SPREAD_MS = 200

/** `epoch`: the number that is being written; 0 = none yet. One that somebody else has written meanwhile is given up. */
interface EpochClaim {
  readonly above: number
  epoch: number
}

/** What a claim of an epoch fails with once somebody else may lead. */
export class NotLeading extends Error {
  override readonly name = 'NotLeading'
}

/** Owner: the operator's main; `start()` once, `close()` once. */
export class Election {
  readonly #options: ElectionOptions
  readonly #timing: ElectionTiming
  readonly #clocks: Clocks
  readonly #dice: () => number
  readonly #holder: LeaseHolder
  readonly #closing = new AbortController()
  #running: Promise<void> = Promise.resolve()
  /** Turns and claims come one after the other. */
  #last: Promise<unknown> = Promise.resolve()
  /** While we lead: when the renewal that counts was sent. */
  #renewedAtMs: number | undefined
  #deadline: NodeJS.Timeout | undefined
  /** The highest epoch seen in a Lease or claimed: a deleted Lease must not take it back. */
  #highestEpoch = 0
  #claimedEpoch = 0

  constructor(options: ElectionOptions) {
    const { client, lease, account, identity, timing = ELECTION_TIMING, clocks = SYSTEM_CLOCKS, dice = Math.random } = options
    this.#options = options
    this.#timing = timing
    this.#clocks = clocks
    this.#dice = dice
    this.#holder = new LeaseHolder({ client, lease, account, identity, clocks })
  }

  start(): void {
    this.#running = this.#run()
  }

  /** Lets go of the Lease, so that another can take it at once. Rejects never: what cannot be let go expires. */
  async close(): Promise<void> {
    this.#closing.abort()
    await this.#running
    await this.#last
    if (!this.isLeader) return this.#stepDown()
    this.#stepDown()
    const signal = AbortSignal.timeout(RELEASE_TIMEOUT_MS)
    await this.#holder.release({ signal, timeoutMs: RELEASE_TIMEOUT_MS }).catch((error: unknown) => this.#options.onError?.(error))
  }

  /** Ask right before each act that only a leader may do. */
  get isLeader(): boolean {
    return this.#renewedAtMs !== undefined && mayAct(this.#renewedAtMs, this.#timing.renewDeadlineMs, this.#clocks.now())
  }

  /** Who leads as far as we know, ourselves included. */
  get leader(): { readonly identity: string; readonly address: string | undefined } | undefined {
    const identity = this.#holder.holder
    const isOver = identity === this.#options.identity && !this.isLeader
    return identity === undefined || isOver ? undefined : { identity, address: this.#holder.lease?.annotations[ADDRESS_ANNOTATION] }
  }

  /** Asks the API server whether we lead, just now. Rejects when it cannot be asked. */
  async confirm(): Promise<boolean> {
    await this.#exclusively(() => this.#holder.read(this.#call()))
    const holder = this.#holder.lease?.record.holder
    if (holder !== undefined && holder !== this.#options.identity) this.#stepDown()
    return this.isLeader && holder === this.#options.identity
  }

  /**
   * A new epoch above `above`, above the Lease's and above all we have seen, written down before it is given out. Tries until it is or we cease
   * to lead (NotLeading). Rejects with a RangeError when there is no number left.
   */
  claimEpoch(above: number): Promise<number> {
    return this.#exclusively(() => this.#claim(above))
  }

  /** The epoch of our term if it is above `above` already, else a new one. */
  raiseEpoch(above: number): Promise<number> {
    return this.#exclusively(async () => (this.isLeader && this.#claimedEpoch > above ? this.#claimedEpoch : this.#claim(above)))
  }

  async #run(): Promise<void> {
    const { signal } = this.#closing
    while (!signal.aborted) {
      const waitMs = await this.#exclusively(() => this.#turn())
      await sleep(waitMs, undefined, { signal }).catch(() => undefined)
    }
  }

  /** Takes or renews, and says how long to wait. */
  async #turn(): Promise<number> {
    const { retryMs, jitter } = this.#timing
    try {
      const attempt = await this.#attempt()
      if (attempt.held) return retryMs
      const pauseMs = retryMs * (1 + (jitter - 1) * this.#dice())
      return attempt.holder === '' ? pauseMs : Math.min(pauseMs, attempt.leftMs + TAKE_SPREAD_MS * this.#dice())
    } catch (error) {
      if (!this.#closing.signal.aborted) this.#options.onError?.(error)
      return retryMs
    }
  }

  async #attempt(claim?: EpochClaim): Promise<Attempt> {
    this.#checkDeadline()
    const annotate = (current: Lease['annotations']): Lease['annotations'] => this.#annotations(current, claim)
    const attempt = await this.#holder.attempt({ durationMs: this.#timing.leaseMs, annotate, ...this.#call() })
    this.#highestEpoch = Math.max(this.#highestEpoch, epochOf(this.#holder.lease?.annotations ?? {}))
    this.#checkDeadline()
    if (!attempt.held) this.#stepDown()
    else this.#renewed(attempt.sentAtMs)
    return attempt
  }

  async #claim(above: number): Promise<number> {
    const claim: EpochClaim = { above, epoch: 0 }
    while (this.isLeader) {
      const attempt = await this.#attempt(claim).catch((error: unknown) => this.#rest(error))
      if (attempt?.held !== true || !this.isLeader) continue
      this.#claimedEpoch = epochOf(attempt.annotations)
      return this.#claimedEpoch
    }
    throw new NotLeading(`${this.#options.identity} does not lead`)
  }

  async #rest(error: unknown): Promise<undefined> {
    if (error instanceof RangeError) throw error
    this.#options.onError?.(error)
    await sleep(this.#timing.retryMs / 4, undefined, { signal: this.#closing.signal }).catch(() => undefined)
    if (this.#closing.signal.aborted) throw new NotLeading(`${this.#options.identity} is ending`)
  }

  /** Whatever is written, the highest epoch goes along: a Lease made anew has it too. */
  #annotations(current: Lease['annotations'], claim: EpochClaim | undefined): Lease['annotations'] {
    const written = epochOf(current)
    this.#highestEpoch = Math.max(this.#highestEpoch, written)
    if (claim !== undefined && claim.epoch <= written) claim.epoch = nextEpoch(Math.max(this.#highestEpoch, claim.above))
    this.#highestEpoch = Math.max(this.#highestEpoch, claim?.epoch ?? 0)
    const { address } = this.#options
    const place = address === undefined ? {} : { [ADDRESS_ANNOTATION]: address }
    return this.#highestEpoch === 0 ? place : { ...place, [EPOCH_ANNOTATION]: String(this.#highestEpoch) }
  }

  #renewed(sentAtMs: number): void {
    const leftMs = sentAtMs + this.#timing.renewDeadlineMs - this.#clocks.now()
    if (leftMs <= 0) return // The answer came too late to act on it; the next try renews at once.
    const isNew = this.#renewedAtMs === undefined
    this.#renewedAtMs = sentAtMs
    clearTimeout(this.#deadline)
    this.#deadline = setTimeout(() => this.#checkDeadline(), leftMs + 1)
    if (isNew) this.#options.onChange(true)
  }

  #checkDeadline(): void {
    if (this.#renewedAtMs !== undefined && !this.isLeader) this.#stepDown()
  }

  #stepDown(): void {
    clearTimeout(this.#deadline)
    if (this.#renewedAtMs === undefined) return
    this.#renewedAtMs = undefined
    this.#claimedEpoch = 0
    this.#options.onChange(false)
  }

  #call(): { readonly signal: AbortSignal; readonly timeoutMs: number } {
    return { signal: this.#closing.signal, timeoutMs: this.#timing.renewDeadlineMs / 2 }
  }

  #exclusively<T>(act: () => Promise<T>): Promise<T> {
    const result = this.#last.then(act)
    this.#last = result.catch(() => undefined)
    return result
  }
}

/** Text that is no number is as good as none: gateways tell what they have seen. */
function epochOf(annotations: Lease['annotations']): number {
  const text = annotations[EPOCH_ANNOTATION] ?? ''
  const epoch = /^\d{1,16}$/.test(text) ? Number(text) : 0
  return Number.isSafeInteger(epoch) ? epoch : 0
}

function nextEpoch(above: number): number {
  if (Number.isSafeInteger(above + 1)) return above + 1
  throw new RangeError(`there is no epoch above ${above}`)
}
