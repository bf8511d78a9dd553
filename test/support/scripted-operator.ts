/**
 * The operator's side of the push as docs/wire.md has it, over real TLS, for tests of proxies: it leads or stands by, gives what it is told
 * to give, and can fall silent, break the protocol or refuse. It keeps all that proxies said.
 */
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { createServer, type Server } from 'node:https'
import type { Duplex } from 'node:stream'
import { type WebSocket, WebSocketServer } from 'ws'
import { type KeyedCertificate, makeAuthority, signServer } from '../../operator/push/certificate-authority.ts'
import { TableHash, tableEntries } from '../../proxy/routing-table/entries.ts'
import {
  type EntryName,
  type OperatorFrame,
  type ProxyFrame,
  PUSH_PATH,
  PUSH_SUBPROTOCOL,
  parseProxyFrame,
} from '../../proxy/routing-table/frames.ts'
import type { RoutingTable } from '../../proxy/routing-table/v1.ts'

/** An entry as it is sent; a test may break it. */
export interface LooseEntry {
  readonly kind: string
  readonly key: string
  readonly value: unknown
}

interface LooseSentEntry extends LooseEntry {
  readonly version: string
}

export interface OperatorScript {
  /** Absent: 1. */
  readonly epoch?: number
  readonly mode?: 'Gateway' | 'Sidecar'
  readonly namespace?: string
  readonly ignorable?: readonly string[]
  /** It stands by and says that this one leads. */
  readonly standby?: { readonly leader?: string }
  /** Answer of HTTP to an upgrade that is refused. */
  readonly refuse?: { readonly status: number; readonly code: string; readonly message: string }
  /** Welcomes say that the Lease has just been looked at. */
  readonly confirmed?: boolean
  /** A stale epoch is not healed. */
  readonly stubborn?: boolean
}

export interface Authority {
  readonly cert: string
  sign(): Promise<KeyedCertificate>
}

export async function testAuthority(): Promise<Authority> {
  const authority = await makeAuthority(Date.now())
  return { cert: authority.cert, sign: () => signServer(authority, ['127.0.0.1', '127.0.0.2', 'localhost'], Date.now()) }
}

type Reply<Type extends ProxyFrame['type']> = Extract<ProxyFrame, { type: Type }>

/** One proxy's stream, as the operator sees it. */
export class ProxyStream {
  readonly authorization: string | undefined
  readonly frames: ProxyFrame[] = []
  readonly closed: Promise<{ readonly code: number; readonly reason: string }>
  readonly #socket: WebSocket
  readonly #waiting = new Set<() => void>()
  silent = false

  constructor(socket: WebSocket, request: IncomingMessage, onFrame: (frame: ProxyFrame) => void) {
    this.#socket = socket
    this.authorization = request.headers.authorization
    this.closed = new Promise((resolve) => socket.once('close', (code, reason) => resolve({ code, reason: reason.toString() })))
    socket.on('error', () => {})
    socket.on('message', (bytes) => {
      const parsed = parseProxyFrame(bytes instanceof Buffer ? bytes.toString() : '')
      if (parsed.kind !== 'frame') throw new Error(`a proxy sent ${JSON.stringify(parsed)}`)
      this.frames.push(parsed.frame)
      for (const wake of this.#waiting) wake()
      if (!this.silent) onFrame(parsed.frame)
    })
  }

  send(...frames: readonly (OperatorFrame | { readonly type: string })[]): void {
    for (const frame of frames) this.sendText(JSON.stringify(frame))
  }

  sendText(text: string): void {
    if (!this.silent) this.#socket.send(text)
  }

  close(code: number, reason = ''): void {
    this.#socket.close(code, reason)
  }

  cut(): void {
    this.#socket.terminate()
  }

  /** The first frame of this type that fits, seen already (from the `from`th on) or still to come. Rejects after 15 s. */
  next<Type extends ProxyFrame['type']>(type: Type, fits: (frame: Reply<Type>) => boolean = () => true, from = 0): Promise<Reply<Type>> {
    const isIt = (frame: ProxyFrame): frame is Reply<Type> => frame.type === type
    return new Promise((resolve, reject) => {
      const look = (): void => {
        const found = this.frames.slice(from).filter(isIt).find(fits)
        if (found === undefined) return
        clearTimeout(timer)
        this.#waiting.delete(look)
        resolve(found)
      }
      const timer = setTimeout(() => {
        this.#waiting.delete(look)
        reject(new Error(`no ${type} came in 15 s; what came: ${JSON.stringify(this.frames.slice(-5))}`))
      }, 15_000)
      this.#waiting.add(look)
      look()
    })
  }
}

const HEARTBEAT_MS = 1_000

export class ScriptedOperator {
  readonly port: number
  readonly url: string
  readonly streams: ProxyStream[] = []
  script: OperatorScript
  /** Upgrades so far, refused ones included. */
  dialled = 0
  readonly #server: Server
  readonly #sockets = new Set<Duplex>()
  readonly #listening = new WebSocketServer({ noServer: true, handleProtocols: () => PUSH_SUBPROTOCOL })
  readonly #waiting = new Set<() => void>()
  readonly #timer: NodeJS.Timeout
  #entries = new Map<string, LooseSentEntry>()
  #seq = 0
  #frozen = false

