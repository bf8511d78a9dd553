/**
 * The whole life of requests (`serve/lifecycle.ts`) without a network and without time: real clients and a real server of node:http over
 * pairs of streams, upstreams that say what they are told to, a clock that moves when it is told to.
 */
import { createServer, request as httpRequest, type IncomingMessage, type Server } from 'node:http'
import { duplexPair } from 'node:stream'
import { DIALECTS } from '../../proxy/dialects/dialects.ts'
import { AddressPolicy } from '../../proxy/forward/addresses.ts'
import { Pools } from '../../proxy/forward/pools.ts'
import { Holds } from '../../proxy/hold/holds.ts'
import { Live } from '../../proxy/live/live.ts'
import { type CompiledEndpoint, type CompiledTable, compileTable, type RoutingTable } from '../../proxy/routing-table/index.ts'
import { HeldBytes } from '../../proxy/serve/body.ts'
import { type RequestRecord, type Serving, serveInference } from '../../proxy/serve/lifecycle.ts'
import type { Dice } from '../support/dice.ts'
import { Exchange, TellingDispatcher } from './exchange.ts'
import { quiet, type VirtualClock } from './virtual-clock.ts'

export interface Wish {
  readonly model: string
  readonly stream: boolean
  /** What the client allows for all attempts together. */
  readonly deadlineMs: number | undefined
}

export interface Client {
  readonly id: string
  readonly wish: Wish
  /** Undefined: no head yet. */
  status: number | undefined
  body: string
  /** The answer ended as it should. */
  whole: boolean
  /** The connection is over. */
  over: boolean
  left: boolean
  leave(): void
  pause(): void
  resume(): void
}

const PATH = '/v1/chat/completions'
const MAX_BODY_BYTES = 1024 * 1024

class ToldPools extends Pools {
  readonly #dispatcherOf: (endpoint: CompiledEndpoint) => TellingDispatcher

  constructor(dispatcherOf: (endpoint: CompiledEndpoint) => TellingDispatcher) {
    super(new AddressPolicy({ allow: [], deny: [] }))
    this.#dispatcherOf = dispatcherOf
  }

  override of(endpoint: CompiledEndpoint): TellingDispatcher {
    return this.#dispatcherOf(endpoint)
  }
}

export class Ground {
  readonly exchanges: Exchange[] = []
  readonly clients: Client[] = []
  readonly records: RequestRecord[] = []
  readonly bugs: unknown[] = []
  readonly live = new Live()
  readonly held = new HeldBytes(MAX_BODY_BYTES)
  readonly holds: Holds
  readonly #clock: VirtualClock
  readonly #server: Server
  readonly #tagOf: (requestId: string, exchange: number) => string
  #table: CompiledTable

  constructor(options: { clock: VirtualClock; dice: Dice; table: RoutingTable; tagOf: (requestId: string, exchange: number) => string }) {
    const { clock, dice, table, tagOf } = options
    this.#clock = clock
    this.#tagOf = tagOf
    this.#table = compileTable(table)
    this.live.apply(this.#table, clock.nowMs)
    this.holds = new Holds(() => clock.nowMs)
    this.live.limits.onRoom((model) => (model === undefined ? this.holds.roomAnywhere() : this.holds.roomAt(model)))
    const serving: Serving = {
      table: () => this.#table,
      live: this.live,
      pools: new ToldPools((endpoint) => this.#dispatcherOf(endpoint)),
      holds: this.holds,
      auth: { mode: 'Off', anonymousNamespace: 'default', ready: true },
      body: { maxBytes: MAX_BODY_BYTES, timeoutMs: 10_000 },
      held: this.held,
      now: () => clock.nowMs,
      dice: () => dice.roll(),
      settle: (record) => void this.records.push(record),
      onBug: (error) => void this.bugs.push(error),
    }
    const dialect = DIALECTS.get(PATH)
    if (dialect === undefined) throw new Error(`nothing is served at ${PATH}`)
    this.#server = createServer((request, response) => void serveInference(serving, request, response, dialect))
  }

  #dispatcherOf({ id }: CompiledEndpoint): TellingDispatcher {
    return new TellingDispatcher(({ requestId, stream, handler }) => {
      const tag = this.#tagOf(requestId, this.exchanges.length)
      this.exchanges.push(new Exchange({ endpoint: id, requestId, stream, tag, handler }))
    })
  }

  /** Exchanges that are not over. */
  get open(): Exchange[] {
    return this.exchanges.filter(({ over }) => !over)
  }

  /** Clients that wait for the end of their answer. */
  get connected(): Client[] {
    return this.clients.filter(({ over }) => !over)
  }

  inFlightOf(model: string): number {
    const endpoints = this.#table.models.get(model)?.endpoints ?? []
    return endpoints.reduce((sum, { id }) => sum + this.live.endpoint(id).inFlight, 0)
  }

  push(table: RoutingTable): void {
    this.#table = compileTable(table, this.#table)
    this.live.apply(this.#table, this.#clock.nowMs)
    this.holds.roomAnywhere()
  }

  async ask(wish: Wish): Promise<void> {
    const id = `r${this.clients.length}`
    const body = JSON.stringify({ model: wish.model, stream: wish.stream, messages: [{ role: 'user', content: 'hi' }] })
    const [near, far] = duplexPair()
    this.#server.emit('connection', far)
    const request = httpRequest({
      createConnection: () => near,
      method: 'POST',
      path: PATH,
      headers: {
        host: 'here',
        connection: 'close',
        'content-type': 'application/json',
        'content-length': Buffer.byteLength(body),
        'x-request-id': id,
        ...(wish.deadlineMs !== undefined && { 'x-llama-swap-timeout': `${wish.deadlineMs}ms` }),
      },
    })
    let response: IncomingMessage | undefined
    const client: Client = {
      id,
      wish,
      status: undefined,
      body: '',
      whole: false,
      over: false,
      left: false,
      leave: () => {
        if (client.over) return
        client.left = true
        client.over = true
        request.destroy()
        far.destroy()
      },
      pause: () => void response?.pause(),
      resume: () => void response?.resume(),
    }
    this.clients.push(client)
    request.on('error', () => {
      client.over = true
    })
    request.on('response', (incoming) => {
      response = incoming
      client.status = incoming.statusCode
      incoming.on('data', (chunk: Buffer) => {
        client.body += chunk.toString()
      })
      incoming.on('error', () => {})
      incoming.on('close', () => {
        client.whole = incoming.complete
        client.over = true
      })
    })
    request.end(body)
    await quiet()
  }

  close(): void {
    this.#server.close()
  }
}
