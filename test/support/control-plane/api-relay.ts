/**
 * A relay in front of a real API server that does to its clients what networks and API servers do. In: the server's address and CA. Out: an
 * address with a CA of its own, switches for faults, and a count of what went through. Clients use tokens: their certificates end here.
 */
import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { Agent, createServer, request, type Server } from 'node:https'
import type { Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { listenOn } from '../ports.ts'
import { makeServerCertificate, type ServerCertificate } from './relay-certificate.ts'

export interface RelayOptions {
  /** "https://127.0.0.1:6443" */
  readonly upstream: string
  /** PEM of the API server's authority. */
  readonly upstreamCa: string
}

export interface RelaySwitches {
  /** New connections are reset, open ones too: the network is parted. */
  refuse: boolean
  /** Connections stay open and nothing goes through, neither way: the other end is gone and nobody says so. */
  swallow: boolean
  /** Before each answer begins. */
  delayMs: number
  /** So many of the next watch events are cut in the middle of their line, and their connection with them. */
  cutEvents: number
  /** So many of the next DELETED events are left out. */
  dropDeletes: number
  /** So many of the next watches are answered with 410. */
  expireWatches: number
  /** So many of the next watches get 200 and then an ERROR event that says 410. */
  expireWatchesInBand: number
  /** Streamed lists are refused, as servers do that cannot stream them. */
  refuseStreams: boolean
  /** All requests are answered with 429 and a Retry-After of so many seconds; 0 = off. */
  throttleSeconds: number
  /** Requests with this token are answered with 401. */
  refusedToken: string
}

const ALL_OFF: RelaySwitches = {
  refuse: false,
  swallow: false,
  delayMs: 0,
  cutEvents: 0,
  dropDeletes: 0,
  expireWatches: 0,
  expireWatchesInBand: 0,
  refuseStreams: false,
  throttleSeconds: 0,
  refusedToken: '',
}

const NEW_LINE = 0x0a
const MAX_WRITES = 10_000

/** Owner: who starts it; `close()` once. */
export class ApiRelay {
  readonly switches: RelaySwitches = { ...ALL_OFF }
  /** Requests by what they were: "watch", "list", "get", … as their method and query tell. */
  readonly seen = new Map<string, number>()
  /** "PATCH /api/v1/…" of each request that may change something, the last 10,000. */
  readonly writes: string[] = []
  readonly #options: RelayOptions
  readonly #server: Server
  readonly #upstream: Agent
  readonly #sockets = new Set<Socket>()
  readonly #watches = new Set<{ silent: boolean }>()
  #certificate: ServerCertificate
  #port = 0

  static async start(options: RelayOptions): Promise<ApiRelay> {
    const relay = new ApiRelay(options, await makeServerCertificate())
    relay.#port = await listenOn(relay.#server)
    return relay
  }

  private constructor(options: RelayOptions, certificate: ServerCertificate) {
    this.#options = options
    this.#certificate = certificate
    this.#upstream = new Agent({ keepAlive: true, ca: options.upstreamCa })
    this.#server = createServer({ cert: certificate.cert, key: certificate.key }, (near, answer) => void this.#relay(near, answer))
    this.#server.on('connection', (socket: Socket) => this.#admit(socket))
    this.#server.on('tlsClientError', () => undefined)
  }

  get url(): string {
    return `https://127.0.0.1:${this.#port}`
  }

  /** PEM. */
  get ca(): string {
    return this.#certificate.ca
  }

  allOff(): void {
    Object.assign(this.switches, ALL_OFF)
  }

  /** Open watches go on looking alive and carry nothing any more; new ones are well. */
  silenceWatches(): void {
    for (const watch of this.#watches) watch.silent = true
  }

  get openWatches(): number {
    return this.#watches.size
  }

  /** Resets every connection once. */
  cutConnections(): void {
    for (const socket of this.#sockets) socket.resetAndDestroy()
  }

  /** From now on another authority's certificate is shown; connections that are open are cut. */
  async rotateCertificate(): Promise<void> {
    this.#certificate = await makeServerCertificate()
    this.#server.setSecureContext({ cert: this.#certificate.cert, key: this.#certificate.key })
    this.cutConnections()
  }

  async close(): Promise<void> {
    this.#server.close()
    for (const socket of this.#sockets) socket.destroy()
    this.#upstream.destroy()
    await once(this.#server, 'close')
  }

  #admit(socket: Socket): void {
    socket.on('error', () => undefined)
    if (this.switches.refuse) {
      socket.resetAndDestroy()
      return
    }
    if (this.switches.swallow) socket.pause()
    this.#sockets.add(socket)
    socket.once('close', () => this.#sockets.delete(socket))
  }

  async #relay(near: IncomingMessage, answer: ServerResponse): Promise<void> {
    answer.on('error', () => undefined)
    const watches = isWatch(near)
    this.#count(near)
    if (this.switches.delayMs > 0) await sleep(this.switches.delayMs)
    if (this.switches.swallow || this.#refuses(near, answer, watches)) return
    const far = request(`${this.#options.upstream}${near.url ?? ''}`, {
      method: near.method ?? 'GET',
      headers: { ...near.headers, host: new URL(this.#options.upstream).host },
      agent: this.#upstream,
    })
    far.on('error', () => answer.socket?.destroy())
    far.on('response', (response: IncomingMessage) => this.#answer(response, answer, watches))
    answer.on('close', () => far.destroy())
    near.pipe(far)
  }

  #count(near: IncomingMessage): void {
    const kind = isWatch(near) ? 'watch' : (near.method ?? '')
    this.seen.set(kind, (this.seen.get(kind) ?? 0) + 1)
    if (near.method !== 'GET') this.writes.push(`${near.method} ${near.url}`)
    if (this.writes.length > MAX_WRITES) this.writes.shift()
  }

  /** Whether a switch answers in the API server's place. */
  #refuses(near: IncomingMessage, answer: ServerResponse, watches: boolean): boolean {
    const { switches } = this
    if (switches.refusedToken !== '' && near.headers.authorization === `Bearer ${switches.refusedToken}`) {
      return refuse(answer, 401, 'Unauthorized', 'Unauthorized')
    }
    if (switches.throttleSeconds > 0) {
      answer.setHeader('retry-after', String(switches.throttleSeconds))
      return refuse(answer, 429, 'TooManyRequests', 'too many requests, please try again later')
    }
    if (!watches) return false
    if (switches.refuseStreams && near.url?.includes('sendInitialEvents') === true) {
      return refuse(
        answer,
        422,
        'Invalid',
        'sendInitialEvents: Forbidden: sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled',
      )
    }
    if (switches.expireWatches > 0) {
      switches.expireWatches -= 1
      return refuse(answer, 410, 'Expired', 'too old resource version: 1 (2)')
    }
    if (switches.expireWatchesInBand === 0) return false
    switches.expireWatchesInBand -= 1
    answer.writeHead(200, { 'content-type': 'application/json' })
    answer.end(`${JSON.stringify({ type: 'ERROR', object: statusOf(410, 'Expired', 'too old resource version: 1 (2)') })}\n`)
    return true
  }

  #answer(response: IncomingMessage, answer: ServerResponse, watches: boolean): void {
    answer.writeHead(response.statusCode ?? 502, response.headers)
    answer.flushHeaders()
    response.on('error', () => answer.socket?.destroy())
    response.on('aborted', () => answer.socket?.destroy())
    if (watches && response.statusCode === 200) this.#carry(response, answer)
    else response.pipe(answer)
  }

  /** A watch, line by line, so that events can be told apart. */
  #carry(response: IncomingMessage, answer: ServerResponse): void {
    const watch = { silent: false }
    this.#watches.add(watch)
    answer.once('close', () => this.#watches.delete(watch))
    let held = Buffer.alloc(0)
    response.on('data', (chunk: Buffer) => {
      held = Buffer.concat([held, chunk])
      for (let end = held.indexOf(NEW_LINE); end !== -1; end = held.indexOf(NEW_LINE)) {
        if (!watch.silent && !this.switches.swallow) this.#carryLine(held.subarray(0, end + 1), answer)
        held = held.subarray(end + 1)
      }
    })
    response.on('end', () => {
      if (!watch.silent) answer.end()
    })
  }

  #carryLine(line: Buffer, answer: ServerResponse): void {
    if (this.switches.dropDeletes > 0 && line.includes('{"type":"DELETED"')) {
      this.switches.dropDeletes -= 1
      return
    }
    if (this.switches.cutEvents === 0 || line.includes('{"type":"BOOKMARK"')) {
      answer.write(line)
      return
    }
    this.switches.cutEvents -= 1
    answer.write(line.subarray(0, Math.floor(line.length / 2)), () => answer.socket?.destroy())
  }
}

const isWatch = ({ url = '' }: IncomingMessage): boolean => new URL(url, 'https://relay').searchParams.get('watch') === 'true'

function refuse(answer: ServerResponse, code: number, reason: string, message: string): true {
  answer.writeHead(code, { 'content-type': 'application/json' })
  answer.end(JSON.stringify(statusOf(code, reason, message)))
  return true
}

const statusOf = (code: number, reason: string, message: string): unknown => ({
  kind: 'Status',
  apiVersion: 'v1',
  metadata: {},
  status: 'Failure',
  message,
  reason,
  code,
})
