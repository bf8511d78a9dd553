/**
 * Clients that keep their connection: each sends its next request as soon as the last answer has ended, on the same connection for as long as
 * the server lets it. They never try again. In: a URL, what to send, what a whole answer is. Out: what went well, and what a user would see.
 */
import { type Agent, request } from 'node:http'
import type { TestContext } from 'node:test'

export interface KeptOptions {
  /** One a client, each with one socket that it keeps. */
  readonly agents: readonly Agent[]
  /** "http://…" or "https://…", as the agents. */
  readonly url: string
  readonly body: string
  /** Besides its content type. */
  readonly headers?: Readonly<Record<string, string>>
  readonly isWhole: (body: string) => boolean
  readonly send?: typeof request
}

export interface KeptCounts {
  readonly whole: number
  /** On a connection that had been used before. */
  readonly reused: number
  /** No answer, not 200, or one that broke off: what it looked like. */
  readonly faults: readonly string[]
}

export interface KeptClients {
  counts(): KeptCounts
  /** No new requests; resolves once those under way have ended. */
  stop(): Promise<KeptCounts>
}

/** Ends with the test. */
export function startKeptClients(t: TestContext, { agents, url, body, headers = {}, isWhole, send = request }: KeptOptions): KeptClients {
  const counts = { whole: 0, reused: 0 }
  const faults: string[] = []
  const startedAtMs = performance.now()
  let stopping = false
  const once = (agent: Agent): Promise<void> =>
    new Promise((resolve) => {
      const fault = (what: string): void => {
        faults.push(`after ${Math.round(performance.now() - startedAtMs)} ms: ${what}`)
        resolve()
      }
      const sent = send(url, { method: 'POST', agent, headers: { 'content-type': 'application/json', ...headers } }, (response) => {
        let text = ''
        response.setEncoding('utf8')
        response.on('data', (part: string) => {
          text += part
        })
        response.on('error', () => undefined)
        response.on('close', () => {
          if (!response.complete || response.statusCode !== 200 || !isWhole(text))
            return fault(`${response.statusCode} ${text.slice(-300)}`)
          counts.whole++
          if (sent.reusedSocket) counts.reused++
          resolve()
        })
      })
      sent.on('error', (error) => fault(`${error.message}, ${sent.reusedSocket ? 'kept' : 'new'} connection`))
      sent.end(body)
    })
  const running = Promise.all(
    agents.map(async (agent) => {
      while (!stopping) await once(agent)
      agent.destroy()
    }),
  )
  const stop = async (): Promise<KeptCounts> => {
    stopping = true
    await running
    return { ...counts, faults }
  }
  t.after(stop)
  return { counts: () => ({ ...counts, faults }), stop }
}