  private constructor(server: Server, script: OperatorScript) {
    this.#server = server
    this.script = script
    const address = server.address()
    this.port = typeof address === 'object' && address !== null ? address.port : 0
    this.url = `wss://127.0.0.1:${this.port}`
    server.on('connection', (socket) => {
      this.#sockets.add(socket)
      socket.once('close', () => this.#sockets.delete(socket))
    })
    server.on('upgrade', (request, socket, head) => this.#upgrade(request, socket, head))
    this.#timer = setInterval(() => this.#beat(), HEARTBEAT_MS)
  }

  /** `port` 0 = any; `host`: the address to listen on. */
  static async start(
    authority: Authority,
    { port = 0, host = '127.0.0.1', ...script }: OperatorScript & { readonly port?: number; readonly host?: string } = {},
  ): Promise<ScriptedOperator> {
    const server = createServer({ ...(await authority.sign()), minVersion: 'TLSv1.3' })
    server.listen(port, host)
    await once(server, 'listening')
    return new ScriptedOperator(server, script)
  }

  get epoch(): number {
    return this.script.epoch ?? 1
  }

  get hash(): string {
    const hash = new TableHash()
    for (const { version } of this.#entries.values()) hash.add(version)
    return hash.hex
  }

  /** What proxies are to have from now on; connected ones get the difference. Returns the seq of the commit. */
  give(what: RoutingTable | readonly LooseEntry[]): number {
    const entries: readonly LooseEntry[] = 'version' in what ? tableEntries(what) : what
    const before = this.#entries
    this.#entries = new Map(entries.map((entry) => [nameOf(entry), sentEntry(entry)]))
    this.#seq++
    for (const stream of this.streams) if (stream.frames.length > 0) this.#sendDifference(stream, before)
    return this.#seq
  }

  /** The stream that a proxy opens as the `index`th of all. Rejects after 15 s. */
  stream(index = 0): Promise<ProxyStream> {
    return new Promise((resolve, reject) => {
      const look = (): void => {
        const found = this.streams[index]
        if (found === undefined) return
        clearTimeout(timer)
        this.#waiting.delete(look)
        resolve(found)
      }
      const timer = setTimeout(() => reject(new Error(`no proxy opened stream ${index} in 15 s`)), 15_000)
      this.#waiting.add(look)
      look()
    })
  }

  /** Says nothing any more and answers nothing, but keeps every connection, as a stopped process does. */
  freeze(): void {
    this.#frozen = true
    for (const stream of this.streams) stream.silent = true
  }

  commit(hash = this.hash): OperatorFrame {
    return { type: 'commit', epoch: this.epoch, seq: this.#seq, hash, changedAtMs: Date.now() }
  }

  async close(): Promise<void> {
    clearInterval(this.#timer)
    for (const stream of this.streams) stream.cut()
    for (const socket of this.#sockets) socket.destroy()
    this.#server.close()
    await once(this.#server, 'close')
  }

  #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    if (this.#frozen) return
    this.dialled++
    const { refuse } = this.script
    if (request.url !== PUSH_PATH || refuse !== undefined) {
      const { status, code, message } = refuse ?? { status: 404, code: 'not_found', message: 'no such path' }
      const body = JSON.stringify({ error: { code, message } })
      socket.end(
        `HTTP/1.1 ${status} No\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\nconnection: close\r\n\r\n${body}`,
      )
      return
    }
    this.#listening.handleUpgrade(request, socket, head, (accepted) => this.#accept(accepted, request))
  }

  #accept(socket: WebSocket, request: IncomingMessage): void {
    const { standby } = this.script
    const stream: ProxyStream = new ProxyStream(socket, request, (frame) => {
      if (standby === undefined) this.#answer(stream, frame)
    })
    this.streams.push(stream)
    for (const wake of this.#waiting) wake()
    if (standby === undefined) return
    stream.send({ type: 'notLeader', ...(standby.leader !== undefined && { address: standby.leader }) })
    stream.close(4001)
  }

  #answer(stream: ProxyStream, frame: ProxyFrame): void {
    if (frame.type === 'hello') {
      stream.send(this.#welcome())
      if (frame.table?.hash === this.hash) stream.send(this.commit())
      else stream.send({ type: 'sendHave' })
    } else if (frame.type === 'have' && frame.last) this.#sendDifference(stream, haveOf(stream))
    else if (frame.type === 'nack' && frame.errors.some(({ reason }) => reason === 'hashMismatch')) stream.send({ type: 'sendHave' })
    else if (frame.type === 'staleEpoch' && this.script.stubborn !== true) this.#heal(stream, frame.have)
  }

  #heal(stream: ProxyStream, have: number): void {
    const isSidecar = this.script.mode === 'Sidecar'
    this.script = isSidecar ? { ...this.script, confirmed: true } : { ...this.script, epoch: have + 1 }
    stream.send(this.#welcome(), { type: 'sendHave' })
  }

  #welcome(): OperatorFrame {
    const { mode = 'Gateway', namespace = 'llama-swap', ignorable = [], confirmed } = this.script
    return {
      type: 'welcome',
      epoch: this.epoch,
      tableVersion: 1,
      mode,
      namespace,
      ignorable,
      ...(confirmed !== undefined && { confirmed }),
    }
  }

  #sendDifference(stream: ProxyStream, before: ReadonlyMap<string, { readonly version: string }>): void {
    const set = [...this.#entries].filter(([name, { version }]) => before.get(name)?.version !== version).map(([, entry]) => entry)
    const gone = [...before.keys()].filter((name) => !this.#entries.has(name)).map(splitName)
    if (set.length > 0) stream.sendText(JSON.stringify({ type: 'change', set, remove: [] }))
    if (gone.length > 0) stream.sendText(JSON.stringify({ type: 'change', set: [], remove: gone }))
    stream.send(this.commit())
  }

  #beat(): void {
    if (this.#frozen) return
    for (const stream of this.streams) stream.send({ type: 'heartbeat' })
  }
}

const nameOf = ({ kind, key }: LooseEntry | EntryName): string => `${kind} ${key}`
const splitName = (name: string): { kind: string; key: string } => ({
  kind: name.slice(0, name.indexOf(' ')),
  key: name.slice(name.indexOf(' ') + 1),
})

/** What the last `have` of this stream says. */
function haveOf(stream: ProxyStream): Map<string, { readonly version: string }> {
  const have = new Map<string, { readonly version: string }>()
  let isNew = true
  for (const frame of stream.frames) {
    if (frame.type !== 'have') continue
    if (isNew) have.clear()
    isNew = frame.last
    for (const [kind, key, version] of frame.entries) have.set(`${kind} ${key}`, { version })
  }
  return have
}

function sentEntry({ kind, key, value }: LooseEntry): LooseSentEntry {
  const version = createHash('sha256')
    .update(JSON.stringify([kind, key, value]))
    .digest('hex')
    .slice(0, 32)
  return { kind, key, version, value }
}
