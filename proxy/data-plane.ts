import { createServer, type Server } from 'node:http'
import { AccessLog } from './account/access-log.ts'
import type { Logger } from './account/log.ts'
import { Metrics } from './account/metrics.ts'
import type { PushSources } from './account/push-metrics.ts'
import type { ProxyConfig } from './config.ts'
import { standingOf } from './decide/circuit-view.ts'
import { AddressPolicy } from './forward/addresses.ts'
import { Pools } from './forward/pools.ts'
import { Holds } from './hold/holds.ts'
import type { Limits } from './limits/limits.ts'
import type { EndpointState } from './live/endpoint-state.ts'
import { Live } from './live/live.ts'
import { Prober } from './probe/prober.ts'
import type { ProbeReport, RetestReport } from './probe/report.ts'
import { Receiver } from './receive/receiver.ts'
import type { CompiledTable } from './routing-table/compiled.ts'
import type { EndpointReport } from './routing-table/frames.ts'
import { adminApp, metricsApp, type Shown } from './serve/admin.ts'
import type { AuthMode, AuthSettings } from './serve/authenticate.ts'
import { HeldBytes } from './serve/body.ts'
import type { RequestRecord, Serving } from './serve/lifecycle.ts'
import { Listener, listening } from './serve/listener.ts'
import { notInference } from './serve/not-inference.ts'
import { passthrough } from './serve/passthrough.ts'
import { Certificate } from './serve/tls-certificate.ts'
import type { PairFiles } from './serve/tls-pair.ts'

/** All request bodies held at one time. */
const MAX_HELD_BYTES = 512 * 1024 * 1024

export interface DataPlaneOptions {
  readonly config: ProxyConfig
  readonly auth: AuthMode
  readonly logger: Logger
  readonly output: NodeJS.WritableStream
  readonly version: string
  /** Undefined = the namespace of `config`: where every request has the rights of one namespace, that one. */
  readonly namespace?: () => string
  /** Why no table has come yet; of a pushed one. */
  readonly waitsBecause?: () => string
  /** How long it does not count as started without a table; a sidecar's app starts after it, table or not. */
  readonly startupGraceMs?: number
  readonly push?: PushSources
  /** Ends the program in good order; undefined = nobody at the admin port may ask for that. */
  readonly quit?: () => void
  /** Told of each settled request. */
  readonly onSettled?: (record: RequestRecord) => void
  /** More for `/debug/table`: where the table came from and what is wrong there. */
  readonly source: () => Readonly<Record<string, unknown>>
}

export interface Ports {
  readonly inference: number
  readonly admin: number
  readonly metrics: number | undefined
}

/**
 * The data plane in one object: parts wired together, ports opened, and closed in order. It takes tables by `receiver` and knows nothing
 * of where they come from.
 */
