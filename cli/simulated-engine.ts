/**
 * A small engine without a language model, a program of its own: `node cli/simulated-engine.ts --port 0 --name NAME --delay-ms 20`.
 * It lets llama-swap answer on a machine with nothing else. First line of stdout: `{"port":N}`. It ends when its stdin closes, so it
 * never outlives the process that started it. It listens on loopback only.
 */
import { randomUUID } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import {
  type Asked,
  chatChunks,
  chatCompletion,
  completion,
  completionChunks,
  embeddings,
  response,
  responseEvents,
  type Turn,
  turnOf,
} from './simulated-answers.ts'

const MAX_BODY_BYTES = 16_777_216

interface Settings {
  name: string
  /** Between two tokens. */
  delayMs: number
}

interface Route {
  whole(turn: Turn): object
  /** SSE frames in order. */
  stream(turn: Turn, includeUsage: boolean): readonly string[]
}

const data = (event: object) => `data: ${JSON.stringify(event)}\n\n`
const named = (event: { type: string }) => `event: ${event.type}\n${data(event)}`
const DONE = 'data: [DONE]\n\n'

const ROUTES: Readonly<Record<string, Route>> = {
  '/v1/chat/completions': { whole: chatCompletion, stream: (turn, usage) => [...chatChunks(turn, usage).map(data), DONE] },
  '/v1/completions': { whole: completion, stream: (turn, usage) => [...completionChunks(turn, usage).map(data), DONE] },
  '/v1/responses': { whole: response, stream: (turn) => responseEvents(turn).map(named) },
}

async function serve(settings: Settings, req: IncomingMessage, res: ServerResponse): Promise<void> {
  const path = (req.url ?? '').split('?')[0] ?? ''
  if (req.method === 'GET' && path === '/health') return json(res, 200, { status: 'ok' })
  if (req.method === 'GET' && path === '/v1/models') return json(res, 200, modelList(settings.name))
  const route = ROUTES[path]
  if (req.method !== 'POST' || (route === undefined && path !== '/v1/embeddings'))
    return refuse(res, 404, `No route ${req.method} ${path}.`)
  const body = await bodyOf(req)
  if (body === undefined) return refuse(res, 400, 'The body is not a JSON object of at most 16 MiB.')
  if (body['model'] !== settings.name) return refuse(res, 404, `The model "${String(body['model'])}" does not exist.`)
  if (route === undefined) return json(res, 200, embeddings(settings.name, body))
  await generate(settings, route, body, res)
}

async function generate(settings: Settings, route: Route, body: Asked['body'], res: ServerResponse): Promise<void> {
  const turn = turnOf({ model: settings.name, id: randomUUID(), created: Math.floor(Date.now() / 1000), body })
  const gone = new AbortController()
  res.on('close', () => gone.abort())
  const pause = () => delay(settings.delayMs, true, { signal: gone.signal }).catch(() => false)
  if (body['stream'] !== true) {
    if (await pause()) json(res, 200, route.whole(turn))
    return
  }
  res.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' })
  for (const frame of route.stream(turn, wantsUsage(body))) {
    if (!(await pause())) return
    res.write(frame)
  }
  res.end()
}

function wantsUsage(body: Asked['body']): boolean {
  const options = body['stream_options']
  return typeof options === 'object' && options !== null && 'include_usage' in options && options.include_usage === true
}

function modelList(name: string): object {
  return { object: 'list', data: [{ id: name, object: 'model', created: 0, owned_by: 'simulated' }] }
}

async function bodyOf(req: IncomingMessage): Promise<Asked['body'] | undefined> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of req) {
    bytes += chunk.length
    if (bytes > MAX_BODY_BYTES) return undefined
    chunks.push(chunk)
  }
  try {
    const body: unknown = JSON.parse(Buffer.concat(chunks).toString())
    return typeof body === 'object' && body !== null && !Array.isArray(body) ? { ...body } : undefined
  } catch {
    return undefined
  }
}

function json(res: ServerResponse, status: number, body: object): void {
  res.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
}

function refuse(res: ServerResponse, status: number, message: string): void {
  json(res, status, { error: { message, type: 'invalid_request_error', param: null, code: status === 404 ? 'not_found' : 'invalid_body' } })
}

function main(): void {
  const options = {
    port: { type: 'string', default: '0' },
    name: { type: 'string', default: 'simulated' },
    'delay-ms': { type: 'string', default: '20' },
  } as const
  const { values } = parseArgs({ options })
  const settings: Settings = { name: values.name, delayMs: Number(values['delay-ms']) }
  const server = createServer((req, res) => {
    serve(settings, req, res).catch(() => res.destroy())
  })
  server.listen(Number(values.port), '127.0.0.1', () => {
    const address = server.address()
    console.log(JSON.stringify({ port: typeof address === 'object' ? address?.port : undefined }))
  })
  process.stdin.on('close', () => process.exit(0)).resume()
}

if (import.meta.main) main()
