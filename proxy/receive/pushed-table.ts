import type { Logger } from '../account/log.ts'
import type { EntryKind } from '../routing-table/entries.ts'
import type { FrameError, Kept, OperatorFrame, ProxyFrame, ProxyMode } from '../routing-table/frames.ts'
import { READS_VERSIONS } from '../routing-table/parse.ts'
import type { RoutingTable } from '../routing-table/v1.ts'
import type { GoodTable } from './good-file.ts'
import { HeldTable } from './held-table.ts'
import type { LastKnownGood } from './last-known-good.ts'
import type { Receiver } from './receiver.ts'

/** The credential that a sidecar's table names for backends behind the gateway: the pod's own token for clients. */
const POD_TOKEN = 'pod-token'
const ENTRIES_PER_HAVE = 4_000
const MAX_SHOWN_ERRORS = 50
/** How much older than the truth the file's word of the last contact may be, as a part of what it is good for. */
const CONFIRM_PART = 24
const LONGEST_UNCONFIRMED_MS = 3_600_000

export interface PushedTableOptions {
  readonly mode: ProxyMode
  readonly program: string
  /** Random, new with each process. */
  readonly instance: string
  readonly receiver: Receiver
  readonly lastKnownGood: LastKnownGood | undefined
  /** How long after the last word of an operator client keys from disk are good. */
  readonly keysGoodForMs: number
  readonly logger: Logger
  /** Milliseconds since the epoch. */
  readonly now: () => number
}

export interface PushedTableState {
  readonly namespace: string | undefined
  readonly epoch: number | undefined
  readonly seq: number | undefined
  readonly newestEpoch: number
  /** The table in force came from disk and no operator has confirmed it yet. */
  readonly fromDisk: boolean
  /** When the last commit was taken. */
  readonly committedAtMs: number | undefined
  readonly kept: readonly Kept[]
  /** Of what is refused now, a bounded number. */
  readonly errors: readonly FrameError[]
  /** Entries refused so far. */
  readonly refused: number
}

type Frame<Type extends OperatorFrame['type']> = Extract<OperatorFrame, { type: Type }>

/**
 * The table that operators push, over all connections: entries, epochs, what the disk keeps of it. In: frames of an operator that has
 * been let in. Out: frames to answer with, and tables to the receiver. Touches no socket.
 */
export class PushedTable {
  readonly #options: PushedTableOptions
  readonly #held = new HeldTable()
  #ignorable: ReadonlySet<string> = new Set()
  #stamp: { readonly epoch: number; readonly seq: number } | undefined
  #newestEpoch = 0
  #namespace: string | undefined
  /** A welcome with an epoch that may be taken has come on this connection. */
  #welcomed = false
  #fromDisk = false
  #keysUntilMs: number | undefined
  #podToken: string | undefined
  #committedAtMs: number | undefined
  #confirmedAtMs = 0
  #savedConfirmedAtMs = 0
  /** The last commit that was refused whole, until one is taken. */
  #tableError: FrameError | undefined
  #refused = 0

  constructor(options: PushedTableOptions) {
    this.#options = options
  }

  get state(): PushedTableState {
    return {
      namespace: this.#namespace,
      epoch: this.#stamp?.epoch,
      seq: this.#stamp?.seq,
      newestEpoch: this.#newestEpoch,
      fromDisk: this.#fromDisk,
      committedAtMs: this.#committedAtMs,
      kept: this.#held.kept(),
      errors: [...(this.#tableError === undefined ? [] : [this.#tableError]), ...this.#held.errors(MAX_SHOWN_ERRORS)],
      refused: this.#refused,
    }
  }

  /** Undefined = no operator has named one yet. */
  get namespace(): string | undefined {
    return this.#namespace
  }

  get welcomed(): boolean {
    return this.#welcomed
  }

  /** Takes the last good table from disk, if there is one. */
  async restore(): Promise<void> {
    const good = await this.#options.lastKnownGood?.load()
    if (good === undefined) return
    this.#held.restore(good.entries)
    this.#stamp = { epoch: good.epoch, seq: good.seq }
    this.#newestEpoch = good.newestEpoch
    this.#namespace = good.namespace
    this.#confirmedAtMs = good.confirmedAtMs
    this.#savedConfirmedAtMs = good.confirmedAtMs
    this.#keysUntilMs = good.confirmedAtMs + this.#options.keysGoodForMs
    this.#fromDisk = true
    this.#options.logger.info('the last known good table is in use until an operator answers', {
      confirmed_at: new Date(good.confirmedAtMs).toISOString(),
    })
    this.#swap()
  }

