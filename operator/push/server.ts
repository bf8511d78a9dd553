import { type IncomingMessage, type ServerResponse, STATUS_CODES } from 'node:http'
import { createServer, type Server } from 'node:https'
import type { Duplex } from 'node:stream'
import type { TLSSocket } from 'node:tls'
import { type WebSocket, WebSocketServer } from 'ws'
import {
  CLOSE,
  MAX_FRAME_BYTES,
  type OperatorFrame,
  type ProxyMode,
  PUSH_PATH,
  PUSH_SUBPROTOCOL,
} from '../../proxy/routing-table/frames.ts'
import type { Ref, RoutingTable } from '../../proxy/routing-table/v1.ts'
import type { SavedDays } from '../quota/days.ts'
import { listening } from '../serve/listening.ts'
import { type Identity, type Refusal, type RefusalCode, refused, type Verdict } from './identity.ts'
import type { ObjectName, Programming } from './programming.ts'
import type { EndpointVotes, Usage } from './proxy-report.ts'
import { Session } from './session.ts'
import { DEFAULT_LIMITS, type PushEvents, type PushLimits, Sessions, type SessionsOptions } from './sessions.ts'
import type { GatewayAddress } from './visible.ts'

/** PEM. The chain that proxies verify with the bundle in ConfigMap `llama-swap-push-ca`. */
export interface ServerCertificate {
  readonly cert: string
  readonly key: string
}

export interface PushServerOptions extends Omit<SessionsOptions, 'limits' | 'events' | 'clock'> {
  /** Absent: no handshake succeeds until `setCertificate`. */
  readonly certificate?: ServerCertificate
  readonly events?: Partial<PushEvents>
  readonly limits?: Partial<PushLimits>
  readonly clock?: () => number
}

const STATUS: Readonly<Record<RefusalCode, number>> = {
  no_token: 401,
  invalid_token: 401,
  wrong_audience: 401,
  namespace_not_served: 403,
  pod_gone: 403,
  not_a_gateway: 403,
  too_many: 503,
  unavailable: 503,
}

const SILENT: PushEvents = {
  onFacts: () => undefined,
  onStaleEpoch: () => undefined,
  onPush: () => undefined,
  onAck: () => undefined,
  onNack: () => undefined,
  onRefused: () => undefined,
  onTooLarge: () => undefined,
  onGone: () => undefined,
}

const MAX_TOKEN_CHARACTERS = 16_384
/** Heads hold a token. */
const MAX_HEAD_BYTES = 32 * 1024
const OPENING_TIMEOUT_MS = 5_000
const CLOSE_TIMEOUT_MS = 2_000
const RETRY_AFTER_SHUTDOWN_MS = 500

/**
 * Where proxies dial: TLS, path `/push`. Leading, it verifies a proxy's token and opens a session; otherwise it says who leads and
 * closes, and reads no token. Owner: the operator's main; `close()` once.
 */
export class PushServer {
  readonly #server: Server
  readonly #sockets: WebSocketServer
  readonly #sessions: Sessions
  readonly #options: PushServerOptions
  readonly #limits: PushLimits
  readonly #events: PushEvents
  readonly #closing = new AbortController()
  /** Every socket that asked for an upgrade, until it closes. */
  readonly #upgraded = new Set<Duplex>()
  #leading: { readonly leads: boolean; readonly address?: string } = { leads: false }
  #handshakes = 0

