import { randomUUID } from 'node:crypto'
import { lookup } from 'node:dns/promises'
import type { Logger } from '../account/log.ts'
import type { PushReadings } from '../account/push-metrics.ts'
import type { EndpointReport, ProxyMode } from '../routing-table/frames.ts'
import { LastKnownGood } from './last-known-good.ts'
import { PushClient, readText } from './push-client.ts'
import { type QuotaLink, steadyNow } from './push-session.ts'
import { PushedTable } from './pushed-table.ts'
import type { Receiver } from './receiver.ts'
import { Reports, type Settled } from './reports.ts'

/** What an installation says of the push; `pushConfig` reads it from flags. */
export interface PushConfig {
  readonly operators: readonly URL[]
  readonly caFile: string | undefined
  readonly tokenFile: string | undefined
  readonly mode: ProxyMode
  readonly clientTokenFile: string | undefined
  /** Path of the last good table; undefined = none is kept. */
  readonly lastKnownGood: string | undefined
  readonly keysGoodForMs: number
}

interface PushOptions extends PushConfig {
  readonly program: string
  readonly receiver: Receiver
  readonly endpoints: () => Iterable<EndpointReport>
  /** Absent = no limits are shared. */
  readonly quota?: SharedLimits
  readonly logger: Logger
}

/** This proxy's shares of limits. */
interface SharedLimits extends QuotaLink {
  onUrgent(listener: () => void): void
  /** Once a second. */
  tick(nowMs: number): void
  readings(nowMs: number): { readonly fleet: number; readonly lostMs: number }
}

const QUOTA_TICK_MS = 1_000
const POD_TOKEN_EVERY_MS = 5_000

/** The proxy's side of the push in one object: the table, its copy on disk, the connection, the reports. */
export class Push {
  readonly #options: PushOptions
  readonly #lastKnownGood: LastKnownGood | undefined
  readonly #table: PushedTable
  readonly #client: PushClient
  readonly #reports: Reports
  #podTokenTimer: NodeJS.Timeout | undefined
  #quotaTimer: NodeJS.Timeout | undefined

  constructor(options: PushOptions) {
    this.#options = options
    const { mode, logger, program, receiver, keysGoodForMs, lastKnownGood: path } = options
    this.#lastKnownGood = path === undefined ? undefined : new LastKnownGood({ path, mode, logger, now: Date.now })
    this.#table = new PushedTable({
      mode,
      program,
      instance: randomUUID(),
      receiver,
      lastKnownGood: this.#lastKnownGood,
      keysGoodForMs,
      logger,
      now: Date.now,
    })
    // What sidecars find of endpoints counts for nothing (docs/wire.md), and many of them would say much.
    this.#reports = new Reports(mode === 'Gateway' ? options.endpoints : () => [])
    this.#client = new PushClient({
      ...options,
      table: this.#table,
      reports: (all) => this.#reports.frames(all),
      resolve: (host) => lookup(host, { all: true }),
      random: Math.random,
    })
    options.quota?.onUrgent(() => this.#client.urge())
  }

  /** The last good table, if there is one, is in force when this resolves; operators are dialled from then on. */
  async start(): Promise<void> {
    await this.#readPodToken()
    await this.#table.restore()
    this.#podTokenTimer = setInterval(() => void this.#readPodToken(), POD_TOKEN_EVERY_MS)
    this.#quotaTimer = setInterval(() => this.#options.quota?.tick(steadyNow()), QUOTA_TICK_MS)
    this.#client.start()
  }

  async close(): Promise<void> {
    clearInterval(this.#podTokenTimer)
    clearInterval(this.#quotaTimer)
    await this.#client.close()
    await this.#lastKnownGood?.close()
  }

  settled(request: Settled): void {
    this.#reports.settled(request)
  }

  /** The namespace that an operator named; undefined = none has yet. */
  get namespace(): string | undefined {
    return this.#table.namespace
  }

  /** Why there is no table yet. */
  waitsBecause(): string {
    const { connected, operator, problem, operators } = this.#client.state
    if (connected) return `operator ${operator} has not sent one yet`
    return problem ?? `dialling ${operators.join(', ')}`
  }

  readings(): PushReadings {
    const { committedAtMs, kept, errors, refused, fromDisk } = this.#table.state
    const { connected, losses } = this.#client.state
    return {
      connected,
      losses,
      committedAtMs,
      kept: Math.max(kept.length, errors.length),
      refused,
      fromDisk,
      lastKnownGood: this.#lastKnownGood?.state,
      quota: this.#options.quota?.readings(steadyNow()),
    }
  }

  /** For `/debug/table`. */
  shown(): Readonly<Record<string, unknown>> {
    const { committedAtMs, kept, errors, ...table } = this.#table.state
    const { operators, connected, operator, problem } = this.#client.state
    return {
      from: operator ?? (table.fromDisk ? this.#options.lastKnownGood : operators.join(',')),
      push: {
        mode: this.#options.mode,
        operators,
        connected,
        operator: operator ?? null,
        problem: problem ?? null,
        ...table,
        committedAt: committedAtMs === undefined ? null : new Date(committedAtMs).toISOString(),
        kept,
        errors,
        lastKnownGood: this.#lastKnownGood?.state ?? null,
      },
    }
  }

  async #readPodToken(): Promise<void> {
    const { mode, clientTokenFile } = this.#options
    const token = mode === 'Sidecar' ? await readText(clientTokenFile) : undefined
    if (token !== undefined) this.#table.setPodToken(token)
  }
}
