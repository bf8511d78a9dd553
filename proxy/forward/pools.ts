import { buildConnector, type Dispatcher, Pool } from 'undici'
import type { CompiledEndpoint, CompiledTable } from '../routing-table/compiled.ts'
import type { AddressPolicy } from './addresses.ts'
import { noteConnection } from './stale.ts'

const DEFAULT_CONNECT_MS = 2000
/** Below the five seconds after which llama.cpp and most Python servers close an idle socket. */
const KEEP_ALIVE_MS = 4000
const MAX_CONNECTIONS = 2048
const MAX_HEAD_BYTES = 64 * 1024

/** One undici pool per endpoint, made on first use, closed when its endpoint leaves the table (running requests end first). */
export class Pools {
  readonly #pools = new Map<string, Pool>()
  readonly #addresses: AddressPolicy

  constructor(addresses: AddressPolicy) {
    this.#addresses = addresses
  }

  of(endpoint: CompiledEndpoint): Dispatcher {
    const found = this.#pools.get(endpoint.id)
    if (found !== undefined) return found
    const pool = this.#open(endpoint)
    this.#pools.set(endpoint.id, pool)
    return pool
  }

  /** `reconnect`: no new request goes over a connection that is open now. */
  apply(table: CompiledTable, reconnect = false): void {
    for (const [id, pool] of this.#pools) {
      if (!reconnect && table.endpoints.has(id)) continue
      this.#pools.delete(id)
      pool.close().catch(() => pool.destroy())
    }
  }

  /** Waits for running requests. */
  async close(): Promise<void> {
    await Promise.allSettled([...this.#pools.values()].map((pool) => pool.close()))
  }

  async destroy(): Promise<void> {
    await Promise.allSettled([...this.#pools.values()].map((pool) => pool.destroy()))
  }

  #open({ origin, backend }: CompiledEndpoint): Pool {
    const addresses = this.#addresses
    const connect = buildConnector({ timeout: backend.timeouts.connectMs ?? DEFAULT_CONNECT_MS, allowH2: false, lookup: addresses.lookup })
    return new Pool(origin, {
      connections: MAX_CONNECTIONS,
      pipelining: 1,
      keepAliveTimeout: KEEP_ALIVE_MS,
      headersTimeout: 0,
      bodyTimeout: 0,
      maxHeaderSize: MAX_HEAD_BYTES,
      connect: (options, callback) => {
        const refusal = addresses.refusal(options.hostname)
        if (refusal !== undefined) return callback(refusal, null)
        connect(options, (...result) => {
          if (result[0] === null) noteConnection(result[1])
          callback(...result)
        })
      },
    })
  }
}
