/**
 * `/upstream/{model}/…`: raw requests and WebSockets to one endpoint of a model that allows it (`passthrough.enabled`). In: an authenticated
 * client. Out: the engine's own bytes. Off unless the model says so; no backend credential goes along unless `forwardAuth`; never retried.
 */
import { Agent, type ClientRequest, type IncomingMessage, type ServerResponse } from 'node:http'
import { Agent as TlsAgent } from 'node:https'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { Request, Response } from 'express'
import { createProxyMiddleware } from 'http-proxy-middleware'
import { chooseEndpoint } from '../decide/choose-endpoint.ts'
import type { Client } from '../decide/input.ts'
import type { ApiError } from '../errors.ts'
import type { AddressPolicy } from '../forward/addresses.ts'
import { resolveName } from '../routing-table/compile.ts'
import type { CompiledEndpoint } from '../routing-table/compiled.ts'
import { authenticate } from './authenticate.ts'
import type { Serving } from './lifecycle.ts'
import { fail } from './not-inference.ts'
import { sendError } from './respond.ts'

const PREFIX = /^\/upstream\/([^/?]+)(\/[^?]*)?(\?.*)?$/
const MAX_SOCKETS = 256
/** Credentials of the client, and what concerns one connection only. */
const STRIPPED = [
  'authorization',
  'x-api-key',
  'cookie',
  'proxy-authorization',
  'expect',
  'forwarded',
  'x-forwarded-for',
  'x-llama-swap-debug',
  'x-llama-swap-timeout',
]

interface Destination {
  readonly endpoint: CompiledEndpoint
  readonly path: string
  readonly credential: string | undefined
}

export interface Passthrough {
  readonly serve: (request: Request, response: Response, client: Client) => void
  readonly upgrade: (request: IncomingMessage, socket: Duplex, head: Buffer) => void
}

export function passthrough(serving: Serving, addresses: AddressPolicy): Passthrough {
  const agents = {
    'http:': new Agent({ keepAlive: true, maxSockets: MAX_SOCKETS, lookup: addresses.lookup }),
    'https:': new TlsAgent({ keepAlive: true, maxSockets: MAX_SOCKETS, lookup: addresses.lookup }),
  }
  const destinations = new WeakMap<IncomingMessage, Destination>()
  const of = (request: IncomingMessage): Destination => {
    const destination = destinations.get(request)
    if (destination === undefined) throw new Error('a pass-through request without its destination')
    return destination
  }
  const dress = (outgoing: ClientRequest, request: IncomingMessage): void => {
    for (const name of STRIPPED) outgoing.removeHeader(name)
    const { endpoint, credential } = of(request)
    for (const { name, value } of endpoint.backend.headers) outgoing.setHeader(name, value)
    const { auth } = endpoint.backend
    if (auth !== undefined && credential !== undefined)
      outgoing.setHeader(auth.header, auth.scheme === '' ? credential : `${auth.scheme} ${credential}`)
  }
  const proxyTo = (protocol: 'http:' | 'https:'): ReturnType<typeof createProxyMiddleware> =>
    createProxyMiddleware({
      router: (request) => of(request).endpoint.origin,
      pathRewrite: (_path, request) => of(request).path,
      changeOrigin: true,
      ws: false,
      agent: agents[protocol],
      ejectPlugins: true,
      plugins: [
        (proxy) => {
          proxy.on('proxyReq', dress)
          proxy.on('proxyReqWs', dress)
          proxy.on('error', (_error, _request, response) => broken(response))
        },
      ],
    })
  const proxies = { 'http:': proxyTo('http:'), 'https:': proxyTo('https:') }
  const proxyFor = ({ endpoint }: Destination): ReturnType<typeof createProxyMiddleware> =>
    proxies[endpoint.origin.startsWith('https:') ? 'https:' : 'http:']

  return {
    serve(request, response, client) {
      if (serving.auth.mode === 'Optional' && client.name === undefined) return fail(response, STRANGER)
      const found = destinationOf(serving, addresses, request.originalUrl, client)
      if ('error' in found) return fail(response, found.error)
      destinations.set(request, found)
      const guard = serving.live.take(found.endpoint.id)
      response.on('close', () => guard.release())
      request.url = request.originalUrl
      void proxyFor(found)(request, response, () =>
        fail(response, { code: 'not_found', message: 'The pass-through did not take this request.' }),
      )
    },
    upgrade(request, socket, head) {
      const who = authenticate(request.headers, serving.table(), serving.auth, serving.now())
      if ('error' in who || (serving.auth.mode === 'Optional' && who.client.name === undefined)) return refuseUpgrade(socket, 401)
      const found = destinationOf(serving, addresses, request.url ?? '', who.client)
      if ('error' in found) return refuseUpgrade(socket, 404)
      destinations.set(request, found)
      const guard = serving.live.take(found.endpoint.id)
      socket.on('close', () => guard.release())
      socket.on('error', () => socket.destroy())
      proxyFor(found).upgrade(request, socketOf(socket), head)
    },
  }
}

