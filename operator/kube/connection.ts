import { createHash } from 'node:crypto'
import type { RequestOptions } from 'node:https'
import type { KubeConfig } from '@kubernetes/client-node'
import { Agent } from 'undici'

/** Where to send a call and as whom. */
export interface Route {
  /** "https://10.0.0.1:443", without a path. */
  readonly origin: string
  /** What precedes every path; "" or "/k8s/clusters/c-1". */
  readonly basePath: string
  readonly headers: Readonly<Record<string, string>>
  readonly agents: Agents
}

interface Agents {
  /** For calls that end: few connections, kept open. */
  readonly calls: Agent
  /** For watches: each holds a connection of its own, so they never wait for one another. */
  readonly watches: Agent
}

const CONNECT_TIMEOUT_MS = 5000
const KEEP_ALIVE_MS = 30_000
const MAX_CALLS_AT_ONCE = 16

/**
 * The way to the API server. Token, CA and client certificate are read afresh for each call, so that rotated files take effect, and connections
 * are kept as long as these stay the same (the package's own dispatcher makes a new one for every call).
 * Owner: the client; `close()` ends all connections.
 */
export class Connection {
  readonly #load: () => KubeConfig
  #config: KubeConfig
  #agents: (Agents & { readonly identity: string }) | undefined

  constructor(load: () => KubeConfig) {
    this.#load = load
    this.#config = withoutTlsWhereNone(load())
  }

  /** Throws when a file is not readable or a credential plugin fails. */
  async route(): Promise<Route> {
    const cluster = this.#config.getCurrentCluster()
    if (cluster === null) throw new Error('The kubeconfig names no cluster.')
    if (cluster.proxyUrl !== undefined && cluster.proxyUrl !== null) throw new Error('A kubeconfig with proxy-url is not supported.')
    const options: RequestOptions = {}
    await this.#config.applyToHTTPSOptions(options)
    const { origin, pathname } = new URL(cluster.server)
    return { origin, basePath: pathname.replace(/\/$/, ''), headers: headersOf(options), agents: this.#agentsFor(options) }
  }

  /** Reads the configuration itself again: its token was refused, and ones that were read are kept for up to a minute. */
  reload(): void {
    this.#config = withoutTlsWhereNone(this.#load())
  }

  async close(): Promise<void> {
    const agents = this.#agents
    this.#agents = undefined
    await Promise.all([agents?.calls.destroy(), agents?.watches.destroy()])
  }

  #agentsFor(options: RequestOptions): Agents {
    const identity = identityOf(options)
    if (this.#agents?.identity === identity) return this.#agents
    const before = this.#agents
    this.#agents = { identity, ...makeAgents(options) }
    // What runs on the old connections may end by itself: watches do within minutes.
    void before?.calls.close()
    void before?.watches.close()
    return this.#agents
  }
}

/** The package refuses plain HTTP (`kubectl proxy`) unless told that there is no TLS to verify. */
function withoutTlsWhereNone(config: KubeConfig): KubeConfig {
  config.clusters = config.clusters.map((cluster) => (cluster.server.startsWith('http:') ? { ...cluster, skipTLSVerify: true } : cluster))
  return config
}

function headersOf({ headers = {}, auth }: RequestOptions): Record<string, string> {
  const basic = typeof auth === 'string' ? { authorization: `Basic ${Buffer.from(auth).toString('base64')}` } : {}
  // A token read from a file ends in a line break when an editor wrote it.
  const given = Object.entries(headers).map(([name, value]) => [name.toLowerCase(), String(value).trim()] as const)
  return { 'user-agent': 'llama-swap', accept: 'application/json', ...basic, ...Object.fromEntries(given) }
}

function identityOf({ ca, cert, key, servername, rejectUnauthorized }: RequestOptions): string {
  const digest = createHash('sha256')
  for (const part of [ca, cert, key, servername, rejectUnauthorized]) digest.update(`${JSON.stringify(part)}\n`)
  return digest.digest('hex')
}

function makeAgents({ ca, cert, key, servername, rejectUnauthorized }: RequestOptions): Agents {
  const tls = Object.entries({ ca, cert, key, servername, rejectUnauthorized }).filter(([, value]) => value !== undefined)
  const connect = { ...Object.fromEntries(tls), timeout: CONNECT_TIMEOUT_MS, keepAlive: true, keepAliveInitialDelay: KEEP_ALIVE_MS }
  const shared = { connect, allowH2: false, pipelining: 1, keepAliveTimeout: KEEP_ALIVE_MS, headersTimeout: 0, bodyTimeout: 0 }
  return { calls: new Agent({ ...shared, connections: MAX_CALLS_AT_ONCE }), watches: new Agent({ ...shared, connections: null }) }
}
