import { readFile } from 'node:fs/promises'
import { setTimeout as delay } from 'node:timers/promises'
import { WebSocket } from 'ws'
import type { Logger } from '../account/log.ts'
import { MAX_FRAME_BYTES, type ProxyFrame, type ProxyMode, PUSH_SUBPROTOCOL } from '../routing-table/frames.ts'
import { isNamed, type OperatorAddress, type Resolve, resolveOperators, shownAddress } from './operator-address.ts'
import { LOSSES, type Loss, PushSession, type QuotaLink, type SessionEnd } from './push-session.ts'
import type { PushedTable } from './pushed-table.ts'

export interface PushClientOptions {
  /** `wss://HOST:PORT/push`; a name stands for all its addresses. */
  readonly operators: readonly URL[]
  /** Certificates in PEM that sign the operators'; read for each connection. Undefined = the system's. */
  readonly caFile: string | undefined
  /** This pod's token for operators; read for each connection, and sent again when it changes. */
  readonly tokenFile: string | undefined
  readonly mode: ProxyMode
  readonly table: PushedTable
  readonly reports: (all: boolean) => readonly ProxyFrame[]
  /** Absent = no limits are shared. */
  readonly quota?: QuotaLink | undefined
  readonly resolve: Resolve
  readonly random: () => number
  readonly logger: Logger
}

export interface PushState {
  readonly operators: readonly string[]
  readonly connected: boolean
  /** The operator that welcomed us. */
  readonly operator: string | undefined
  /** What went wrong last, until an operator welcomes us. */
  readonly problem: string | undefined
  /** Connections that ended or never came to be, by reason. */
  readonly losses: ReadonlyMap<Loss, number>
}

const FIRST_DELAY_MS = 200
const MAX_DELAY_MS = 10_000
/** The delays grow no further than to 1.6 s while a standby answers: one of them is to lead within seconds, and may be lost soon after. */
const STANDBY_ROUNDS = 3
/** Who let a dial time out is not dialled for this long while a standby answers: it may be frozen, and each dial of it takes its time. */
const SHUNNED_MS = 10_000
/** Addresses whose last problem is remembered, so that it is logged once. */
const MAX_SAID = 64
/** A connection that lasted this long begins the delays anew. */
const STEADY_MS = 10_000

/**
 * Dials operators until one leads, and again whenever it is lost: each address in turn at once, then a pause of 0.2 s, doubling to 10 s, or
 * to 1.6 s while a standby answers, with full jitter; or as an operator says, and up to half of that more, so that not all come at once. Owner
 * of the connection: `close()` ends it and the loop.
 */
export class PushClient {
  readonly #options: PushClientOptions
  readonly #stop = new AbortController()
  readonly #losses = new Map<Loss, number>(LOSSES.map((loss) => [loss, 0]))
  #running: Promise<void> = Promise.resolve()
  #session: PushSession | undefined
  #operator: string | undefined
  #problem: string | undefined
  #last: OperatorAddress | undefined
  #rounds = 0
  #standbyAnswered = false
  /** Operator → what went wrong with it last. */
  readonly #said = new Map<string, string>()
  /** Operator → until when. */
  readonly #shunned = new Map<string, number>()

  constructor(options: PushClientOptions) {
    this.#options = options
  }

  get state(): PushState {
    return {
      operators: this.#options.operators.map(({ protocol, host }) => `${protocol}//${host}`),
      connected: this.#operator !== undefined,
      operator: this.#operator,
      problem: this.#problem,
      losses: this.#losses,
    }
  }

  start(): void {
    this.#running = this.#run()
  }

  /** What limits have to say cannot wait. */
  urge(): void {
    this.#session?.urge()
  }

  async close(): Promise<void> {
    this.#stop.abort()
    this.#session?.close()
    await this.#running
  }

  async #run(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      const toldMs = await this.#round()
      const pauseMs = toldMs === undefined ? this.#backOffMs() : toldMs * (1 + this.#options.random() / 2)
      await delay(pauseMs, undefined, { signal: this.#stop.signal }).catch(() => {})
    }
  }