  constructor(options: PushServerOptions) {
    this.#options = options
    this.#limits = { ...DEFAULT_LIMITS, ...options.limits }
    this.#events = { ...SILENT, ...options.events }
    this.#sessions = new Sessions({ ...options, clock: options.clock ?? Date.now, limits: this.#limits, events: this.#events })
    const socketOptions = {
      noServer: true,
      perMessageDeflate: false,
      clientTracking: false,
      maxPayload: MAX_FRAME_BYTES,
      closeTimeout: CLOSE_TIMEOUT_MS,
      handleProtocols: (): string => PUSH_SUBPROTOCOL,
    }
    this.#sockets = new WebSocketServer(socketOptions)
    this.#server = createServer({
      ...options.certificate,
      minVersion: 'TLSv1.2',
      handshakeTimeout: OPENING_TIMEOUT_MS,
      headersTimeout: OPENING_TIMEOUT_MS,
      requestTimeout: OPENING_TIMEOUT_MS,
      maxHeaderSize: MAX_HEAD_BYTES,
    })
    this.#server.maxConnections = this.#limits.maxConnections + this.#limits.maxHandshakes
    this.#server.on('request', (_request, response) => answerPlain(response))
    this.#server.on('upgrade', (request, socket, head) => this.#upgrade(request, socket, head))
    this.#server.on('tlsClientError', (_error, socket: TLSSocket) => socket.destroy())
  }

  /** Resolves with the port, once connections are taken. Rejects if it cannot be had. */
  listen(port: number, host: string): Promise<number> {
    return listening(this.#server, port, host)
  }

  /** For new connections; those that are open go on. */
  setCertificate(certificate: ServerCertificate): void {
    this.#server.setSecureContext({ ...certificate, minVersion: 'TLSv1.2' })
  }

  /** The newest state of all. `changedAtMs`: when the resources behind its newest change were read. An equal table sends nothing. */
  publish(table: RoutingTable, changedAtMs: number): 'published' | 'unchanged' | 'tooLarge' {
    return this.#sessions.publish(table, changedAtMs)
  }

  /** Where sidecars reach backends that need a credential, from now on. */
  setGateway(gateway: GatewayAddress): void {
    this.#sessions.leadTo(gateway)
  }

  /** `address`: of the leader, as far as a standby knows it. Proxies are greeted once `setEpoch` has been called too. */
  setLeading(leads: boolean, address?: string): void {
    this.#leading = { leads, ...(address !== undefined && { address }) }
    if (!leads) this.#sessions.notLeader(address)
  }

  /** Written to the Lease before. Everyone is greeted, again if need be. */
  setEpoch(epoch: number): void {
    if (this.#leading.leads) this.#sessions.setEpoch(epoch)
  }

  /** Shares of limits a day are given once this has been called: with what the leader before wrote down, if it did. */
  restoreDays(saved: SavedDays | undefined): void {
    this.#sessions.quota.restore(saved)
  }

  /** What was used of limits a day; undefined while this operator does not lead. */
  days(): SavedDays | undefined {
    return this.#sessions.quota.days()
  }

  /** By "LlamaModel namespace/name" and "RoutingPolicy namespace/name". */
  programming(): ReadonlyMap<ObjectName, Programming> {
    return this.#sessions.programming()
  }

  /** By endpoint id, of gateways. */
  reports(): ReadonlyMap<string, EndpointVotes> {
    return this.#sessions.reports()
  }

  /** By model, of all proxies, since this process began. */
  usage(): ReadonlyMap<Ref, Usage> {
    return this.#sessions.usage()
  }

  /** Connected proxies. */
  counts(): Readonly<Record<ProxyMode, number>> {
    return this.#sessions.counts
  }

  /** Number of the newest state; 0 = none yet. */
  get seq(): number {
    return this.#sessions.seq
  }

  /** 0 = none has said one. */
  highestGatewayEpoch(): number {
    return this.#sessions.highestGatewayEpoch
  }

  /** Sends everyone away in order, then ends. */
  async close(): Promise<void> {
    this.#closing.abort()
    this.#sessions.goAway('the operator is shutting down', RETRY_AFTER_SHUTDOWN_MS)
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()))
    this.#server.closeIdleConnections()
    const late = setTimeout(() => this.#end(), CLOSE_TIMEOUT_MS)
    await closed
    clearTimeout(late)
    this.#end()
  }

  #end(): void {
    this.#sessions.close()
    this.#server.closeAllConnections()
    for (const socket of this.#upgraded) socket.destroy()
  }

  #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    socket.on('error', () => socket.destroy())
    this.#upgraded.add(socket)
    socket.once('close', () => this.#upgraded.delete(socket))
    const wrong = wrongUpgrade(request)
    if (wrong !== undefined) return answer(socket, wrong.status, { code: wrong.code, message: wrong.message })
    if (this.#closing.signal.aborted) return this.#refuse(socket, { code: 'unavailable', message: 'this operator is shutting down' })
    if (!this.#leading.leads) return this.#open(request, socket, head, (opened) => sayNotLeader(opened, this.#leading.address))
    const full = this.#sessions.size >= this.#limits.maxConnections || this.#handshakes >= this.#limits.maxHandshakes
    if (full) return this.#refuse(socket, { code: 'too_many', message: 'this operator has all the proxies it takes; try again' })
    const token = tokenOf(request)
    if (token === undefined) return this.#refuse(socket, { code: 'no_token', message: 'authorization: Bearer TOKEN is missing' })
    this.#handshakes++
    this.#verdict(token)
      .then((verdict) => this.#judged(request, socket, head, verdict))
      .finally(() => this.#handshakes--)
      .catch(() => socket.destroy())
  }

  async #verdict(token: string): Promise<Verdict> {
    try {
      return await this.#options.authenticate(token, AbortSignal.any([this.#closing.signal, AbortSignal.timeout(OPENING_TIMEOUT_MS)]))
    } catch {
      return refused('unavailable', 'the token could not be verified now')
    }
  }

  #judged(request: IncomingMessage, socket: Duplex, head: Buffer, verdict: Verdict): void {
    if (socket.destroyed) return
    if ('refusal' in verdict) return this.#refuse(socket, verdict.refusal)
    this.#open(request, socket, head, (opened) => this.#begin(opened, verdict.identity))
  }

  /** Leadership may have gone while the token was looked at. */
  #begin(opened: WebSocket, identity: Identity): void {
    if (this.#leading.leads) this.#sessions.add(new Session(opened, identity, this.#sessions))
    else sayNotLeader(opened, this.#leading.address)
  }

  #refuse(socket: Duplex, refusal: Refusal): void {
    this.#events.onRefused(refusal)
    answer(socket, STATUS[refusal.code], refusal)
  }

  #open(request: IncomingMessage, socket: Duplex, head: Buffer, then: (opened: WebSocket) => void): void {
    this.#sockets.handleUpgrade(request, socket, head, then)
  }
}

interface WrongUpgrade {
  readonly status: number
  readonly code: string
  readonly message: string
}

function wrongUpgrade({ url, headers }: IncomingMessage): WrongUpgrade | undefined {
  if (url?.split('?')[0] !== PUSH_PATH) return { status: 404, code: 'not_found', message: `the push is at ${PUSH_PATH}` }
  const offered = headers['sec-websocket-protocol']?.split(',').map((name) => name.trim()) ?? []
  if (offered.includes(PUSH_SUBPROTOCOL)) return undefined
  return { status: 400, code: 'wrong_subprotocol', message: `the subprotocol is ${PUSH_SUBPROTOCOL}` }
}

function tokenOf({ headers }: IncomingMessage): string | undefined {
  const [, token] = /^bearer +([\w.~+/=-]+)$/i.exec(headers.authorization ?? '') ?? []
  return token !== undefined && token.length <= MAX_TOKEN_CHARACTERS ? token : undefined
}

function sayNotLeader(opened: WebSocket, address: string | undefined): void {
  opened.on('error', () => undefined)
  opened.send(JSON.stringify({ type: 'notLeader', ...(address !== undefined && { address }) } satisfies OperatorFrame))
  opened.close(CLOSE.notLeader, 'not the leader')
}

function answer(socket: Duplex, status: number, error: { readonly code: string; readonly message: string }): void {
  const body = JSON.stringify({ error: { code: error.code, message: error.message } })
  const head = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}`,
    'content-type: application/json',
    `content-length: ${Buffer.byteLength(body)}`,
    'connection: close',
  ]
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`, () => socket.destroy())
}

function answerPlain(response: ServerResponse): void {
  const body = JSON.stringify({ error: { code: 'not_found', message: `a WebSocket at ${PUSH_PATH} is all there is` } })
  response.writeHead(404, { 'content-type': 'application/json', connection: 'close' }).end(body)
}
