/**
 * Everything on the inference port that is not inference: the model list, explain, the raw pass-through, and what nobody serves. In: what
 * the listener does not give to the lifecycle. Out: JSON, errors in the same envelope. Express: no speed is asked for here.
 */
import express, { type Express, type NextFunction, type Request, type Response } from 'express'
import type { Client } from '../decide/input.ts'
import { chat } from '../dialects/chat.ts'
import { DIALECTS } from '../dialects/dialects.ts'
import type { ApiError } from '../errors.ts'
import { authenticate } from './authenticate.ts'
import { readBody } from './body.ts'
import { explain } from './explain.ts'
import { requestIdOf, type Serving } from './lifecycle.ts'
import { findModel, listModels } from './model-list.ts'
import { sendError } from './respond.ts'

type Handler = (request: Request, response: Response, client: Client) => void | Promise<void>

export function notInference(serving: Serving, passthrough: (request: Request, response: Response, client: Client) => void): Express {
  const app = express()
  app.disable('x-powered-by')
  app.disable('etag')
  const route =
    (handler: Handler) =>
    async (request: Request, response: Response): Promise<void> => {
      const who = authenticate(request.headers, serving.table(), serving.auth, serving.now())
      if ('error' in who) fail(response, who.error)
      else await handler(request, response, who.client)
    }
  app.use((request, response, next) => {
    response.setHeader('x-request-id', requestIdOf(request.headers))
    next()
  })
  app.get(
    '/v1/models',
    route((_request, response, client) => void response.json({ object: 'list', data: listModels(serving.table(), client.namespace) })),
  )
  app.get(
    '/v1/models/*id',
    route((request, response, client) => oneModel(serving, request, response, client)),
  )
  app.post(
    '/v1/route\\:explain',
    route((request, response, client) => explainRoute(serving, request, response, client)),
  )
  app.all(['/v1/models', '/v1/models/*id'], (request, response) => wrongMethod(request, response, 'GET, HEAD'))
  app.all('/v1/route\\:explain', (request, response) => wrongMethod(request, response, 'POST'))
  app.use('/upstream/:model', route(passthrough))
  app.use((request, response) =>
    fail(response, {
      code: 'not_found',
      message: `Nothing is served at ${request.method} ${shortened(request.path)}. docs/http.md lists the paths.`,
    }),
  )
  app.use((error: unknown, _request: Request, response: Response, _next: NextFunction) => {
    if (error instanceof URIError) return fail(response, { code: 'not_found', message: 'The path has a broken percent encoding.' })
    serving.onBug(error, String(response.getHeader('x-request-id')))
    fail(response, { code: 'internal', message: 'An internal error; the log has it under this request id.' })
  })
  return app
}

const shortened = (path: string): string => (path.length > 200 ? `${path.slice(0, 200)}…` : path)

export function fail(response: Response, error: ApiError, extra: readonly string[] = []): void {
  sendError(response, error, String(response.getHeader('x-request-id')), extra)
}

function wrongMethod(request: Request, response: Response, allow: string): void {
  fail(response, { code: 'method_not_allowed', message: `${request.method} is not allowed here. Use ${allow}.` }, ['allow', allow])
}

function oneModel(serving: Serving, request: Request, response: Response, client: Client): void {
  const { id } = request.params
  const name = Array.isArray(id) ? id.join('/') : String(id)
  const found = findModel(serving.table(), name, client.namespace)
  if (found === undefined)
    fail(response, {
      code: 'model_not_found',
      message: `No model "${shortened(name)}" is served to you. GET /v1/models lists what you may use.`,
      param: 'model',
    })
  else response.json(found)
}

/** The body is the request itself; `?path=/v1/embeddings` says where it would be sent (default: chat completions). */
async function explainRoute(serving: Serving, request: Request, response: Response, client: Client): Promise<void> {
  const path = typeof request.query['path'] === 'string' ? request.query['path'] : chat.path
  const dialect = DIALECTS.get(path)
  if (dialect === undefined)
    return fail(response, { code: 'invalid_value', message: `"path" must be one of ${[...DIALECTS.keys()].join(', ')}.`, param: 'path' })
  const read = await readBody(request, serving.body, serving.held)
  if (read.kind === 'gone') return
  if (read.kind === 'error') return fail(response, read.error)
  try {
    const { live, now, dice, table, holds } = serving
    const result = explain({
      bytes: read.bytes,
      headers: request.headers,
      client,
      dialect,
      table: table(),
      live,
      nowMs: now(),
      dice: dice(),
      waitingFor: (model) => holds.waitingFor(model),
    })
    if ('error' in result) fail(response, result.error)
    else response.json(result.explanation)
  } finally {
    serving.held.give(read.bytes.length)
  }
}
