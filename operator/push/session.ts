import type { RawData, WebSocket } from 'ws'
import { CLOSE, type OperatorFrame, type ProxyFrame, type ProxyMode, parseProxyFrame } from '../../proxy/routing-table/frames.ts'
import { IGNORABLE_FIELDS, TABLE_VERSION } from '../../proxy/routing-table/v1.ts'
import type { Held } from './changes.ts'
import { type EntryId, entryId, type NamedVersion, type View } from './entries.ts'
import { type Identity, type Refusal, refusalOfMode, type Verdict } from './identity.ts'
import { ProxyReport, type ReportFrame } from './proxy-report.ts'
import type { QuotaReport } from './quota-desk.ts'
import { type Answer, Standing, wholeTable } from './standing.ts'

/** The newest state that a proxy is to have. */
export interface Target {
  readonly view: View
  readonly seq: number
  readonly changedAtMs: number
}

export interface SessionLimits {
  readonly heartbeatMs: number
  /** Of silence; and of waiting for an answer to `sendHave` or to a commit. */
  readonly deadAfterMs: number
  readonly helloTimeoutMs: number
  /** Nothing more is queued while more than this is unsent. */
  readonly maxUnsentBytes: number
}

/** What a session asks of, and tells, those who own it. */
export interface SessionOwner {
  readonly limits: SessionLimits
  now(): number
  /** Undefined while this operator has none to greet with. */
  epoch(): number | undefined
  /** Undefined while no table has been published. */
  target(mode: ProxyMode, namespace: string): Target | undefined
  frames(held: Held, view: View): Iterator<Buffer>
  greeted(session: Session): void
  /** Asked before each welcome: false, if it has our epoch from another operator. */
  mayWelcome(session: Session): boolean
  stale(session: Session, have: number): void
  verify(token: string): Promise<Verdict>
  refused(refusal: Refusal): void
  pushed(session: Session, bytes: number): void
  /** `elapsedMs` since the resources behind a change were read; absent = it was no change but a proxy's first table. */
  answered(session: Session, answer: Answer, elapsedMs: number | undefined): void
  reported(session: Session, report: ReportFrame): void
  saidOfQuota(session: Session, report: QuotaReport): void
  closed(session: Session): void
}

interface Commit extends Target {
  readonly epoch: number
}

type Phase =
  | { readonly name: 'opened' }
  /** It has said hello; what it holds is not known. */
  | { readonly name: 'greeted' }
  | { readonly name: 'listing'; readonly held: Map<EntryId, NamedVersion>; sinceMs: number }
  | { readonly name: 'idle'; readonly held: Held; readonly last?: Commit }
  | { readonly name: 'sending'; readonly target: Target; readonly frames: Iterator<Buffer>; readonly last?: Commit; bytes: number }
  | { readonly name: 'committed'; readonly commit: Commit; readonly last?: Commit; readonly sinceMs: number }
  /** It has refused this table as a whole: the next is sent from the beginning. */
  | { readonly name: 'refusing'; readonly commit: Commit }
  /** It has seen a newer epoch than ours: nothing is sent until it is welcomed again. */
  | { readonly name: 'stale' }
  | { readonly name: 'closing' }

/** Of one stream, before it counts as broken. */
const MAX_MISMATCHES = 3
const MAX_STALE_ANSWERS = 10
/** What a proxy may list: nobody holds many times the entries that it is to have. */
const maxHeld = (target: Target | undefined): number => 10_000 + 4 * (target?.view.entries.size ?? 0)
const MAX_EPOCH = Number.MAX_SAFE_INTEGER - 1_000_000
const RETRY_TOKEN_MS = 5_000
/** A tick is a quarter of a heartbeat: better one early than one late. */
const HEARTBEAT_PART = 0.75

/**
 * One connected proxy. hello → welcome → what does it hold? → change … commit → ack → the next commit, made from the newest state then.
 * Never more than one commit is under way, and nothing is queued for a proxy that does not read. Owner: `Sessions`; ends with its socket.
 */
export class Session {
  readonly #socket: WebSocket
  readonly #owner: SessionOwner
  readonly #openedAtMs: number
  readonly standing = new Standing()
  readonly report = new ProxyReport()
  #identity: Identity
  #mode: ProxyMode = 'Sidecar'
  #instance = ''
  #phase: Phase = { name: 'opened' }
  #heardAtMs: number
  #sentAtMs: number
  #welcomedEpoch: number | undefined
  /** Of the table it came with, until something is sent to it. */
  #reportedHash: string | undefined
  #mismatches = 0
  #staleAnswers = 0
  #epochSeen = 0
  #newToken: { readonly token: string; dueAtMs: number } | undefined
  #isVerifying = false

