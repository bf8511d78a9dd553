/**
 * The admin port (loopback) and the metrics port. In: people, Prometheus, the kubelet. Out: what the proxy holds and how it is, without any
 * credential. Express.
 */
import express, { type Express, type Response } from 'express'
import { rampPercent, standingOf } from '../decide/circuit-view.ts'
import type { CredentialBook } from '../live/credentials.ts'
import type { EndpointState } from '../live/endpoint-state.ts'
import type { Live } from '../live/live.ts'
import type { CompiledTable } from '../routing-table/compiled.ts'

export interface Shown {
  readonly table: () => CompiledTable
  readonly live: Live
  /** More about the table's origin: problems, statuses, refused files. */
  readonly source: () => Readonly<Record<string, unknown>>
  readonly health: Health
  readonly metrics: () => Promise<string>
  readonly now: () => number
  /** Ends the program in good order; undefined = nobody may ask for that. */
  readonly quit?: () => void
}

export interface Health {
  readonly started: () => boolean
  /** Undefined = ready; else why not. */
  readonly notReadyBecause: () => string | undefined
}

const HEALTH_PATHS = ['/metrics', '/healthz', '/readyz', '/startupz']
const PROMETHEUS_TEXT = 'text/plain; version=0.0.4; charset=utf-8'

/** `/metrics /healthz /readyz /startupz`. */
export function metricsApp(shown: Shown): Express {
  const app = bare()
  addHealth(app, shown)
  app.use((_request, response) => void response.status(404).json({ error: `Paths here: ${HEALTH_PATHS.join(' ')}` }))
  return app
}

/** `/debug/table`, `/debug/endpoints`; with `quit` `POST /quit`, with `withMetrics` the metrics port's paths too. */
export function adminApp(shown: Shown, withMetrics: boolean): Express {
  const app = bare()
  app.use((request, response, next) => {
    const { host, origin } = request.headers
    if (isLocal(host) && (origin === undefined || isLocal(origin.replace(/^https?:\/\//, '')))) next()
    else response.status(403).json({ error: 'The admin port answers to localhost only: Host and Origin are checked.' })
  })
  if (withMetrics) addHealth(app, shown)
  app.get('/debug/table', (_request, response) => void response.json({ table: redacted(shown.table()), ...shown.source() }))
  app.get('/debug/endpoints', (_request, response) => void response.json({ endpoints: endpoints(shown) }))
  if (shown.quit !== undefined) addQuit(app, shown.quit)
  const paths = ['/debug/table', '/debug/endpoints', ...(shown.quit ? ['/quit'] : []), ...(withMetrics ? HEALTH_PATHS : [])].join(' ')
  app.use((_request, response) => void response.status(404).json({ error: `Paths here: ${paths}` }))
  return app
}

/** Once the answer is on its way: whoever asked may end next. */
function addQuit(app: Express, quit: () => void): void {
  app.post('/quit', (_request, response) => {
    response.on('close', quit)
    response.type('text/plain').send('ok\n')
  })
}

function bare(): Express {
  const app = express()
  app.disable('x-powered-by')
  app.set('json spaces', 2)
  return app
}

function addHealth(app: Express, { health, metrics }: Shown): void {
  const answer = (response: Response, because: string | undefined): void =>
    void response
      .status(because === undefined ? 200 : 503)
      .type('text/plain')
      .send(`${because ?? 'ok'}\n`)
  app.get('/healthz', (_request, response) => answer(response, undefined))
  app.get('/startupz', (_request, response) => answer(response, health.started() ? undefined : 'starting'))
  app.get('/readyz', (_request, response) => answer(response, health.notReadyBecause()))
  app.get('/metrics', async (_request, response) => {
    response.setHeader('content-type', PROMETHEUS_TEXT)
    response.end(await metrics())
  })
}

/** DNS rebinding: a page from elsewhere that resolves to loopback sends its own name as Host. */
const isLocal = (host: string | undefined): boolean => host !== undefined && /^(localhost|127\.0\.0\.1|\[::1\])(:[0-9]{1,5})?$/i.test(host)

/** The table as it came, but for what must not be read. */
function redacted({ table }: CompiledTable): unknown {
  const hide = '[redacted]'
  return {
    ...table,
    credentials: table.credentials.map(({ id }) => ({ id, value: hide })),
    clientKeys: table.clientKeys.map((key) => ({ ...key, sha256: hide })),
  }
}

function endpoints({ table, live, now }: Shown): unknown[] {
  const nowMs = now()
  return [...table().endpoints.values()].map(({ id, origin, basePath, model, backend }) => {
    const state = live.endpoint(id)
    return {
      id,
      model,
      backend: backend.name,
      url: origin + basePath,
      engine: state.engine ?? backend.engine,
      ready: state.ready ?? null,
      notReadyBecause: state.notReadyBecause ?? null,
      coolingForMs: Math.max(0, Math.round(state.coolUntilMs - nowMs)),
      coolingBecause: state.coolUntilMs > nowMs ? (state.coolBecause ?? null) : null,
      circuit: circuitShown(state, nowMs),
      credentials: backend.auth?.credentials.map((credential) => credentialShown(credential, live.credentials, nowMs)) ?? [],
      inFlight: state.inFlight,
      running: state.running ?? null,
      waiting: state.waiting ?? null,
      cacheUsed: state.cacheUsed ?? null,
      signalsAgeMs: Number.isFinite(state.signalsAtMs) ? Math.round(nowMs - state.signalsAtMs) : null,
      probeMs: state.responseMs === undefined ? null : Math.round(state.responseMs * 10) / 10,
      contextWindowTokens: backend.contextWindowTokens ?? state.contextWindowTokens ?? null,
      capabilities: backend.capabilities ?? state.capabilities ?? null,
      lacking: state.lacking,
      modelMissing: state.modelMissing,
    }
  })
}

/** `state` as operators are told it; `sharePercent` of its fair share. */
function circuitShown(state: EndpointState, nowMs: number): unknown {
  const { circuit } = state
  const standing = standingOf(state, nowMs)
  return {
    state: standing?.state ?? 'closed',
    because: standing?.because ?? null,
    openForMs: circuit.state === 'open' ? Math.max(0, Math.round(circuit.untilMs - nowMs)) : 0,
    openedInARow: circuit.state === 'closed' ? 0 : circuit.opens,
    sharePercent: rampPercent(circuit, nowMs),
    retestedBy: state.retestedBy,
  }
}

/** By its opaque id. */
function credentialShown(id: string, book: CredentialBook, nowMs: number): unknown {
  const parked = book.parked(id, nowMs)
  return {
    id,
    state: parked?.kind ?? 'in_use',
    because: parked?.because ?? null,
    forMs: parked === undefined ? 0 : Math.max(0, Math.round(parked.untilMs - nowMs)),
  }
}
