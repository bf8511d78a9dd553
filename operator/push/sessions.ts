import { CLOSE, DEAD_AFTER_MS, HEARTBEAT_MS, type ProxyMode } from '../../proxy/routing-table/frames.ts'
import type { Ref, RoutingTable } from '../../proxy/routing-table/v1.ts'
import { ChangeWriter, type Held } from './changes.ts'
import { entryId, nextPublication, type Published, type View } from './entries.ts'
import type { Authenticate, Refusal, Verdict } from './identity.ts'
import { type GatewayStanding, type ObjectName, type Programming, programmingOf } from './programming.ts'
import { type EndpointVotes, type ReportFrame, type Usage, UsageTotals, Votes } from './proxy-report.ts'
import { QuotaDesk, type QuotaReport } from './quota-desk.ts'
import { withinSight } from './quota-sight.ts'
import type { Session, SessionLimits, SessionOwner, Target } from './session.ts'
import { type Answer, wholeTable } from './standing.ts'
import { Views } from './views.ts'
import type { GatewayAddress } from './visible.ts'

export interface PushLimits extends SessionLimits {
  readonly maxConnections: number
  /** Tokens that are being verified at a time. */
  readonly maxHandshakes: number
  /** A gateway that is gone counts for this long. */
  readonly goneGraceMs: number
  /** Between two `onFacts`. */
  readonly factsEveryMs: number
  /** Between two `onStaleEpoch`, while the epoch has not been raised. */
  readonly staleAgainMs: number
  /** After a new epoch, before a sidecar that has seen a newer one is told to take ours: gateways come back meanwhile and raise it. */
  readonly sidecarWaitMs: number
}

export const DEFAULT_LIMITS: PushLimits = {
  heartbeatMs: HEARTBEAT_MS,
  deadAfterMs: DEAD_AFTER_MS,
  helloTimeoutMs: 5_000,
  maxUnsentBytes: 128 * 1024,
  maxConnections: 2_000,
  maxHandshakes: 256,
  goneGraceMs: 10_000,
  factsEveryMs: 100,
  staleAgainMs: 5_000,
  sidecarWaitMs: 5_000,
}

/** For metrics, logs and the lead. None of them may throw. */
export interface PushEvents {
  /** Something that statuses speak of has changed: `programming()` or `reports()` has news. */
  readonly onFacts: () => void
  /** A gateway has seen a newer epoch: make sure of the Lease, raise the epoch above `have`, `setEpoch`. Told again until that is done. */
  readonly onStaleEpoch: (have: number) => void
  /** A commit and its changes have been written to one proxy. */
  readonly onPush: (push: { readonly mode: ProxyMode; readonly bytes: number }) => void
  /** A proxy serves a change; `ms` since its resources were read. */
  readonly onAck: (ack: { readonly mode: ProxyMode; readonly ms: number }) => void
  readonly onNack: (nack: { readonly mode: ProxyMode; readonly proxy: string; readonly reason: string }) => void
  readonly onRefused: (refusal: Refusal) => void
  /** A proxy is gone: what was used of limits a day is worth writing down. */
  readonly onGone: () => void
  /** The table, or one entry of it, has more bytes than may travel; undefined = it fits again. */
  readonly onTooLarge: (bytes: number | undefined) => void
}

export interface SessionsOptions {
  readonly clock: () => number
  readonly authenticate: Authenticate
  /** Asks the Lease whether this operator leads, just now. */
  readonly confirmLeadership: () => Promise<boolean>
  readonly gateway?: GatewayAddress
  /** Whether this pod has ended, or is no more; false where nobody knows. */
  readonly isPodOver?: (namespace: string, pod: string) => boolean
  readonly limits: PushLimits
  readonly events: PushEvents
}

interface GoneGateway {
  readonly proxy: string
  readonly standing: GatewayStanding['standing']
  readonly goneAtMs: number
}

/** Ticks in one heartbeat. */
const TICKS = 4

