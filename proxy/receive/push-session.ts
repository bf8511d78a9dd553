import type { IncomingMessage } from 'node:http'
import type { WebSocket } from 'ws'
import {
  CLOSE,
  DEAD_AFTER_MS,
  HEARTBEAT_MS,
  MAX_FRAME_BYTES,
  type OperatorFrame,
  type ProxyFrame,
  type ProxyMode,
  parseOperatorFrame,
} from '../routing-table/frames.ts'
import { READS_VERSIONS } from '../routing-table/parse.ts'
import type { PushedTable } from './pushed-table.ts'

/** Why a connection ended, or never came to be: the label of a metric. */
export const LOSSES = ['unreachable', 'refused', 'not_leader', 'silent', 'closed', 'go_away', 'protocol'] as const
export type Loss = (typeof LOSSES)[number]

export interface SessionEnd {
  readonly loss: Loss
  /** For people: what the other side or the network said. */
  readonly message: string
  /** When to dial again, where the operator said so. */
  readonly retryAfterMs?: number
  /** Who leads, as a standby says. */
  readonly leader?: string
  /** It let the dial time out. */
  readonly timedOut?: true
  /** Since the welcome; 0 = there was none. */
  readonly servedMs: number
}

/** Milliseconds since the epoch by a clock that never jumps: the data plane's. */
export const steadyNow = (): number => performance.timeOrigin + performance.now()

/** What becomes of shares of limits: docs/wire.md, "Shares of limits". */
export interface QuotaLink {
  /** The stream to an operator begins, and ends. */
  begin(nowMs: number): void
  end(nowMs: number): void
  take(frame: Extract<OperatorFrame, { type: 'quota' }>, nowMs: number): void
  /** What changed since it was asked last; all in a stream's first. */
  frames(nowMs: number): readonly ProxyFrame[]
  /** What cannot wait for a second. */
  urgentFrames(nowMs: number): readonly ProxyFrame[]
  /** The last of this process. */
  lastFrames(nowMs: number): readonly ProxyFrame[]
}

export interface PushSessionOptions {
  /** Still connecting. */
  readonly socket: WebSocket
  readonly table: PushedTable
  readonly mode: ProxyMode
  /** The token of the upgrade request; undefined = none. */
  readonly token: string | undefined
  /** The token as it stands in its file now. */
  readonly readToken: () => Promise<string | undefined>
  /** What changed since it was asked last; `all` = for an operator that knows nothing yet. */
  readonly reports: (all: boolean) => readonly ProxyFrame[]
  readonly quota: QuotaLink | undefined
  readonly onWelcome: (frame: Extract<OperatorFrame, { type: 'welcome' }>) => void
}

/** From the dial to the answer of the upgrade. The timeout of `ws` begins anew with each step, and takes twice as long. */
const OPEN_WITHIN_MS = 5_000
const TICK_MS = 1_000
const TOKEN_EVERY_MS = 2_000
/** Between two frames that cannot wait. */
const URGENT_EVERY_MS = 20
/** A tick early rather than one late. */
const SEND_BY_MS = HEARTBEAT_MS - TICK_MS / 2
const TIMER_ERROR_MS = 100
/** What an operator has left unread before it counts as gone. */
const MAX_UNSENT_BYTES = 2 * MAX_FRAME_BYTES
/** What the other side has for its close frame. */
const CLOSE_WITHIN_MS = 1_000
const MAX_REFUSAL_BYTES = 4096
const MAX_REASON_BYTES = 120

/**
 * One connection to an operator, from the dial to its end. In: its frames. Out: ours; what they mean is `table`'s. Owner of the socket and
 * its timer. `ended` always resolves, once.
 */
export class PushSession {
  readonly ended: Promise<SessionEnd>
  readonly #options: PushSessionOptions
  #end: (end: SessionEnd) => void = () => {}
  readonly #opening: NodeJS.Timeout
  #timer: NodeJS.Timeout | undefined
  #closing: NodeJS.Timeout | undefined
  #urging: NodeJS.Timeout | undefined
  #urgedAtMs = 0
  #tokenReadAtMs = performance.now()
  #token: string | undefined
  /** Runs out when nothing is heard for too long. */
  #silence: NodeJS.Timeout | undefined
  #heardAtMs = performance.now()
  #sentAtMs = performance.now()
  #welcomedAtMs: number | undefined
  #reported = false
  /** Decided before the socket closes: it says more than the close does. */
  #because: Omit<SessionEnd, 'servedMs'> | undefined

