import type { Server as HttpServer } from 'node:http'
import { Server, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'

/**
 * Once the port is closed, a connection stays open so long after its last answer: its client may have sent the next request before it could
 * know. One that is used again is answered, with `connection: close`.
 */
const LINGER_MS = 1000
const CHECK_MS = 100
/** Of an age, either way: connections that came together do not go together. */
const JITTER = 0.1

interface Connection {
  readonly socket: Socket
  /** From here on an answer closes it. */
  readonly retireAtMs: number
  /** Requests that are being answered. */
  active: number
  idleSinceMs: number
}

/** The connections of a port: how old each is, since when it is idle. Owner of the port's end: `close()` once. */
export class Connections {
  readonly #server: HttpServer
  readonly #maxAgeMs: number
  readonly #open = new Map<Duplex, Connection>()
  /** Those too whose TLS handshake has not ended. */
  readonly #sockets = new Set<Socket>()

  /** `maxAgeMs` may be Infinity. */
  constructor(server: HttpServer, maxAgeMs: number) {
    this.#server = server
    this.#maxAgeMs = maxAgeMs
  }

  /** A socket of the server, encrypted or not; the TLS within one is another. */
  admit(socket: Socket): void {
    this.#sockets.add(socket)
    socket.once('close', () => this.#sockets.delete(socket))
  }

  /** A socket that requests come on. */
  open(socket: Socket): void {
    const nowMs = performance.now()
    const retireAtMs = nowMs + this.#maxAgeMs * (1 - JITTER + 2 * JITTER * Math.random())
    this.#open.set(socket, { socket, retireAtMs, active: 0, idleSinceMs: nowMs })
    socket.once('close', () => this.#open.delete(socket))
  }

  isOpen(socket: Duplex): boolean {
    return this.#open.has(socket)
  }

  /** A request begins. True: its connection is old enough to end with it. An upgraded one never becomes idle again. */
  begin(socket: Socket): boolean {
    const connection = this.#open.get(socket)
    if (connection === undefined) return false
    connection.active++
    return performance.now() >= connection.retireAtMs
  }

  /** An answer has ended. */
  end(socket: Socket): void {
    const connection = this.#open.get(socket)
    if (connection === undefined) return
    connection.active--
    connection.idleSinceMs = performance.now()
  }

  /** No new connections; idle ones end, used ones when they become idle, all after `graceMs`. Resolves when none is left. */
  close(graceMs: number): Promise<void> {
    return new Promise((resolve) => {
      const idle = setInterval(() => this.#endIdle(), CHECK_MS)
      const grace = setTimeout(() => this.#cut(), graceMs)
      // The close of http.Server would end idle connections at once, those too on which a request is under way.
      Server.prototype.close.call(this.#server, () => {
        clearInterval(idle)
        clearTimeout(grace)
        resolve()
      })
      this.#endIdle()
    })
  }

  #endIdle(): void {
    const beforeMs = performance.now() - LINGER_MS
    for (const { socket, active, idleSinceMs } of this.#open.values()) if (active === 0 && idleSinceMs <= beforeMs) socket.destroySoon()
  }

  #cut(): void {
    for (const socket of [...this.#open.keys(), ...this.#sockets]) socket.destroy()
  }
}