/** Every connected proxy, and the state they are to have. Owner: PushServer. */
export class Sessions implements SessionOwner {
  readonly limits: PushLimits
  readonly #options: SessionsOptions
  readonly #events: PushEvents
  readonly #views: Views
  readonly #writer = new ChangeWriter()
  readonly #usage = new UsageTotals()
  readonly #votes = new Votes()
  readonly #all = new Set<Session>()
  /** By proxy: those that have said hello. */
  readonly #greeted = new Map<string, Session>()
  readonly #gone = new Map<string, GoneGateway>()
  readonly #closing = new AbortController()
  readonly #ticker: NodeJS.Timeout
  /** Who has how much of limits that hold over all proxies. */
  readonly quota: QuotaDesk
  #epoch: number | undefined
  #epochSinceMs = 0
  /** Sidecars that have seen a newer epoch, until gateways have had their time. */
  readonly #waiting = new Set<Session>()
  /** Gateways that have this epoch from us. */
  readonly #welcomed = new Set<string>()
  #highestGatewayEpoch = 0
  /** What the lead was last told that a gateway has seen. */
  #toldStale = { have: 0, atMs: 0 }
  #isTooLarge = false
  #confirming: Promise<boolean> | undefined
  #factsTimer: NodeJS.Timeout | undefined

  constructor(options: SessionsOptions) {
    this.#options = options
    this.#events = options.events
    this.limits = options.limits
    this.#views = new Views(options.gateway)
    this.quota = new QuotaDesk({
      now: options.clock,
      isOver: (proxy) => isOver(proxy, options.isPodOver),
      onGone: () => options.events.onGone(),
    })
    this.#ticker = setInterval(() => this.#tick(), this.limits.heartbeatMs / TICKS)
  }

  get seq(): number {
    return this.published.seq
  }

  get size(): number {
    return this.#all.size
  }