  constructor(options: PushSessionOptions) {
    this.#options = options
    this.#token = options.token
    this.ended = new Promise((resolve) => {
      this.#end = resolve
    })
    const { socket } = options
    this.#opening = setTimeout(() => this.#giveUp(), OPEN_WITHIN_MS)
    socket.on('open', () => this.#opened())
    socket.on('message', (bytes, isBinary) => this.#received(bytes instanceof Buffer ? bytes.toString() : '', isBinary))
    socket.on('unexpected-response', (_request, response) => void this.#turnedAway(response))
    socket.on('error', (error) => {
      this.#because ??= { loss: this.#heardOf ? 'closed' : 'unreachable', message: failureOf(error) }
    })
    socket.on('close', (code, reason) => this.#closed(code, reason.toString()))
  }

  /** In order: what is still to be reported goes out first. */
  close(): void {
    if (this.#options.table.welcomed) {
      this.#report()
      for (const frame of this.#options.quota?.lastFrames(steadyNow()) ?? []) this.#send(frame)
    }
    this.#leave(CLOSE.goingAway, 'this proxy stops', { loss: 'closed', message: 'this proxy stops' })
  }

  /** What limits have to say cannot wait. */
  urge(): void {
    const waitMs = Math.max(0, this.#urgedAtMs + URGENT_EVERY_MS - performance.now())
    this.#urging ??= setTimeout(() => this.#sendUrgent(), waitMs)
  }

  #sendUrgent(): void {
    this.#urging = undefined
    this.#urgedAtMs = performance.now()
    const { quota, socket } = this.#options
    if (this.#welcomedAtMs === undefined || this.#because !== undefined || socket.bufferedAmount > MAX_UNSENT_BYTES) return
    for (const frame of quota?.urgentFrames(steadyNow()) ?? []) this.#send(frame)
  }

  get #heardOf(): boolean {
    return this.#timer !== undefined
  }

  #giveUp(): void {
    this.#because ??= { loss: 'unreachable', message: `it has not answered within ${OPEN_WITHIN_MS / 1000} s`, timedOut: true }
    this.#options.socket.terminate()
  }

  #opened(): void {
    clearTimeout(this.#opening)
    this.#heardAtMs = performance.now()
    this.#silence = setTimeout(() => setImmediate(() => this.#judgeSilence()), DEAD_AFTER_MS)
    this.#timer = setInterval(() => this.#tick(), TICK_MS)
    this.#send(this.#options.table.hello())
  }

  #received(text: string, isBinary: boolean): void {
    this.#heardAtMs = performance.now()
    this.#silence?.refresh()
    if (this.#because !== undefined) return
    const parsed = isBinary ? { kind: 'broken' as const, message: 'a binary message' } : parseOperatorFrame(text)
    if (parsed.kind === 'broken') this.#broken(parsed.message)
    else if (parsed.kind === 'frame') this.#take(parsed.frame)
  }

  #take(frame: OperatorFrame): void {
    switch (frame.type) {
      case 'heartbeat':
        return this.#options.table.heard()
      case 'notLeader':
        return this.#leave(CLOSE.goingAway, 'not the leader', {
          loss: 'not_leader',
          message: frame.address === undefined ? 'it does not lead' : `it does not lead, ${frame.address} does`,
          ...(frame.address !== undefined && { leader: frame.address }),
        })
      case 'goAway':
        return this.#leave(CLOSE.goingAway, 'as told', { loss: 'go_away', message: frame.reason, retryAfterMs: frame.retryAfterMs })
      case 'welcome':
        return this.#welcome(frame)
      case 'quota':
        this.#options.quota?.take(frame, steadyNow())
        return this.#options.table.heard()
      case 'sendHave':
      case 'change':
      case 'commit':
        return this.#answer(frame)
    }
  }

  #welcome(frame: Extract<OperatorFrame, { type: 'welcome' }>): void {
    const { mode } = this.#options
    if (frame.mode !== mode) return this.#broken(`it takes this proxy for a ${frame.mode}, not a ${mode}`)
    if (!READS_VERSIONS.includes(frame.tableVersion)) return this.#broken(`table version ${frame.tableVersion} is not read here`)
    this.#answer(frame)
    if (!this.#options.table.welcomed) return
    if (this.#welcomedAtMs === undefined) this.#beginQuota()
    this.#welcomedAtMs ??= performance.now()
    this.#options.onWelcome(frame)
  }

  #beginQuota(): void {
    const { quota } = this.#options
    quota?.begin(steadyNow())
    for (const frame of quota?.frames(steadyNow()) ?? []) this.#send(frame)
  }

  #answer(frame: Extract<OperatorFrame, { type: 'welcome' | 'sendHave' | 'change' | 'commit' }>): void {
    for (const answer of this.#options.table.take(frame)) this.#send(answer)
    this.#options.table.heard()
  }

  #tick(): void {
    const nowMs = performance.now()
    if (this.#options.socket.bufferedAmount > MAX_UNSENT_BYTES) return this.#abandon('it does not read')
    if (this.#options.table.welcomed && this.#options.socket.bufferedAmount === 0) this.#report()
    if (nowMs - this.#sentAtMs >= SEND_BY_MS) this.#send({ type: 'heartbeat' })
    if (nowMs < this.#tokenReadAtMs + TOKEN_EVERY_MS) return
    this.#tokenReadAtMs = nowMs
    void this.#renewToken()
  }

  /** After a look at the socket: where this process itself stood still, what came in the meantime counts. */
  #judgeSilence(): void {
    const silentMs = performance.now() - this.#heardAtMs
    if (silentMs >= DEAD_AFTER_MS - TIMER_ERROR_MS) this.#abandon(`it has said nothing for ${Math.round(silentMs / 1000)} s`)
  }

  #report(): void {
    for (const frame of this.#options.reports(!this.#reported)) this.#send(frame)
    this.#reported = true
    for (const frame of this.#options.quota?.frames(steadyNow()) ?? []) this.#send(frame)
  }

  async #renewToken(): Promise<void> {
    const token = await this.#options.readToken()
    if (token === undefined || token === this.#token) return
    this.#token = token
    this.#send({ type: 'token', token })
  }

  #send(frame: ProxyFrame): void {
    const { socket } = this.#options
    if (socket.readyState !== socket.OPEN) return
    socket.send(JSON.stringify(frame))
    this.#sentAtMs = performance.now()
  }

  #broken(message: string): void {
    this.#leave(CLOSE.protocol, message, { loss: 'protocol', message })
  }

  #leave(code: number, reason: string, because: Omit<SessionEnd, 'servedMs'>): void {
    this.#because ??= because
    const { socket } = this.#options
    if (socket.readyState !== socket.OPEN) return socket.terminate()
    socket.close(code, Buffer.from(reason).subarray(0, MAX_REASON_BYTES).toString())
    this.#closing = setTimeout(() => socket.terminate(), CLOSE_WITHIN_MS)
  }

  #abandon(message: string): void {
    this.#because ??= { loss: 'silent', message }
    this.#options.socket.terminate()
  }