  constructor(socket: WebSocket, identity: Identity, owner: SessionOwner) {
    this.#socket = socket
    this.#identity = identity
    this.#owner = owner
    this.#openedAtMs = owner.now()
    this.#heardAtMs = this.#openedAtMs
    this.#sentAtMs = this.#openedAtMs
    socket.on('message', (data, isBinary) => this.#message(data, isBinary))
    socket.on('error', () => undefined)
    socket.on('close', () => owner.closed(this))
  }

  get mode(): ProxyMode {
    return this.#mode
  }

  get identity(): Identity {
    return this.#identity
  }

  /** The same for every stream of one proxy. */
  get proxy(): string {
    return `${this.#mode} ${this.#identity.namespace}/${this.#identity.pod}`
  }

  /** Of its process, by its own word. */
  get instance(): string {
    return this.#instance
  }

  /** Its shares of limits. */
  order(frame: Extract<OperatorFrame, { type: 'quota' }>): void {
    if (this.#phase.name !== 'closing') this.#write(frame)
  }

  get isGreeted(): boolean {
    return this.#phase.name !== 'opened' && this.#phase.name !== 'closing'
  }

  /** The newest epoch that it has seen, by its own word. */
  get epochSeen(): number {
    return this.#epochSeen
  }

  /** Greets it with the epoch that is in force, once it has said hello. `confirmed` as in the frame. */
  welcome(confirmed = false): void {
    const epoch = this.#owner.epoch()
    if (!this.isGreeted || epoch === undefined) return
    if (!this.#owner.mayWelcome(this)) return this.#becomeStale(epoch)
    const { namespace } = this.#identity
    this.#write({
      type: 'welcome',
      epoch,
      tableVersion: TABLE_VERSION,
      mode: this.#mode,
      namespace,
      ...(confirmed && { confirmed }),
      ignorable: IGNORABLE_FIELDS,
    })
    this.#welcomedEpoch = epoch
    if (this.#phase.name === 'stale') this.#phase = { name: 'greeted' }
    this.advance()
  }

  /** Does what can be done now: called whenever there is news, room, or an answer. */
  advance(): void {
    const epoch = this.#owner.epoch()
    if (epoch === undefined || epoch !== this.#welcomedEpoch) return
    const phase = this.#phase
    if (phase.name === 'sending') return this.#sendMore(phase, epoch)
    const target = this.#owner.target(this.#mode, this.#identity.namespace)
    if (target === undefined) return
    if (phase.name === 'greeted') this.#begin(target)
    else if (phase.name === 'idle' && isNews(target, epoch, phase.last)) this.#start(phase.held, target, phase.last)
    else if (phase.name === 'refusing' && target.view !== phase.commit.view) this.#askWhatItHolds()
  }

  /** Deadlines. Called a few times per heartbeat. */
  tick(nowMs: number): void {
    const { heartbeatMs, deadAfterMs, helloTimeoutMs } = this.#owner.limits
    if (nowMs - this.#heardAtMs >= deadAfterMs) return this.#socket.terminate()
    if (this.#phase.name === 'closing') return
    if (this.#phase.name === 'opened' && nowMs - this.#openedAtMs >= helloTimeoutMs) return this.#broken('no hello')
    if (this.#phase.name === 'listing' && nowMs - this.#phase.sinceMs >= deadAfterMs) return this.#broken('no answer to sendHave')
    if (this.#identity.expiresAtMs <= nowMs) return this.close(CLOSE.unauthenticated, 'the token has expired')
    if (this.#phase.name === 'committed' && nowMs - this.#phase.sinceMs >= deadAfterMs) this.#overtake(this.#phase.commit)
    if (this.#newToken !== undefined && this.#newToken.dueAtMs <= nowMs) this.#verify(this.#newToken.token)
    if (nowMs - this.#sentAtMs >= heartbeatMs * HEARTBEAT_PART && !this.#isFull()) this.#write({ type: 'heartbeat' })
  }

  /** Tells it why it has to go, and closes. */
  goAway(reason: string, retryAfterMs: number, code: number = CLOSE.goingAway): void {
    if (this.#phase.name === 'closing') return
    this.#write({ type: 'goAway', reason: reason.slice(0, 256), retryAfterMs })
    this.close(code, reason)
  }

  notLeader(address: string | undefined): void {
    if (this.#phase.name === 'closing') return
    this.#write({ type: 'notLeader', ...(address !== undefined && { address }) })
    this.close(CLOSE.notLeader, 'not the leader')
  }

  close(code: number, reason: string): void {
    if (this.#phase.name === 'closing') return
    this.#phase = { name: 'closing' }
    this.#socket.close(code, reason.slice(0, MAX_REASON_CHARACTERS))
  }

  terminate(): void {
    this.#socket.terminate()
  }

  #broken(reason: string): void {
    this.close(CLOSE.protocol, reason)
  }

  #message(data: RawData, isBinary: boolean): void {
    if (this.#phase.name === 'closing') return
    this.#heardAtMs = this.#owner.now()
    if (isBinary) return this.#broken('frames are text')
    const parsed = parseProxyFrame(textOf(data))
    if (parsed.kind === 'broken') return this.#broken(parsed.message)
    if (parsed.kind === 'frame') this.#take(parsed.frame)
  }

  #take(frame: ProxyFrame): void {
    if (frame.type === 'hello') return this.#hello(frame)
    if (this.#phase.name === 'opened') return this.#broken(`${frame.type} before hello`)
    switch (frame.type) {
      case 'have':
        return this.#have(frame)
      case 'ack':
      case 'nack':
        return this.#answer(frame)
      case 'staleEpoch':
        return this.#stale(frame.have)
      case 'token':
        return this.#verify(frame.token)
      case 'report':
        return this.#owner.reported(this, frame)
      case 'quota':
        return this.#owner.saidOfQuota(this, frame)
      case 'heartbeat':
        return
    }
  }

  #hello({ mode, reads, epoch, table, instance }: ProxyFrame & { type: 'hello' }): void {
    if (this.#phase.name !== 'opened') return this.#broken('a second hello')
    if (epoch > MAX_EPOCH) return this.#broken('an impossible epoch')
    this.#mode = mode
    this.#instance = instance
    if (!this.#identity.modes.includes(mode)) return this.#refuse(refusalOfMode(mode, this.#identity))
    if (!reads.includes(TABLE_VERSION))
      return this.goAway(`tables of version ${TABLE_VERSION} are all this operator writes`, NO_VERSION_RETRY_MS)
    this.#epochSeen = epoch
    this.#reportedHash = table?.hash
    this.#phase = { name: 'greeted' }
    this.#owner.greeted(this)
    this.welcome()
  }

  #refuse(refusal: Refusal): void {
    this.#owner.refused(refusal)
    this.goAway(`${refusal.code}: ${refusal.message}`, REFUSED_RETRY_MS, CLOSE.unauthenticated)
  }

  #begin(target: Target): void {
    if (this.#reportedHash === target.view.hash) this.#start(target.view.entries, target, undefined)
    else this.#askWhatItHolds()
  }

  #askWhatItHolds(): void {
    this.#phase = { name: 'listing', held: new Map(), sinceMs: this.#owner.now() }
    this.#write({ type: 'sendHave' })
  }

  /** A list that nobody waits for any more is one from before a newer welcome. */
  #have({ entries, last }: ProxyFrame & { type: 'have' }): void {
    if (this.#phase.name !== 'listing') return
    const { held } = this.#phase
    const target = this.#owner.target(this.#mode, this.#identity.namespace)
    if (this.#mode === 'Sidecar' && held.size + entries.length > maxHeld(target)) return this.#broken('more entries than it was ever sent')
    for (const [kind, key, version] of entries) held.set(entryId(kind, key), { kind, key, version })
    this.#phase.sinceMs = this.#owner.now()
    if (!last) return
    this.#phase = { name: 'idle', held }
    this.advance()
  }

  #start(held: Held, target: Target, last: Commit | undefined): void {
    const frames = this.#owner.frames(held, target.view)
    this.#phase = { name: 'sending', target, frames, ...(last !== undefined && { last }), bytes: 0 }
    this.advance()
  }

  #sendMore(phase: Phase & { name: 'sending' }, epoch: number): void {
    while (!this.#isFull()) {
      const next = phase.frames.next()
      if (next.done === true) return this.#commit(phase, epoch)
      this.#reportedHash = undefined
      phase.bytes += next.value.length
      this.#send(next.value)
    }
  }

  #commit({ target, last, bytes }: Phase & { name: 'sending' }, epoch: number): void {
    const { seq, view, changedAtMs } = target
    const sent = this.#write({ type: 'commit', epoch, seq, hash: view.hash, changedAtMs })
    this.#phase = { name: 'committed', commit: { ...target, epoch }, ...(last !== undefined && { last }), sinceMs: this.#owner.now() }
    this.#owner.pushed(this, bytes + sent)
  }

  /** Its answer is late; it has what was sent, as nothing overtakes anything on a stream. */
  #overtake(commit: Commit): void {
    this.#phase = { name: 'idle', held: commit.view.entries, last: commit }
    this.advance()
  }

  #answer(answer: Answer): void {
    const phase = this.#phase
    if (phase.name !== 'committed' || answer.epoch !== phase.commit.epoch || answer.seq !== phase.commit.seq)
      return this.#lateAnswer(answer)
    const { commit, last } = phase
    this.standing.take(answer)
    const whole = wholeTable(answer)
    const isChange = last !== undefined && last.view !== commit.view
    this.#owner.answered(this, answer, whole === undefined && isChange ? this.#owner.now() - commit.changedAtMs : undefined)
    if (whole?.reason === 'hashMismatch') return this.#mismatch()
    if (whole !== undefined) this.#phase = { name: 'refusing', commit }
    else this.#settled(commit)
  }

  #settled(commit: Commit): void {
    this.#mismatches = 0
    this.#overtake(commit)
  }

  /** To a commit that has been overtaken, or to one of an older epoch: the next answer says all that it does. */
  #lateAnswer({ type, epoch }: Answer): void {
    if (epoch > (this.#welcomedEpoch ?? 0)) this.#broken(`${type} of an epoch that was never sent`)
  }

  #mismatch(): void {
    this.#mismatches++
    if (this.#mismatches > MAX_MISMATCHES) this.#broken('the hash never fits')
    else this.#askWhatItHolds()
  }

  #stale(have: number): void {
    this.#staleAnswers++
    if (this.#staleAnswers > MAX_STALE_ANSWERS || have > MAX_EPOCH) return this.#broken('staleEpoch again and again')
    const epoch = this.#owner.epoch() ?? 0
    const isAboutOldCommit = this.#phase.name === 'committed' && this.#phase.commit.epoch < have
    this.#epochSeen = Math.max(this.#epochSeen, have)
    if (have > epoch) this.#becomeStale(have)
    else if (isAboutOldCommit) this.#askWhatItHolds()
  }

  #becomeStale(have: number): void {
    if (this.#phase.name === 'stale') return
    this.#phase = { name: 'stale' }
    this.#owner.stale(this, have)
  }

  #verify(token: string): void {
    this.#newToken = { token, dueAtMs: Number.POSITIVE_INFINITY }
    if (this.#isVerifying) return
    this.#isVerifying = true
    this.#owner.verify(token).then(
      (verdict) => this.#verified(token, verdict),
      () => this.#retryVerify(),
    )
  }

  #verified(token: string, verdict: Verdict): void {
    if ('refusal' in verdict && verdict.refusal.code === 'unavailable') return this.#retryVerify()
    this.#isVerifying = false
    if (this.#phase.name === 'closing') return
    if ('refusal' in verdict) return this.#refuse(verdict.refusal)
    if (!isSameProxy(verdict.identity, this.#identity)) return this.close(CLOSE.unauthenticated, "another proxy's token")
    if (!verdict.identity.modes.includes(this.#mode)) return this.#refuse(refusalOfMode(this.#mode, verdict.identity))
    this.#identity = verdict.identity
    const newer = this.#newToken?.token
    this.#newToken = undefined
    if (newer !== undefined && newer !== token) this.#verify(newer)
  }

  /** Nobody could say whether the token holds; until the old one expires there is time to ask again. */
  #retryVerify(): void {
    this.#isVerifying = false
    if (this.#newToken !== undefined) this.#newToken.dueAtMs = this.#owner.now() + RETRY_TOKEN_MS
  }

  #isFull(): boolean {
    return this.#socket.bufferedAmount > this.#owner.limits.maxUnsentBytes
  }

  #write(frame: OperatorFrame): number {
    const bytes = Buffer.from(JSON.stringify(frame))
    this.#send(bytes)
    return bytes.length
  }

  #send(frame: Buffer): void {
    this.#sentAtMs = this.#owner.now()
    this.#socket.send(frame, { binary: false }, () => {
      if (this.#phase.name === 'sending') this.advance()
    })
  }
}

/** A close frame carries 123 bytes. */
const MAX_REASON_CHARACTERS = 120
const NO_VERSION_RETRY_MS = 60_000
const REFUSED_RETRY_MS = 5_000

const isNews = (target: Target, epoch: number, last: Commit | undefined): boolean =>
  last === undefined || last.view !== target.view || last.epoch !== epoch

const isSameProxy = (a: Identity, b: Identity): boolean =>
  a.podUid === b.podUid && a.namespace === b.namespace && a.serviceAccount === b.serviceAccount

const textOf = (data: RawData): string =>
  Array.isArray(data)
    ? Buffer.concat(data).toString('utf8')
    : Buffer.isBuffer(data)
      ? data.toString('utf8')
      : Buffer.from(data).toString('utf8')
