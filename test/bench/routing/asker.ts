/** One streamed request of a client, and when its first token and its end came. It keeps no text. */
import { Agent, request as httpRequest, type IncomingMessage } from 'node:http'
import type { Served } from './outcome.ts'
import type { Request } from './workload.ts'

/** About a token each, for a tokenizer and for our estimate. */
const WORDS = ['the', 'river', 'runs', 'past', 'an', 'old', 'stone', 'mill', 'and', 'into', 'wide', 'green', 'fields']
const CONTENT = /"content":"[^"]/g

export interface AskerOptions {
  /** Which engine serves the model of this name (`x-llama-swap-model`). */
  readonly engineOf: (model: string) => number
  readonly bodyOf: (request: Request) => Buffer
  /** Whether an event has one token, and answers are as long as they turn out to be; else they are as long as was asked for. */
  readonly tokenAnEvent: boolean
}

export interface Asker {
  /** Never rejects: what failed has no end. `url`: of a proxy. `startMs`: of the run, by `performance.now()`. */
  ask(url: string, request: Request, startMs: number): Promise<Served>
  /** Those still under way are left. */
  close(): void
}

export function makeAsker({ engineOf, bodyOf, tokenAnEvent }: AskerOptions): Asker {
  const agent = new Agent({ keepAlive: true, maxSockets: Number.POSITIVE_INFINITY })
  const leaving = new AbortController()
  const ask = (url: string, request: Request, startMs: number): Promise<Served> =>
    new Promise((resolve) => {
      const now = (): number => performance.now() - startMs
      const seen = { atMs: now(), engine: undefined as number | undefined, firstTokenMs: undefined as number | undefined }
      let events = 0
      const end = (endMs?: number): void =>
        resolve({
          ...seen,
          outputTokens: tokenAnEvent ? events : request.outputTokens,
          endMs,
          leftMs: endMs === undefined ? now() : undefined,
        })
      const body = bodyOf(request)
      const headers = { 'content-type': 'application/json', 'content-length': body.length }
      const sent = httpRequest(`${url}/v1/chat/completions`, { method: 'POST', agent, headers, signal: leaving.signal })
      sent.once('error', () => end())
      sent.once('response', (response: IncomingMessage) => {
        let whole = false
        seen.engine = engineOf(String(response.headers['x-llama-swap-model']))
        response.setEncoding('utf8')
        response.on('data', (text: string) => {
          events += text.match(CONTENT)?.length ?? 0
          if (seen.firstTokenMs === undefined && events > 0) seen.firstTokenMs = now()
          if (text.includes('data: [DONE]')) whole = true
        })
        response.once('error', () => end())
        response.once('close', () => end(whole && response.statusCode === 200 ? now() : undefined))
      })
      sent.end(body)
    })
  return {
    ask,
    close: () => {
      leaving.abort()
      agent.destroy()
    },
  }
}

/** So many tokens, more or less. */
export const promptOf = (tokens: number): string => Array.from({ length: tokens }, (_, at) => WORDS[at % WORDS.length]).join(' ')

/** For an engine of ours: how long the answer is stands beside the prompt. */
export const bodyForModel = ({ promptTokens, outputTokens }: Request): Buffer =>
  Buffer.from(
    JSON.stringify({
      model: 'auto',
      stream: true,
      messages: [{ role: 'user', content: promptOf(promptTokens) }],
      metadata: { prompt_tokens: String(promptTokens), output_tokens: String(outputTokens) },
    }),
  )