  async #turnedAway(response: IncomingMessage): Promise<void> {
    const body = await firstBytes(response)
    this.#because ??= { loss: 'refused', message: refusalOf(response.statusCode ?? 0, body) }
    this.#options.socket.terminate()
  }

  #closed(code: number, reason: string): void {
    clearTimeout(this.#opening)
    clearInterval(this.#timer)
    clearTimeout(this.#silence)
    clearTimeout(this.#closing)
    clearTimeout(this.#urging)
    this.#options.quota?.end(steadyNow())
    const message = `it closed the connection (${code}${reason === '' ? '' : ` ${reason}`})`
    const because = this.#because ?? { loss: code === CLOSE.notLeader ? ('not_leader' as const) : ('closed' as const), message }
    this.#end({ ...because, servedMs: this.#welcomedAtMs === undefined ? 0 : performance.now() - this.#welcomedAtMs })
  }
}

async function firstBytes(response: IncomingMessage): Promise<string> {
  let text = ''
  try {
    for await (const bytes of response) {
      text += String(bytes)
      if (text.length > MAX_REFUSAL_BYTES) break
    }
  } catch {
    // what has come so far is enough
  }
  return text
}

/** An operator refuses with `{"error": {"code", "message"}}`. */
function refusalOf(status: number, body: string): string {
  try {
    const value: unknown = JSON.parse(body)
    const error: unknown = typeof value === 'object' && value !== null ? Reflect.get(value, 'error') : undefined
    if (typeof error === 'object' && error !== null)
      return `HTTP ${status} ${String(Reflect.get(error, 'code'))}: ${String(Reflect.get(error, 'message')).slice(0, 256)}`
  } catch {
    // not its JSON
  }
  return `HTTP ${status}`
}

function failureOf(error: Error): string {
  const code: unknown = Reflect.get(error, 'code')
  return typeof code === 'string' && !error.message.includes(code) ? `${code}: ${error.message}` : error.message
}