function socketOf(duplex: Duplex): Socket {
  if (isSocket(duplex)) return duplex
  throw new Error('an upgrade without a socket')
}
const isSocket = (duplex: Duplex): duplex is Socket => 'setNoDelay' in duplex

function destinationOf(serving: Serving, addresses: AddressPolicy, url: string, client: Client): Destination | { error: ApiError } {
  const [, encoded = '', path = '/', query = ''] = PREFIX.exec(url) ?? []
  const name = decoded(encoded)
  const claim = name === undefined ? undefined : resolveName(serving.table(), name, client.namespace)
  if (claim?.kind !== 'model' || !claim.model.entry.passthrough.enabled) {
    return {
      error: {
        code: 'model_not_found',
        message: 'No model of this name has a pass-through here. Its resource must say passthrough.enabled.',
        param: 'model',
      },
    }
  }
  const { model } = claim
  const input = { live: serving.live, nowMs: serving.now() }
  const ready = model.endpoints.filter(
    ({ id, origin }) => serving.live.endpoint(id).ready !== false && addresses.refusal(new URL(origin).hostname) === undefined,
  )
  if (ready.length === 0)
    return {
      error: { code: 'no_available_target', message: `No endpoint of "${name}" can take requests.`, retryAfterMs: 5000, shouldRetry: true },
    }
  const { endpoint } = chooseEndpoint({ model, weight: 1, tier: 0, endpoints: ready, lost: undefined }, input, serving.dice)
  const credentials = model.entry.passthrough.forwardAuth ? (endpoint.backend.auth?.credentials ?? []) : []
  const id = serving.live.credentials.pick(credentials, input.nowMs)
  return { endpoint, path: `${path}${query}`, credential: id === undefined ? undefined : serving.table().credentials.get(id) }
}

function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text)
  } catch {
    return undefined // a broken percent encoding names no model
  }
}

/** Before the head: a JSON error. After it: a broken connection, never a clean end behind half an answer. */
function broken(response: ServerResponse | Duplex | undefined): void {
  if (response === undefined) return
  if (!('writeHead' in response)) return void response.destroy()
  if (response.headersSent) return void response.destroy()
  sendError(response, UNANSWERED, String(response.getHeader('x-request-id')))
}

/** Where others may come without a key, nobody may come here without one. */
const STRANGER: ApiError = { code: 'invalid_api_key', message: 'A pass-through needs a key: send it as "Authorization: Bearer KEY".' }
const UNANSWERED: ApiError = { code: 'upstream_error', message: 'The endpoint of this pass-through did not answer.' }

function refuseUpgrade(socket: Duplex, status: 401 | 404): void {
  const [reason, code] = status === 401 ? ['Unauthorized', 'invalid_api_key'] : ['Not Found', 'model_not_found']
  const body = JSON.stringify({
    error: { message: `The WebSocket was refused: ${code}.`, type: 'invalid_request_error', param: null, code },
  })
  socket.end(
    `HTTP/1.1 ${status} ${reason}\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\nconnection: close\r\n\r\n${body}`,
  )
}
