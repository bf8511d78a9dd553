/** A proxy's side of the push that does just what a test says: it parses nothing, keeps entries as they came, and answers when told to. */
import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { setTimeout as wait } from 'node:timers/promises'
import { WebSocket } from 'ws'
import { type EntryKind, type EntryVersion, TableHash } from '../../proxy/routing-table/entries.ts'
import {
  type OperatorFrame,
  type ProxyFrame,
  type ProxyMode,
  PUSH_PATH,
  PUSH_SUBPROTOCOL,
  parseOperatorFrame,
  type SentEntry,
  type TableStamp,
} from '../../proxy/routing-table/frames.ts'

const DEADLINE_MS = 5_000

export interface DialOptions {
  readonly port: number
  /** PEM of the authority to trust. */
  readonly ca: string
  readonly token?: string
  readonly subprotocol?: string
  readonly path?: string
}

export interface HttpRefusal {
  readonly status: number
  readonly code: string
}

/** What one commit brought. */
export interface Taken {
  readonly set: readonly SentEntry[]
  readonly removed: readonly string[]
  readonly commit: OperatorFrame & { type: 'commit' }
}

export class ScriptedProxy {
  readonly #socket: WebSocket
  readonly #inbox: OperatorFrame[] = []
  readonly #closed: Promise<{ code: number; reason: string }>
  #wake: () => void = () => undefined
  /** Of every frame, in UTF-8. */
  bytes = 0
  /** Every frame as it came. */
  readonly texts: string[] = []
  readonly held = new Map<string, { kind: EntryKind; key: string; version: EntryVersion }>()

  private constructor(socket: WebSocket) {
    this.#socket = socket
    socket.on('error', () => undefined)
    socket.on('message', (data: Buffer) => this.#take(data.toString('utf8')))
    this.#closed = new Promise((resolve) => socket.on('close', (code, reason) => resolve({ code, reason: reason.toString() })))
  }

  /** Resolves once the stream is open. */
  static async dial(options: DialOptions): Promise<ScriptedProxy> {
    const socket = open(options)
    const proxy = new ScriptedProxy(socket)
    await once(socket, 'open')
    return proxy
  }

  /** What an upgrade is refused with. */
  static async refusal(options: DialOptions): Promise<HttpRefusal> {
    const socket = open(options)
    socket.on('error', () => undefined)
    const answered: readonly unknown[] = await once(socket, 'unexpected-response')
    const response = answered[1] as IncomingMessage
    let body = ''
    for await (const chunk of response) body += String(chunk)
    socket.terminate()
    const answer: { error: { code: string } } = JSON.parse(body)
    return { status: response.statusCode ?? 0, code: answer.error.code }
  }

  get closed(): Promise<{ code: number; reason: string }> {
    return Promise.race([this.#closed, wait(DEADLINE_MS, { code: 0, reason: 'still open' }, { ref: false })])
  }

  send(frame: ProxyFrame): void {
    this.#socket.send(JSON.stringify(frame))
  }

  sendText(text: string): void {
    this.#socket.send(text)
  }

  hello({
    mode = 'Gateway',
    epoch = 0,
    reads = [1],
    table,
  }: {
    mode?: ProxyMode
    epoch?: number
    reads?: number[]
    table?: TableStamp
  } = {}): void {
    this.send({ type: 'hello', reads, mode, program: 'scripted', instance: 'i-1', epoch, ...(table !== undefined && { table }) })
  }

  /** The next frame that is no heartbeat. */
  async next(): Promise<OperatorFrame> {
    const deadline = performance.now() + DEADLINE_MS
    for (;;) {
      const frame = this.#inbox.shift()
      if (frame !== undefined && frame.type !== 'heartbeat') return frame
      if (frame !== undefined) continue
      await this.#news(deadline, 'no frame came')
    }
  }

  async nextOf<Type extends OperatorFrame['type']>(type: Type): Promise<OperatorFrame & { type: Type }> {
    const frame = await this.next()
    if (isOf(frame, type)) return frame
    throw new Error(`a ${type} was due, and came: ${JSON.stringify(frame).slice(0, 300)}`)
  }

  async heartbeat(): Promise<void> {
    const deadline = performance.now() + DEADLINE_MS
    while (!this.#inbox.some(({ type }) => type === 'heartbeat')) await this.#news(deadline, 'no heartbeat came')
  }

  /** Frames that have come and were not asked for yet, heartbeats aside. */
  get waiting(): readonly OperatorFrame[] {
    return this.#inbox.filter(({ type }) => type !== 'heartbeat')
  }

  /** Says what it holds, when it is asked for it. */
  async tellHeld(): Promise<void> {
    await this.nextOf('sendHave')
    this.send({ type: 'have', entries: [...this.held.values()].map(({ kind, key, version }) => [kind, key, version] as const), last: true })
  }

  /** Takes changes up to the next commit, and keeps them. Answers nothing. */
  async take(): Promise<Taken> {
    const set: SentEntry[] = []
    const removed: string[] = []
    for (;;) {
      const frame = await this.next()
      if (frame.type === 'commit') return this.#keep({ set, removed, commit: frame })
      if (frame.type !== 'change') throw new Error(`a change or commit was due, and came: ${JSON.stringify(frame)}`)
      set.push(...frame.set)
      removed.push(...frame.remove.map(({ kind, key }) => `${kind} ${key}`))
    }
  }

  /** Takes the next commit and acknowledges it, once it adds up. */
  async follow(): Promise<Taken> {
    const taken = await this.take()
    if (this.hash !== taken.commit.hash) throw new Error('the commit does not add up')
    this.ack(taken)
    return taken
  }

  ack({ commit }: Taken): void {
    this.send({ type: 'ack', epoch: commit.epoch, seq: commit.seq, kept: [] })
  }

  get hash(): string {
    const sum = new TableHash()
    for (const { version } of this.held.values()) sum.add(version)
    return sum.hex
  }

  /** Reads nothing more from its socket until `resume`. */
  pause(): void {
    this.#socket.pause()
  }

  resume(): void {
    this.#socket.resume()
  }

  close(): void {
    this.#socket.terminate()
  }

  #keep(taken: Taken): Taken {
    for (const { kind, key, version } of taken.set) this.held.set(`${kind} ${key}`, { kind, key, version })
    for (const name of taken.removed) this.held.delete(name)
    return taken
  }

  #take(text: string): void {
    this.bytes += Buffer.byteLength(text)
    this.texts.push(text)
    const parsed = parseOperatorFrame(text)
    if (parsed.kind !== 'frame') throw new Error(`the operator sent ${text.slice(0, 300)}`)
    this.#inbox.push(parsed.frame)
    this.#wake()
  }

  async #news(deadline: number, orElse: string): Promise<void> {
    const woken = new Promise<true>((resolve) => {
      this.#wake = () => resolve(true)
    })
    const came = await Promise.race([woken, this.#closed, wait(Math.max(0, deadline - performance.now()), false, { ref: false })])
    if (came !== true) throw new Error(came === false ? orElse : `${orElse}: the stream has closed with ${came.code} ${came.reason}`)
  }
}

const isOf = <Type extends OperatorFrame['type']>(frame: OperatorFrame, type: Type): frame is OperatorFrame & { type: Type } =>
  frame.type === type

function open({ port, ca, token, subprotocol = PUSH_SUBPROTOCOL, path = PUSH_PATH }: DialOptions): WebSocket {
  const headers = token === undefined ? {} : { authorization: `Bearer ${token}` }
  return new WebSocket(`wss://127.0.0.1:${port}${path}`, subprotocol, { ca, headers, perMessageDeflate: false })
}
