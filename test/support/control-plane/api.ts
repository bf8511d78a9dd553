import { Agent, request as send } from 'undici'
import { isFields } from '../../../operator/validate/problem.ts'

export type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'

export interface Answer {
  readonly status: number
  /** Parsed when it is JSON, else the text. */
  readonly body: unknown
}

const WITHIN_MS = 20_000

/** Calls of the API as an administrator, without a client library: what tests compare ours with. Owner: a cluster; `close()` once. */
export class Api {
  readonly #url: string
  readonly #token: string
  readonly #agent: Agent

  constructor({ url, ca, token }: { readonly url: string; readonly ca: string; readonly token: string }) {
    this.#url = url
    this.#token = token
    this.#agent = new Agent({ allowH2: false, connect: { ca } })
  }

  /** One call, no retries. Rejects when no answer comes; whatever its status is, an answer is an answer. */
  async request(method: Method, path: string, body?: unknown, contentType = defaultType(method)): Promise<Answer> {
    const response = await send(`${this.#url}${path}`, {
      method,
      dispatcher: this.#agent,
      headers: { authorization: `Bearer ${this.#token}`, accept: 'application/json', 'content-type': contentType },
      body: body === undefined ? null : JSON.stringify(body),
      signal: AbortSignal.timeout(WITHIN_MS),
    })
    return { status: response.statusCode, body: parse(await response.body.text()) }
  }

  /** As `request`, but resolves with the body of a good answer and rejects with the server's words on any other. */
  async ask(method: Method, path: string, body?: unknown, contentType?: string): Promise<unknown> {
    const answer = await this.request(method, path, body, contentType)
    if (answer.status < 300) return answer.body
    const { body: said } = answer
    const message = isFields(said) && typeof said['message'] === 'string' ? said['message'] : String(said)
    throw new Error(`${method} ${path}: ${answer.status} ${message}`)
  }

  /** The lines of an answer that goes on, as a watch does. Ends when the server ends it; throws when it breaks or `signal` aborts. */
  async *lines(path: string, signal: AbortSignal): AsyncGenerator<unknown> {
    const response = await send(`${this.#url}${path}`, {
      dispatcher: this.#agent,
      headers: { authorization: `Bearer ${this.#token}`, accept: 'application/json' },
      bodyTimeout: 0,
      signal,
    })
    response.body.setEncoding('utf8')
    let held = ''
    for await (const piece of response.body) {
      const lines = `${held}${String(piece)}`.split('\n')
      held = lines.pop() ?? ''
      for (const line of lines) yield parse(line)
    }
  }

  async close(): Promise<void> {
    await this.#agent.destroy()
  }
}

const defaultType = (method: Method): string => (method === 'PATCH' ? 'application/merge-patch+json' : 'application/json')

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

/** `valueAt(pod, 'status', 'podIPs', 0, 'ip')`; undefined where the way ends. */
export function valueAt(value: unknown, ...path: readonly (string | number)[]): unknown {
  return path.reduce<unknown>((at, part) => {
    if (Array.isArray(at) && typeof part === 'number') return at.at(part)
    return isFields(at) && typeof part === 'string' ? at[part] : undefined
  }, value)
}

/** The same where a text must stand; throws when none does. */
export function textAt(value: unknown, ...path: readonly (string | number)[]): string {
  const found = valueAt(value, ...path)
  if (typeof found !== 'string') throw new Error(`no text at ${path.join('.')} of ${JSON.stringify(value)}`)
  return found
}

export function listAt(value: unknown, ...path: readonly (string | number)[]): readonly unknown[] {
  const found = valueAt(value, ...path)
  return Array.isArray(found) ? found : []
}