  get counts(): Readonly<Record<ProxyMode, number>> {
    const modes = [...this.#greeted.values()].map(({ mode }) => mode)
    const gateways = modes.filter((mode) => mode === 'Gateway').length
    return { Gateway: gateways, Sidecar: modes.length - gateways }
  }

  get published(): Published {
    return this.#views.published
  }

  /** The newest epoch that a gateway has seen, by its word; 0 = none has said one. */
  get highestGatewayEpoch(): number {
    return this.#highestGatewayEpoch
  }

  add(session: Session): void {
    this.#all.add(session)
  }

  publish(table: RoutingTable, changedAtMs: number): 'published' | 'unchanged' | 'tooLarge' {
    const next = nextPublication(this.published, table, { cache: this.#views.cache, changedAtMs, nowMs: this.now() })
    const isTooLarge = next !== undefined && 'tooLarge' in next
    if (isTooLarge || this.#isTooLarge) this.#events.onTooLarge(isTooLarge ? next.tooLarge : undefined)
    this.#isTooLarge = isTooLarge
    if (isTooLarge) return 'tooLarge'
    if (next === undefined) return 'unchanged'
    this.#views.follow(next)
    for (const { kind, key } of next.removed) if (kind === 'model') this.#usage.forget(key)
    this.#advanceAll()
    this.#factsChanged()
    return 'published'
  }

  /** For sidecars, from now on. */
  leadTo(gateway: GatewayAddress): void {
    this.#views.leadTo(gateway)
    this.#advanceAll()
  }

  /** Undefined: nobody is greeted until there is one. */
  setEpoch(epoch: number | undefined): void {
    if (epoch !== undefined) this.quota.begin(epoch === FIRST_EPOCH)
    if (epoch !== this.#epoch) {
      this.#welcomed.clear()
      this.#epochSinceMs = this.now()
    }
    this.#waiting.clear()
    this.#epoch = epoch
    this.#toldStale = { have: 0, atMs: 0 }
    if (epoch !== undefined) for (const session of this.#all) session.welcome()
  }

  /** "LlamaModel namespace/name" or "RoutingPolicy namespace/name" → how far gateways are with its newest version. */
  programming(): ReadonlyMap<ObjectName, Programming> {
    const here = this.#gateways().filter(({ standing }) => standing.ackedSeq > 0)
    const proxies = new Set(here.map(({ proxy }) => proxy))
    return programmingOf(this.published, [...here, ...[...this.#gone.values()].filter(({ proxy }) => !proxies.has(proxy))].map(standingOf))
  }

  /** Endpoint id → what gateways say of it. Sidecars run under their app's account and have no vote. */
  reports(): ReadonlyMap<string, EndpointVotes> {
    return this.#votes.all
  }

  usage(): ReadonlyMap<Ref, Usage> {
    return this.#usage.totals
  }

  notLeader(address: string | undefined): void {
    this.#epoch = undefined
    this.quota.end()
    this.#welcomed.clear()
    for (const session of this.#all) session.notLeader(address)
  }

  goAway(reason: string, retryAfterMs: number): void {
    for (const session of this.#all) session.goAway(reason, retryAfterMs)
  }

  close(): void {
    this.#closing.abort()
    clearInterval(this.#ticker)
    clearTimeout(this.#factsTimer)
    this.quota.close()
    for (const session of this.#all) session.terminate()
  }

  now(): number {
    return this.#options.clock()
  }

  epoch(): number | undefined {
    return this.#epoch
  }

  target(mode: ProxyMode, namespace: string): Target | undefined {
    const { seq, changedAtMs } = this.published
    return seq === 0 ? undefined : { view: this.#views.of(mode, namespace), seq, changedAtMs }
  }

  frames(held: Held, view: View): Iterator<Buffer> {
    return this.#writer.frames(held, view)
  }

  greeted(session: Session): void {
    const before = this.#greeted.get(session.proxy)
    before?.close(CLOSE.superseded, 'the same proxy has opened a newer stream')
    if (before !== undefined) this.#hasGone(before)
    this.#greeted.set(session.proxy, session)
    this.quota.joined(session)
    if (session.mode === 'Gateway') this.#hasSeen(session.epochSeen)
  }

  /** Two leaders have one epoch where a Lease was lost between them: as with a newer one, it is raised before anything is sent. */
  mayWelcome({ mode, proxy, epochSeen }: Session): boolean {
    if (mode === 'Sidecar') return true
    if (epochSeen === this.#epoch && !this.#welcomed.has(proxy)) return false
    if (this.#welcomed.size >= MAX_WELCOMED) this.#welcomed.clear()
    this.#welcomed.add(proxy)
    return true
  }

  stale(session: Session, have: number): void {
    if (session.mode === 'Sidecar') {
      this.#waiting.add(session)
      this.#confirmWaiting()
      return
    }
    this.#hasSeen(have)
    if (have > this.#toldStale.have) this.#tellStale(have)
  }

  #tellStale(have: number): void {
    this.#toldStale = { have, atMs: this.now() }
    this.#events.onStaleEpoch(have)
  }

  verify(token: string): Promise<Verdict> {
    return this.#options.authenticate(token, AbortSignal.any([this.#closing.signal, AbortSignal.timeout(VERIFY_TIMEOUT_MS)]))
  }

  refused(refusal: Refusal): void {
    this.#events.onRefused(refusal)
  }

  pushed({ mode }: Session, bytes: number): void {
    this.#events.onPush({ mode, bytes })
  }

  answered(session: Session, answer: Answer, elapsedMs: number | undefined): void {
    const { mode } = session
    if (elapsedMs !== undefined) this.#events.onAck({ mode, ms: Math.max(0, elapsedMs) })
    if (answer.type === 'nack') {
      const reason = (wholeTable(answer) ?? answer.errors[0])?.reason ?? 'kept'
      this.#events.onNack({ mode, proxy: nameOf(session), reason })
    }
    if (mode === 'Gateway') this.#factsChanged()
  }

  reported(session: Session, report: ReportFrame): void {
    const { entries } = this.#views.of(session.mode, session.identity.namespace)
    for (const usage of report.usage) if (entries.has(entryId('model', usage.ref))) this.#usage.add(usage)
    if (session.mode === 'Gateway' && session.report.take(report, this.#votes)) this.#factsChanged()
  }

  saidOfQuota(session: Session, report: QuotaReport): void {
    const { mode, identity } = session
    this.quota.told(session, withinSight(report, { mode, namespace: identity.namespace }, this.#views.of(mode, identity.namespace).entries))
  }

  closed(session: Session): void {
    this.#all.delete(session)
    this.quota.left(session)
    this.#waiting.delete(session)
    if (this.#greeted.get(session.proxy) !== session) return
    this.#greeted.delete(session.proxy)
    if (session.mode === 'Sidecar') return this.#forgetViews()
    this.#hasGone(session)
    this.#factsChanged()
  }

  /** Until it is back and has acknowledged, or for the grace, its last word counts. */
  #hasGone({ mode, proxy, standing, report }: Session): void {
    report.forget(this.#votes)
    if (mode === 'Gateway' && standing.ackedSeq > 0) this.#gone.set(proxy, { proxy, standing, goneAtMs: this.now() })
  }

  #gateways(): readonly Session[] {
    return [...this.#greeted.values()].filter(({ mode }) => mode === 'Gateway')
  }

  #hasSeen(epoch: number): void {
    this.#highestGatewayEpoch = Math.max(this.#highestGatewayEpoch, epoch)
  }

  #forgetViews(): void {
    const sidecars = [...this.#greeted.values()].filter(({ mode }) => mode === 'Sidecar')
    this.#views.keepOnly(new Set(sidecars.map(({ identity }) => identity.namespace)))
  }

  #confirmWaiting(): void {
    if (this.#waiting.size === 0 || this.now() - this.#epochSinceMs < this.limits.sidecarWaitMs) return
    for (const session of this.#waiting) this.#confirm(session)
    this.#waiting.clear()
  }

  /** One question to the Lease answers all sidecars that wait for it. */
  #confirm(session: Session): void {
    this.#confirming ??= this.#options.confirmLeadership().finally(() => {
      this.#confirming = undefined
    })
    this.#confirming.then(
      (leads) => (leads ? session.welcome(true) : session.goAway('this operator is not sure that it leads', CONFIRM_RETRY_MS)),
      () => session.goAway('the Lease cannot be read', CONFIRM_RETRY_MS),
    )
  }

  #advanceAll(): void {
    for (const session of this.#all) session.advance()
  }

  #tick(): void {
    const now = this.now()
    for (const session of this.#all) session.tick(now)
    this.#confirmWaiting()
    const { have, atMs } = this.#toldStale
    if (have > 0 && now - atMs >= this.limits.staleAgainMs) this.#tellStale(have)
    for (const [proxy, { goneAtMs }] of this.#gone) {
      if (now - goneAtMs < this.limits.goneGraceMs) continue
      this.#gone.delete(proxy)
      this.#factsChanged()
    }
  }

  #factsChanged(): void {
    if (this.#closing.signal.aborted) return
    this.#factsTimer ??= setTimeout(() => {
      this.#factsTimer = undefined
      this.#events.onFacts()
    }, this.limits.factsEveryMs)
  }
}

/** That nobody has led under before. */
const FIRST_EPOCH = 1
/** Names remembered; past that a gateway may raise the epoch once for nothing. */
const MAX_WELCOMED = 10_000
const CONFIRM_RETRY_MS = 2_000
const VERIFY_TIMEOUT_MS = 10_000

const nameOf = ({ identity }: Session): string => `${identity.namespace}/${identity.pod}`

const standingOf = ({ proxy, standing }: Pick<GoneGateway, 'proxy' | 'standing'>): GatewayStanding => ({
  proxy: proxy.slice(proxy.indexOf(' ') + 1),
  standing,
})

/** "Gateway namespace/pod" */
function isOver(proxy: string, isPodOver: SessionsOptions['isPodOver']): boolean {
  const [namespace = '', pod = ''] = proxy.slice(proxy.indexOf(' ') + 1).split('/')
  return isPodOver?.(namespace, pod) ?? false
}
