/**
 * `node test/bench/routing/engine-server.ts --speed N`: the engine model as a process that speaks as vLLM does: chat completions as a stream,
 * `/health`, `/v1/models`, `/metrics`. How long an answer is stands in the request's `metadata`, as no real model decides it. A step is over
 * when its time has come, be this process late or not: a busy machine delays tokens, and does not make the engine slower.
 * `POST /speed` with a number sets its speed. Writes one line of JSON when it listens.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { parseArgs } from 'node:util'
import { listenOn } from '../../support/ports.ts'
import { EngineModel, type Job } from './engine-model.ts'
import { ENGINE } from './scenario.ts'

/** As `--stream-interval` of vLLM: tokens of one event. */
const TOKENS_PER_EVENT = 4
const MODEL = 'auto'
const WORD = ' word'

interface Streamed extends Job {
  readonly response: ServerResponse
  readonly wantsUsage: boolean
  sent: number
}

const { values } = parseArgs({ options: { speed: { type: 'string', default: '1' } } })
const engine = new EngineModel<Streamed>(ENGINE, Number(values.speed))
let busy = false

function step(dueMs: number): void {
  const tookMs = engine.begin()
  busy = tookMs !== undefined
  if (tookMs === undefined) return
  const overMs = dueMs + tookMs
  setTimeout(
    () => {
      for (const { job, number } of engine.finish()) write(job, number)
      step(overMs)
    },
    Math.max(0, overMs - performance.now()),
  )
}

function write(job: Streamed, number: number): void {
  const last = number >= job.outputTokens
  if (!last && number > 1 && number - job.sent < TOKENS_PER_EVENT) return
  const content = WORD.repeat(number - job.sent)
  job.sent = number
  job.response.write(event({ choices: [{ index: 0, delta: { content }, finish_reason: null }] }))
  if (!last) return
  job.response.write(event({ choices: [{ index: 0, delta: {}, finish_reason: 'stop' }] }))
  const { promptTokens, outputTokens } = job
  const usage = { prompt_tokens: promptTokens, completion_tokens: outputTokens, total_tokens: promptTokens + outputTokens }
  if (job.wantsUsage) job.response.write(event({ choices: [], usage }))
  job.response.end('data: [DONE]\n\n')
}

const event = (more: object): string =>
  `data: ${JSON.stringify({ id: 'c', object: 'chat.completion.chunk', created: 1, model: MODEL, ...more })}\n\n`

async function complete(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { metadata, stream_options: options } = await bodyOf(request)
  const job: Streamed = {
    promptTokens: Number(metadata?.prompt_tokens ?? 1),
    outputTokens: Number(metadata?.output_tokens ?? 1),
    response,
    wantsUsage: options?.include_usage === true,
    sent: 0,
  }
  response.writeHead(200, { 'content-type': 'text/event-stream' })
  response.write(event({ choices: [{ index: 0, delta: { role: 'assistant', content: '' }, finish_reason: null }] }))
  response.once('close', () => engine.remove(job))
  engine.add(job)
  if (!busy) step(performance.now())
}

interface Asked {
  readonly metadata?: { readonly prompt_tokens?: string; readonly output_tokens?: string }
  readonly stream_options?: { readonly include_usage?: boolean }
}

async function bodyOf(request: IncomingMessage): Promise<Asked> {
  const body: Asked = JSON.parse(await textOf(request))
  return body
}

async function textOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(Buffer.from(chunk))
  return Buffer.concat(chunks).toString()
}

const metrics = (): string => `# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{model_name="${MODEL}"} ${engine.running}.0
# TYPE vllm:num_requests_waiting gauge
vllm:num_requests_waiting{model_name="${MODEL}"} ${engine.waiting}.0
# TYPE vllm:kv_cache_usage_perc gauge
vllm:kv_cache_usage_perc{model_name="${MODEL}"} ${(engine.running / ENGINE.maxBatch).toFixed(2)}
`

const MODELS = JSON.stringify({ object: 'list', data: [{ id: MODEL, object: 'model', owned_by: 'vllm', max_model_len: 16_384 }] })

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  if (request.url === '/v1/chat/completions') return await complete(request, response)
  if (request.url === '/v1/models') response.setHeader('content-type', 'application/json').end(MODELS)
  else if (request.url === '/metrics') response.setHeader('content-type', 'text/plain').end(metrics())
  else if (request.url === '/health') response.end()
  else if (request.url === '/speed') {
    engine.setSpeed(Number(await textOf(request)))
    response.end()
  } else response.writeHead(404).end()
}

const server = createServer((request, response) => {
  answer(request, response).catch((error: unknown) => response.destroy(error instanceof Error ? error : undefined))
})
server.keepAliveTimeout = 60_000
process.once('SIGTERM', () => process.exit(0))
console.log(JSON.stringify({ msg: 'listening', port: await listenOn(server) }))