  /** The first frame of a connection. */
  hello(): ProxyFrame {
    const { mode, program, instance } = this.#options
    this.#held.settle()
    this.#welcomed = false
    const table = this.#stamp === undefined ? undefined : { ...this.#stamp, hash: this.#held.hash }
    const hello = { type: 'hello', reads: READS_VERSIONS, mode, program, instance, epoch: this.#newestEpoch } as const
    return table === undefined ? hello : { ...hello, table }
  }

  /** What to answer. Heartbeats and what ends a connection are the connection's own. */
  take(frame: Frame<'welcome' | 'sendHave' | 'change' | 'commit'>): readonly ProxyFrame[] {
    switch (frame.type) {
      case 'welcome':
        return this.#welcome(frame)
      case 'sendHave':
        return this.#have()
      case 'change':
        if (this.#welcomed) this.#held.collect(frame)
        return []
      case 'commit':
        return this.#commit(frame)
    }
  }

  /** Any word of an operator that has welcomed us says that what we hold is not forgotten. */
  heard(): void {
    if (!this.#welcomed || this.#fromDisk || this.#stamp === undefined) return
    this.#confirmedAtMs = this.#options.now()
    const oldestMs = Math.min(this.#options.keysGoodForMs / CONFIRM_PART, LONGEST_UNCONFIRMED_MS)
    if (this.#confirmedAtMs - this.#savedConfirmedAtMs > oldestMs) this.#save()
  }

  /** The pod's own token for clients, which backends of a sidecar's table may name. */
  setPodToken(token: string): void {
    if (token === this.#podToken) return
    this.#podToken = token
    if (this.#stamp !== undefined) this.#swap()
  }

  #welcome({ epoch, namespace, confirmed, ignorable }: Frame<'welcome'>): readonly ProxyFrame[] {
    const lower = epoch < this.#newestEpoch
    this.#welcomed = !lower || (confirmed === true && this.#options.mode === 'Sidecar')
    if (!this.#welcomed) return this.#stale(epoch)
    const news = epoch !== this.#newestEpoch || namespace !== this.#namespace
    this.#newestEpoch = epoch
    this.#namespace = namespace
    this.#ignorable = new Set(ignorable)
    if (news && this.#stamp !== undefined) this.#save()
    return []
  }

  #have(): readonly ProxyFrame[] {
    this.#held.settle()
    const names = this.#held.good().map(({ entry, version }): readonly [EntryKind, string, string] => [entry.kind, entry.key, version])
    const frames: ProxyFrame[] = []
    for (let at = 0; at === 0 || at < names.length; at += ENTRIES_PER_HAVE)
      frames.push({ type: 'have', entries: names.slice(at, at + ENTRIES_PER_HAVE), last: at + ENTRIES_PER_HAVE >= names.length })
    return frames
  }

  #commit(frame: Frame<'commit'>): readonly ProxyFrame[] {
    const { epoch, seq } = frame
    if (!this.#welcomed || epoch < this.#newestEpoch) return this.#stale(epoch)
    const committed = this.#held.commit(frame, this.#ignorable)
    if (committed.answer.type === 'nack') this.#note(committed.answer.errors)
    if (committed.kind === 'taken') this.#taken(committed.changed, { epoch, seq })
    else if (committed.answer.type === 'nack') this.#tableError = committed.answer.errors[0]
    return [committed.answer]
  }

  #taken(changed: boolean, stamp: { epoch: number; seq: number }): void {
    const news = changed || this.#fromDisk || this.#stamp?.epoch !== stamp.epoch || this.#stamp.seq !== stamp.seq
    this.#newestEpoch = stamp.epoch
    this.#stamp = stamp
    this.#fromDisk = false
    this.#keysUntilMs = undefined
    this.#committedAtMs = this.#options.now()
    this.#confirmedAtMs = this.#committedAtMs
    this.#tableError = undefined
    if (!news) return
    this.#swap()
    this.#save()
  }

  #note(errors: readonly FrameError[]): void {
    this.#refused += new Set(errors.map(({ kind, ref }) => `${kind} ${ref}`)).size
    const shown = errors
      .slice(0, 20)
      .map(({ kind, ref, pointer, message }) => `${kind ?? ''} ${ref ?? 'table'} ${pointer}: ${message}`.trim())
    this.#options.logger.error('entries of the routing table are refused; their last good values stay', { errors: shown })
  }

  #stale(epoch: number): readonly ProxyFrame[] {
    this.#held.forget()
    this.#options.logger.warn('an operator of an older epoch is not listened to', { epoch, newest_epoch: this.#newestEpoch })
    return [{ type: 'staleEpoch', have: this.#newestEpoch }]
  }

  #swap(): void {
    this.#options.receiver.apply(this.#table())
  }

  #table(): RoutingTable {
    const table = this.#held.table(this.#stamp ?? { epoch: 0, seq: 0 })
    const token = this.#podToken
    const until = this.#keysUntilMs
    return {
      ...table,
      ...(token !== undefined && {
        credentials: [...table.credentials.filter(({ id }) => id !== POD_TOKEN), { id: POD_TOKEN, value: token }],
      }),
      ...(until !== undefined && {
        clientKeys: table.clientKeys.map((key) => ({ ...key, expiresAtMs: Math.min(until, key.expiresAtMs ?? until) })),
      }),
    }
  }

  #save(): void {
    this.#savedConfirmedAtMs = this.#confirmedAtMs
    this.#options.lastKnownGood?.save(() => this.#good())
  }

  #good(): GoodTable {
    const { epoch, seq } = this.#stamp ?? { epoch: 0, seq: 0 }
    return {
      mode: this.#options.mode,
      namespace: this.#namespace ?? '',
      epoch,
      seq,
      newestEpoch: this.#newestEpoch,
      confirmedAtMs: this.#confirmedAtMs,
      entries: this.#held.good(),
    }
  }
}