  /** Each address once, until one has served us. Resolves with the pause that an operator asked for. */
  async #round(): Promise<number | undefined> {
    const { addresses, failures } = await resolveOperators(this.#options.operators, this.#options.resolve)
    for (const { url, message } of failures) this.#lost(`${url.protocol}//${url.host}`, { loss: 'unreachable', message, servedMs: 0 })
    let left = inTurn(addresses, this.#last)
    left = [...left.filter((one) => !this.#isShunned(one)), ...left.filter((one) => this.#isShunned(one))]
    this.#standbyAnswered = false
    for (let next = left[0]; next !== undefined && !this.#stop.signal.aborted; next = left[0]) {
      const tried = next
      left = left.slice(1)
      if (this.#standbyAnswered && this.#isShunned(tried)) continue
      const end = await this.#connect(tried)
      this.#lost(shownAddress(tried), end)
      if (end.loss === 'not_leader') this.#standbyAnswered = true
      if (end.servedMs > 0) this.#last = tried
      if (end.servedMs >= STEADY_MS) this.#rounds = 0
      if (end.servedMs > 0 || end.retryAfterMs !== undefined) return end.retryAfterMs
      const { leader } = end
      if (leader !== undefined) left = [...left.filter((one) => isNamed(one, leader)), ...left.filter((one) => !isNamed(one, leader))]
    }
    return undefined
  }

  async #connect(address: OperatorAddress): Promise<SessionEnd> {
    const { table, mode, reports, tokenFile, logger } = this.#options
    const token = await readText(tokenFile)
    const socket = dial(address, await readText(this.#options.caFile), token)
    if ('error' in socket) return { loss: 'unreachable', message: socket.error, servedMs: 0 }
    const session = new PushSession({
      socket,
      table,
      mode,
      token,
      readToken: () => readText(tokenFile),
      reports,
      quota: this.#options.quota,
      onWelcome: ({ epoch }) => {
        if (this.#operator === undefined) logger.info('an operator pushes the routing table', { operator: shownAddress(address), epoch })
        this.#operator = shownAddress(address)
        this.#problem = undefined
        this.#said.clear()
      },
    })
    this.#session = session
    if (this.#stop.signal.aborted) session.close()
    const end = await session.ended
    this.#session = undefined
    if (end.timedOut) this.#shunned.set(shownAddress(address), performance.now() + SHUNNED_MS)
    return end
  }

  #isShunned(address: OperatorAddress): boolean {
    const shown = shownAddress(address)
    const untilMs = this.#shunned.get(shown) ?? 0
    if (untilMs <= performance.now()) this.#shunned.delete(shown)
    return untilMs > performance.now()
  }

  #lost(operator: string, { loss, message, servedMs }: SessionEnd): void {
    this.#operator = undefined
    if (this.#stop.signal.aborted) return
    this.#losses.set(loss, (this.#losses.get(loss) ?? 0) + 1)
    const said = `${loss} ${message}`
    if (servedMs > 0 || this.#said.get(operator) !== said)
      this.#options.logger.warn('no operator pushes the routing table', { operator, loss, because: message })
    if (this.#said.size >= MAX_SAID) this.#said.clear()
    this.#said.set(operator, said)
    this.#problem = `operator ${operator} ${WORDS[loss]}: ${message}`
  }

  #backOffMs(): number {
    const most = this.#standbyAnswered ? STANDBY_ROUNDS : Number.POSITIVE_INFINITY
    const ceilingMs = Math.min(MAX_DELAY_MS, FIRST_DELAY_MS * 2 ** Math.min(this.#rounds, most))
    this.#rounds = Math.min(this.#rounds + 1, most)
    return ceilingMs * this.#options.random()
  }
}

const WORDS: Readonly<Record<Loss, string>> = {
  unreachable: 'unreachable',
  refused: 'refuses this proxy',
  not_leader: 'is a standby',
  silent: 'went silent',
  closed: 'was lost',
  go_away: 'sent this proxy away',
  protocol: 'broke the protocol',
}

/** Who was lost last comes last. */
function inTurn(addresses: readonly OperatorAddress[], last: OperatorAddress | undefined): readonly OperatorAddress[] {
  const isLast = ({ url, ip }: OperatorAddress): boolean => last !== undefined && last.ip === ip && last.url.host === url.host
  return [...addresses.filter((one) => !isLast(one)), ...addresses.filter(isLast)]
}

/** Connects to the address, and has TLS check the name. */
function dial({ url, ip, family }: OperatorAddress, ca: string | undefined, token: string | undefined): WebSocket | { error: string } {
  try {
    return new WebSocket(url, PUSH_SUBPROTOCOL, {
      maxPayload: MAX_FRAME_BYTES,
      perMessageDeflate: false,
      followRedirects: false,
      lookup: (_host, { all }, callback) => (all === true ? callback(null, [{ address: ip, family }]) : callback(null, ip, family)),
      ...(ca !== undefined && { ca }),
      ...(token !== undefined && { headers: { authorization: `Bearer ${token}` } }),
    })
  } catch (error) {
    return { error: error instanceof Error ? error.message : String(error) }
  }
}

/** Undefined = no such file now: a mounted one may come later. */
export async function readText(path: string | undefined): Promise<string | undefined> {
  if (path === undefined) return undefined
  try {
    return (await readFile(path, 'utf8')).trim()
  } catch {
    return undefined
  }
}
