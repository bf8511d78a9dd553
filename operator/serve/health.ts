/**
 * The operator's HTTP: `/metrics`, the three health paths, and on loopback `/debug/state` for `llama-swap status` and `top`.
 * In: what to show, as functions. Out: two express apps. It decides nothing and writes nothing.
 */
import express, { type Express, type Response } from 'express'

export interface HealthChecks {
  /** The process works: its event loop turns and its watches go on. Undefined = well. */
  readonly notLiveBecause: () => string | undefined
  /** Caches synced, first table built, certificate loaded: a standby is ready too, it answers `notLeader`. */
  readonly notReadyBecause: () => string | undefined
  /** As ready, but once true it stays. */
  readonly started: () => boolean
}

export interface Shown {
  readonly checks: HealthChecks
  readonly metrics: () => Promise<string>
  readonly metricsType: string
}

export function metricsApp({ checks, metrics, metricsType }: Shown): Express {
  const app = plainApp()
  app.get('/metrics', async (_request, response) => {
    response.type(metricsType).send(await metrics())
  })
  app.get('/healthz', (_request, response) => say(response, checks.notLiveBecause()))
  app.get('/readyz', (_request, response) => say(response, checks.notReadyBecause()))
  app.get('/startupz', (_request, response) => say(response, checks.started() ? undefined : 'starting'))
  return app
}

const LOOPBACK_HOST = /^(localhost|127[.]0[.]0[.]1|\[::1\])(:\d+)?$/

/** For loopback: a page of another origin, or a name that was bound anew to loopback, reads nothing here. */
export function adminApp(state: () => unknown): Express {
  const app = plainApp()
  app.use((request, response, next) => {
    if (LOOPBACK_HOST.test(request.headers.host ?? '') && request.headers.origin === undefined) next()
    else response.status(403).json({ error: { message: 'The admin port answers on localhost only, and to no other origin.' } })
  })
  app.get('/debug/state', (_request, response) => {
    response.json(state())
  })
  return app
}

function plainApp(): Express {
  const app = express()
  app.disable('x-powered-by')
  app.disable('etag')
  return app
}

function say(response: Response, because: string | undefined): void {
  response
    .status(because === undefined ? 200 : 503)
    .type('text/plain')
    .send(because === undefined ? 'ok\n' : `${because}\n`)
}
