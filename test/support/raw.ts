/** A client on a bare socket: it sends any bytes, and sees every byte and every read. */
import { connect, type Socket } from 'node:net'

export interface RawAnswer {
  /** Everything received, as latin1. */
  readonly text: string
  /** The socket has been closed by the other side, in whatever way. */
  readonly closed: boolean
  readonly tookMs: number
}

export interface RawClient {
  readonly socket: Socket
  send(bytes: string | Buffer): void
  text(): string
  /** Resolves when what came fits; rejects when the socket closes before, or after `withinMs`. */
  until(fits: (text: string) => boolean, withinMs?: number): Promise<string>
  /** Resolves when the other side has closed; rejects after `withinMs`. */
  closed(withinMs?: number): Promise<RawAnswer>
  destroy(): void
}

export function rawClient(port: number): RawClient {
  const socket = connect(port, '127.0.0.1')
  const startMs = performance.now()
  const waiting = new Set<() => void>()
  let text = ''
  let isClosed = false
  const wakeAll = (): void => {
    for (const wake of waiting) wake()
  }
  socket.on('data', (bytes: Buffer) => {
    text += bytes.toString('latin1')
    wakeAll()
  })
  socket.on('error', () => {}) // a reset is a close like any other here
  socket.on('close', () => {
    isClosed = true
    wakeAll()
  })
  const wait = (done: () => boolean, withinMs: number, what: string): Promise<void> =>
    new Promise((resolve, reject) => {
      const end = (error?: Error): void => {
        clearTimeout(timer)
        waiting.delete(look)
        if (error === undefined) resolve()
        else reject(error)
      }
      const look = (): void => {
        if (done()) end()
        else if (isClosed) end(new Error(`the connection closed before ${what}: ${text.slice(0, 2000)}`))
      }
      const timer = setTimeout(() => end(new Error(`${withinMs} ms passed before ${what}: ${text.slice(0, 2000)}`)), withinMs)
      waiting.add(look)
      look()
    })
  return {
    socket,
    send: (bytes) => void socket.write(bytes, 'latin1'),
    text: () => text,
    until: async (fits, withinMs = 5000) => {
      await wait(() => fits(text), withinMs, 'the expected bytes')
      return text
    },
    closed: async (withinMs = 5000) => {
      await wait(() => isClosed, withinMs, 'the close')
      return { text, closed: true, tookMs: performance.now() - startMs }
    },
    destroy: () => socket.destroy(),
  }
}

/** A request as bytes, with a JSON body. */
export function rawRequest(path: string, body: unknown, headers: readonly string[] = []): string {
  const text = JSON.stringify(body)
  const lines = [
    `POST ${path} HTTP/1.1`,
    'host: localhost',
    'content-type: application/json',
    `content-length: ${Buffer.byteLength(text)}`,
    ...headers,
  ]
  return `${lines.join('\r\n')}\r\n\r\n${text}`
}

/** The chunks of a chunked body, each as it was framed; what is not complete is left out. `text`: head and body, latin1. */
export function chunksOf(text: string): string[] {
  const chunks: string[] = []
  let at = text.indexOf('\r\n\r\n') + 4
  for (;;) {
    const lineEnd = text.indexOf('\r\n', at)
    const size = Number.parseInt(text.slice(at, lineEnd), 16)
    if (lineEnd === -1 || !(size > 0) || text.length < lineEnd + 2 + size) return chunks
    chunks.push(text.slice(lineEnd + 2, lineEnd + 2 + size))
    at = lineEnd + 2 + size + 2
  }
}
