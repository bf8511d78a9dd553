/**
 * Model servers that treat each try as its request's plan says: `node test/soak/backends.ts COUNT`. Out: one line of JSON with their ports.
 * They count a request's tries over all of them, for the last few thousand requests. Ends when its standard input does.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'
import { ROUTES, type RouteSpeech } from '../support/routes.ts'
import { type Kind, type Plan, planIn, wordsOf } from './plan.ts'

const MAX_REMEMBERED = 5000
/** Told to the proxy, which leaves a little before. */
const KEEP_ALIVE_MS = 8000
const SLOW_MS = 30
/** node:http writes at the end of the turn. */
const CUT_MS = 5

const tries = new Map<number, number>()

function kindOf({ id, kinds }: Plan): Kind {
  const number = tries.get(id) ?? 0
  tries.delete(id)
  tries.set(id, number + 1)
  const [oldest] = tries.keys()
  if (tries.size > MAX_REMEMBERED && oldest !== undefined) tries.delete(oldest)
  return kinds[Math.min(number, kinds.length - 1)] ?? 'ok'
}

async function textOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk)
  return Buffer.concat(chunks).toString()
}

async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const text = await textOf(request)
  const speech = Object.values(ROUTES).find(({ path }) => path === request.url)
  const plan = planIn(text)
  if (speech === undefined || plan === undefined) return answer(response, 404, {})
  const kind = kindOf(plan)
  if (kind === 'silence') return
  if (kind === 'reset') return void request.socket.resetAndDestroy()
  const refusal = REFUSALS[kind]
  if (refusal !== undefined) answer(response, refusal.status, { error: refusal }, plan.id)
  else if (/"stream" *: *true/.test(text)) await stream({ response, speech, plan, kind })
  else await whole({ response, speech, plan, kind })
}

const REFUSALS: Partial<Readonly<Record<Kind, { status: number; message: string; type: string; code: string | null }>>> = {
  bad: { status: 400, message: 'a wrong request', type: 'invalid_request_error', code: 'soak' },
  rate: { status: 429, message: 'slow down', type: 'requests', code: 'rate_limit_exceeded' },
  error: { status: 500, message: 'it broke', type: 'server_error', code: null },
  busy: { status: 503, message: 'no room', type: 'server_error', code: null },
}

function answer(response: ServerResponse, status: number, body: unknown, id = 0): void {
  const headers = { 'content-type': 'application/json', ...(status === 429 && id % 2 === 0 && { 'retry-after': '1' }) }
  response.writeHead(status, headers).end(JSON.stringify(body))
}

interface Told {
  readonly response: ServerResponse
  readonly speech: RouteSpeech
  readonly plan: Plan
  readonly kind: Kind
}

async function whole({ response, speech, plan, kind }: Told): Promise<void> {
  const body = JSON.stringify(speech.answer(wordsOf(plan)))
  if (kind === 'hidden') return answer(response, 200, { error: { message: 'it broke inside', type: 'server_error', code: 500 } })
  if (kind === 'malformed') return answer(response, 200, 'no object')
  if (kind === 'slow') await delay(10 * SLOW_MS)
  response.writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) })
  if (kind !== 'cut' && kind !== 'stall') return void response.end(body)
  response.write(body.slice(0, Math.floor(body.length / 2)))
  if (kind === 'cut') await cut(response)
}

async function stream({ response, speech, plan, kind }: Told): Promise<void> {
  const { begin, words, finish, sentinel } = speech.events(wordsOf(plan))
  response.writeHead(200, { 'content-type': 'text/event-stream' })
  if (kind === 'hidden') return void response.end('data: {"error":{"message":"it broke inside","type":"server_error","code":500}}\n\n')
  const half = words.length / 2
  for (const [at, text] of [...begin, ...words].entries()) {
    if (at > begin.length + half) {
      if (kind === 'cut') return cut(response)
      if (kind === 'stall') return
      if (kind === 'malformed' && at === Math.floor(begin.length + half) + 1) response.write('data: {"broken\n\n')
    }
    if (response.destroyed) return
    if (!response.write(text)) await Promise.race([once(response, 'drain'), once(response, 'close')])
    if (kind === 'slow') await delay(SLOW_MS)
  }
  response.end([...finish, ...sentinel].join(''))
}

/** What was written goes out, then the connection ends in order: so the proxy has certainly seen what came before. */
async function cut(response: ServerResponse): Promise<void> {
  await delay(CUT_MS)
  response.socket?.end()
}

const once = (response: ServerResponse, name: string): Promise<void> => new Promise((resolve) => response.once(name, () => resolve()))

function open(): Promise<number> {
  const server = createServer({ keepAliveTimeout: KEEP_ALIVE_MS }, (request, response) => {
    response.on('error', () => {})
    serve(request, response).catch(() => response.destroy()) // the proxy left while it sent or was sent to
  })
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      resolve(typeof address === 'object' && address !== null ? address.port : 0)
    })
  })
}

const ports = await Promise.all(Array.from({ length: Number(process.argv[2]) }, open))
process.stdout.write(`${JSON.stringify({ ports })}\n`)
process.stdin.on('close', () => process.exit(0)).resume()
