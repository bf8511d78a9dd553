import { lookup } from 'node:dns/promises'
import { isIP } from 'node:net'
import type { GatewayAddress } from './visible.ts'

export interface GatewayFinderOptions {
  /** "http://llama-swap.llama-swap.svc". */
  readonly url: string
  /** With the addresses of its name, whenever they are others than before. */
  readonly onFound: (gateway: GatewayAddress) => void
  /** Absent: as the system resolves names. */
  readonly resolve?: (host: string) => Promise<readonly string[]>
  readonly everyMs?: number
}

const EVERY_MS = 5_000
/** What a table takes. */
const MAX_ADDRESSES = 1000

/**
 * Finds the addresses of the gateways' Service, for sidecars: private ones they use only where the table names them. By name, as an
 * installation for other namespaces than its own may not read Services there. What was found stays while the name cannot be resolved.
 * Owner: the operator's main; `close()` once.
 */
export class GatewayFinder {
  readonly #options: GatewayFinderOptions
  readonly #host: string
  #timer: NodeJS.Timeout | undefined
  #known = ''
  #isClosed = false

  constructor(options: GatewayFinderOptions) {
    this.#options = options
    this.#host = new URL(options.url).hostname
  }

  /** An address in the URL needs no look-up. */
  start(): void {
    if (isIP(this.#host.replace(/^\[|\]$/g, '')) !== 0) return
    void this.#look()
  }

  close(): void {
    this.#isClosed = true
    clearTimeout(this.#timer)
  }

  async #look(): Promise<void> {
    const { url, onFound, resolve = resolveName, everyMs = EVERY_MS } = this.#options
    const addresses = [...(await resolve(this.#host).catch(() => []))].sort().slice(0, MAX_ADDRESSES)
    if (this.#isClosed) return
    this.#timer = setTimeout(() => void this.#look(), everyMs)
    const found = addresses.join()
    if (addresses.length === 0 || found === this.#known) return
    this.#known = found
    onFound({ url, addresses })
  }
}

const resolveName = async (host: string): Promise<readonly string[]> => (await lookup(host, { all: true })).map(({ address }) => address)
