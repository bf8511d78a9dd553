import { createServer, type Server, type Socket } from 'node:net'
import type { Answer, Command, Received, Report, Step } from './script.ts'
import { RequestCutter } from './wire.ts'

type Tell = (report: Report) => void

/** One scripted backend on a port of its own. Owner of its sockets; they end with the process. */
export class Backend {
  readonly #name: string
  readonly #tell: Tell
  readonly #server: Server
  readonly #gates = new Map<string, PromiseWithResolvers<void>>()
  #answers: readonly Answer[]
  #served = 0
  #requests = 0
  #connections = 0

  constructor({ name, answers }: Extract<Command, { do: 'open' }>, tell: Tell) {
    this.#name = name
    this.#answers = answers
    this.#tell = tell
    this.#server = createServer({ noDelay: true }, (socket) => this.#accept(socket, ++this.#connections))
  }

  listen(): void {
    this.#server.listen(0, '127.0.0.1', () => {
      const address = this.#server.address()
      this.#tell({ kind: 'opened', name: this.#name, port: typeof address === 'object' && address !== null ? address.port : 0 })
    })
  }

  script(answers: readonly Answer[]): void {
    this.#answers = answers
    this.#served = 0
  }

  go(gate: string): void {
    this.#gate(gate).resolve()
  }

  #gate(name: string): PromiseWithResolvers<void> {
    const gate = this.#gates.get(name) ?? Promise.withResolvers<void>()
    this.#gates.set(name, gate)
    return gate
  }

  #accept(socket: Socket, connection: number): void {
    const cutter = new RequestCutter()
    const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()))
    let busy = Promise.resolve()
    socket.on('error', () => {})
    socket.on('data', (chunk: Buffer) => {
      cutter.push(chunk)
      for (let request = cutter.next(); request !== undefined; request = cutter.next()) {
        const received = request
        busy = busy.then(() => this.#serve(socket, closed, connection, received))
      }
    })
  }

  async #serve(socket: Socket, closed: Promise<void>, connection: number, request: Received): Promise<void> {
    if (request.method === 'GET') return void socket.write(NOT_HERE)
    const id = ++this.#requests
    const scripted = this.#answers[Math.min(this.#served++, this.#answers.length - 1)] ?? []
    const answer = scripted.flatMap((step) => branchOf(step, request.body))
    const about = { name: this.#name, id }
    const before = socket.bytesWritten
    this.#tell({ kind: 'request', ...about, atMs: Date.now(), connection, ...request })
    let over = false
    void closed.then(() => over || this.#tell({ kind: 'gone', ...about, atMs: Date.now(), bytes: socket.bytesWritten - before }))
    for (const step of answer) {
      if (socket.destroyed) return
      await this.#take(socket, closed, step)
    }
    over = !socket.destroyed || endsItself(answer.at(-1))
    if (over) this.#tell({ kind: 'done', ...about, atMs: Date.now(), bytes: socket.bytesWritten - before })
  }

  async #take(socket: Socket, closed: Promise<void>, step: Step): Promise<void> {
    switch (step.do) {
      case 'send':
        socket.write(step.text)
        return
      case 'sendBytes':
        socket.write(Buffer.from(step.base64, 'base64'))
        return
      case 'chunk':
        socket.write(chunkOf(step.text))
        return
      case 'flood':
        return flood(socket, closed, chunkOf(step.text), step.times)
      case 'wait':
        return Promise.race([this.#gate(step.gate).promise, closed])
      case 'pause':
        return Promise.race([new Promise<void>((resolve) => setTimeout(resolve, step.ms)), closed])
      case 'end':
        socket.write('0\r\n\r\n')
        return
      case 'close':
        socket.end()
        return
      case 'reset':
        socket.resetAndDestroy()
        return
      case 'hang':
        return closed
      case 'if': // has been replaced by one of its branches
        return
    }
  }
}

/** To probes: they are no part of a script, and are not told. An engine of this kind counts as ready. */
const NOT_HERE = 'HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n'

const branchOf = (step: Step, body: string): readonly Step[] => {
  if (step.do !== 'if') return [step]
  return body.includes(step.body) ? step.yes : step.no
}

const endsItself = (step: Step | undefined): boolean => step?.do === 'close' || step?.do === 'reset'

const chunkOf = (text: string): string => `${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`

async function flood(socket: Socket, closed: Promise<void>, chunk: string, times: number): Promise<void> {
  for (let sent = 0; sent < times && !socket.destroyed; sent++) {
    if (socket.write(chunk)) continue
    await Promise.race([new Promise<void>((resolve) => socket.once('drain', () => resolve())), closed])
  }
}