export class DataPlane {
  readonly receiver: Receiver
  readonly #options: DataPlaneOptions
  readonly #live = new Live({
    onCircuit: (event) => this.#metrics.recordCircuit(event),
    retest: (id, afterMs) => this.#prober.retest(id, afterMs),
  })
  readonly #holds = new Holds(wallClock)
  readonly #addresses: AddressPolicy
  readonly #pools: Pools
  readonly #prober: Prober
  readonly #metrics: Metrics
  readonly #accessLog: AccessLog
  readonly #listener: Listener
  readonly #certificate: Certificate | undefined
  readonly #admin: Server
  readonly #metricsServer: Server | undefined
  #startedAtMs: number | undefined
  #draining = false

  constructor(options: DataPlaneOptions) {
    this.#options = options
    const { config, logger } = options
    const addresses = new AddressPolicy({ allow: config.allowAddresses, deny: config.denyAddresses })
    this.#addresses = addresses
    this.#live.limits.onRoom((model) => (model === undefined ? this.#holds.roomAnywhere() : this.#holds.roomAt(model)))
    this.#pools = new Pools(addresses)
    this.#prober = new Prober({
      onReport: (report) => this.#heard(report),
      onRetest: (report) => this.#retested(report),
      random: Math.random,
      addresses,
    })
    this.#accessLog = new AccessLog({ output: options.output, level: config.logLevel })
    const certificate = config.tls === undefined ? undefined : this.#certificateOf(config.tls)
    this.#certificate = certificate
    this.receiver = new Receiver({ swap: (table) => this.#swap(table), refused: (errors) => this.#refused(errors) })
    const table = (): CompiledTable => this.receiver.current
    const held = new HeldBytes(MAX_HELD_BYTES)
    this.#metrics = new Metrics({
      live: this.#live,
      table,
      held,
      holds: this.#holds,
      version: options.version,
      accessLinesDropped: () => this.#accessLog.dropped,
      ...(options.push !== undefined && { push: options.push }),
      ...(certificate !== undefined && {
        tls: () => ({ ...certificate.readings, failedHandshakes: this.#listener.failedHandshakes.counts }),
      }),
    })
    const serving: Serving = {
      table,
      live: this.#live,
      pools: this.#pools,
      holds: this.#holds,
      auth: this.#authSettings(),
      body: { maxBytes: config.maxBodyBytes, timeoutMs: config.bodyTimeoutMs },
      held,
      now: wallClock,
      dice: Math.random,
      settle: (record) => {
        this.#metrics.record(record)
        this.#accessLog.write(record)
        options.onSettled?.(record)
      },
      onBug: (error, requestId) =>
        logger.error('bug', { request_id: requestId, stack: error instanceof Error ? error.stack : String(error) }),
    }
    const raw = passthrough(serving, addresses)
    this.#listener = new Listener(
      { serving, other: notInference(serving, raw.serve), upgrade: raw.upgrade },
      { maxConnectionAgeMs: config.maxConnectionAgeMs, tls: certificate !== undefined },
    )
    const shown: Shown = {
      table,
      live: this.#live,
      source: options.source,
      health: { started: () => this.#hasStarted(), notReadyBecause: () => this.#notReadyBecause() },
      metrics: () => this.#metrics.registry.metrics(),
      now: wallClock,
      ...(options.quit !== undefined && { quit: options.quit }),
    }
    this.#admin = createServer(adminApp(shown, config.metricsPort === undefined))
    this.#metricsServer = config.metricsPort === undefined ? undefined : createServer(metricsApp(shown))
  }

  /** For whoever says how much of shared limits is this proxy's. */
  get limits(): Limits {
    return this.#live.limits
  }

  /** Opens every port; rejects (with the port in `error.port`) if one cannot be had. */
  async start(): Promise<Ports> {
    const { host, port, adminPort, metricsHost, metricsPort } = this.#options.config
    await this.#certificate?.start()
    const inference = await this.#listener.listen(port, host)
    const admin = await listening(this.#admin, adminPort, '127.0.0.1')
    const metrics =
      this.#metricsServer === undefined || metricsPort === undefined
        ? undefined
        : await listening(this.#metricsServer, metricsPort, metricsHost)
    this.#startedAtMs = performance.now()
    return { inference, admin, metrics }
  }

  /** Readiness off, a pause for it to be seen, then no new connections; running requests have the grace to end; then all is cut. */
  async close(): Promise<void> {
    const { drainDelayMs, shutdownGraceMs } = this.#options.config
    this.#draining = true
    this.#certificate?.close()
    this.#listener.drain()
    await pause(drainDelayMs)
    await this.#listener.close(shutdownGraceMs)
    await this.#prober.close()
    await this.#pools.destroy()
    await closeWithin(this.#admin, 0)
    if (this.#metricsServer !== undefined) await closeWithin(this.#metricsServer, 0)
    this.#metrics.close()
    await this.#accessLog.flush()
  }

  /** Every endpoint's state, as far as operators are told of it. */
  *endpointReports(): Generator<EndpointReport, void, undefined> {
    const nowMs = wallClock()
    for (const [id, state] of this.#live.all()) yield endpointReport(id, state, nowMs)
  }

  #certificateOf(files: PairFiles): Certificate {
    const { logger } = this.#options
    return new Certificate(files, {
      use: (pair) => this.#listener.certify(pair),
      renewed: ({ expiresAtMs }) => logger.info('new certificate in use', { expires: new Date(expiresAtMs).toISOString() }),
      refused: (reason) => logger.error('new certificate refused; the last good one stays', { reason }),
    })
  }

  #authSettings(): AuthSettings {
    const { auth, config, namespace } = this.#options
    const { receiver } = this
    return {
      mode: auth,
      get anonymousNamespace() {
        return namespace?.() ?? config.anonymousNamespace
      },
      get ready() {
        return receiver.ready
      },
    }
  }

  #swap(table: CompiledTable): void {
    this.#live.apply(table, wallClock())
    this.#pools.apply(table, this.#addresses.apply(table.table))
    this.#prober.apply(
      // Each request to a last resort reaches another pod: what a probe heard would hold for none of them.
      [...table.endpoints.values()].flatMap((endpoint) => {
        const { id, model, backend, lastResort } = endpoint
        return lastResort ? [] : [{ id, model, backend, endpoint, aliases: table.models.get(model)?.entry.aliases ?? [] }]
      }),
    )
    this.#holds.roomAnywhere()
    this.#metrics.swapped('applied')
    const { epoch, seq, models, policies } = table.table
    this.#options.logger.info('routing table taken', {
      epoch,
      seq,
      models: models.length,
      policies: policies.length,
      endpoints: table.endpoints.size,
    })
  }

  #heard(report: ProbeReport): void {
    this.#live.report(report)
    const endpoint = this.receiver.current.endpoints.get(report.endpointId)
    if (endpoint !== undefined) this.#holds.roomAt(endpoint.model)
  }

  #retested(report: RetestReport): void {
    this.#live.retested(report, wallClock(), Math.random())
    const endpoint = this.receiver.current.endpoints.get(report.endpointId)
    if (endpoint !== undefined) this.#holds.roomAt(endpoint.model)
  }

  #refused(errors: readonly string[]): void {
    this.#metrics.swapped('refused')
    this.#options.logger.error('routing table refused; the last good one stays', { errors })
  }

  /** Ports are open, and a table is there or waited for no longer. */
  #hasStarted(): boolean {
    const { startupGraceMs = 0 } = this.#options
    const since = this.#startedAtMs
    return since !== undefined && (this.receiver.ready || performance.now() - since >= startupGraceMs)
  }

  #notReadyBecause(): string | undefined {
    if (this.#draining) return 'draining'
    if (this.receiver.ready) return undefined
    const because = this.#options.waitsBecause?.()
    return because === undefined ? 'no routing table has been taken yet' : `no routing table yet: ${because}`
  }
}

const MAX_BECAUSE = 512

function endpointReport(id: string, state: EndpointState, nowMs: number): EndpointReport {
  const { ready, inFlight, engine } = state
  const standing = standingOf(state, nowMs)
  return {
    id,
    inFlight,
    ...(ready !== undefined && { up: ready }),
    ...(engine !== undefined && { engine }),
    ...(standing !== undefined && { circuit: standing.state }),
    ...(standing?.because !== undefined && { because: standing.because.slice(0, MAX_BECAUSE) }),
  }
}

/** Wall-clock milliseconds with a monotonic clock's fraction: deadlines do not jump when the clock is set. */
const wallClock = (): number => performance.timeOrigin + performance.now()

const pause = (ms: number): Promise<void> => (ms <= 0 ? Promise.resolve() : new Promise((resolve) => setTimeout(resolve, ms)))

function closeWithin(server: Server, graceMs: number): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => server.closeAllConnections(), graceMs)
    server.close(() => {
      clearTimeout(timer)
      resolve()
    })
    server.closeIdleConnections()
  })
}
