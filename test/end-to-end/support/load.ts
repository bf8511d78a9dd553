/**
 * Clients that come at a rate, whether or not those before them have been answered. In: an address and a key. Out: counts of what went well
 * and of each way in which a user would have noticed something. It keeps numbers and the first few failures, and no bodies.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { Agent, type Dispatcher, request as send } from 'undici'

export interface LoadOptions {
  /** Without "/v1": "http://10.96.0.17:80". */
  readonly url: string
  readonly key: string
  readonly model: string
  /** Whole requests; 0 if absent. */
  readonly perSecond?: number
  /** Streams; 0 if absent. */
  readonly streamsPerSecond?: number
  /** What is due beyond them is not sent, and counted as skipped; 64 if absent. */
  readonly maxInFlight?: number
  /** Fields of the body besides or instead, such as max_tokens. */
  readonly body?: Readonly<Record<string, unknown>>
  readonly path?: string
  /** True: a connection for each request. False or absent: connections are kept, as SDKs do. */
  readonly fresh?: boolean
  /** Of one request; 60 s if absent. */
  readonly timeoutMs?: number
}

export interface LoadCounts {
  /** Answered whole. */
  readonly whole: number
  /** Streams that ended in [DONE]. */
  readonly streams: number
  /** Answers with another status than 200. */
  readonly refused: number
  /** No answer, or a whole one that was cut. */
  readonly failed: number
  /** Streams that began and ended without [DONE], and said nothing. */
  readonly cut: number
  /** Streams that told of an error. */
  readonly inBand: number
  readonly skipped: number
  /** Good answers by the model that gave them. */
  readonly byModel: Readonly<Record<string, number>>
  /** Of good answers: milliseconds to their end. */
  readonly latency: { readonly p50Ms: number; readonly p99Ms: number; readonly maxMs: number }
  /** What the first failures of any kind looked like, in full. */
  readonly faults: readonly string[]
}

export interface Load {
  counts(): LoadCounts
  /** No new requests; resolves once those under way have ended. */
  stop(): Promise<LoadCounts>
}

type Fault = 'refused' | 'failed' | 'cut' | 'inBand'
type Outcome = { readonly ok: 'whole' | 'streams'; readonly model: string } | { readonly fault: Fault; readonly what: string }

const MAX_FAULTS = 10
const SHOWN_CHARACTERS = 2000
const MAX_MODELS = 32
const MAX_LATENCIES = 20_000

/** Owner: the caller; `stop()` once. */
export function startLoad(options: LoadOptions): Load {
  const { perSecond = 0, streamsPerSecond = 0, maxInFlight = 64 } = options
  const agent = new Agent({ connections: maxInFlight, bodyTimeout: 0, headersTimeout: 0 })
  const tally = new Tally()
  const stopping = new AbortController()
  const underWay = new Set<Promise<void>>()
  const open = (stream: boolean): void => {
    if (underWay.size >= maxInFlight) return tally.skip()
    const startMs = performance.now()
    const sent: Promise<void> = once(agent, options, stream)
      .then((outcome) => tally.count(outcome, startMs))
      .finally(() => underWay.delete(sent))
    underWay.add(sent)
  }
  const running = [atRate(perSecond, stopping.signal, () => open(false)), atRate(streamsPerSecond, stopping.signal, () => open(true))]
  return {
    counts: () => tally.counts(),
    stop: async () => {
      stopping.abort()
      await Promise.all(running)
      await Promise.all(underWay)
      await agent.destroy()
      return tally.counts()
    },
  }
}

async function once(agent: Agent, options: LoadOptions, stream: boolean): Promise<Outcome> {
  const { url, key, model, body = {}, path = '/v1/chat/completions', fresh = false, timeoutMs = 60_000 } = options
  const messages = [{ role: 'user', content: 'Say one word.' }]
  try {
    const answer = await send(url + path, {
      method: 'POST',
      dispatcher: agent,
      reset: fresh,
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
      body: JSON.stringify({ model, messages, max_tokens: 4, ...body, ...(stream && { stream }) }),
      signal: AbortSignal.timeout(timeoutMs),
    })
    return stream && answer.statusCode === 200 ? await streamed(answer) : await whole(answer)
  } catch (error) {
    return { fault: 'failed', what: wordsOf(error) }
  }
}

async function whole({ statusCode, headers, body }: Dispatcher.ResponseData): Promise<Outcome> {
  const said = await body.text() // rejects when it is cut
  if (statusCode !== 200) return { fault: 'refused', what: `${statusCode} ${JSON.stringify(headers)} ${said}` }
  return { ok: 'whole', model: modelOf(headers) }
}

async function streamed({ headers, body }: Dispatcher.ResponseData): Promise<Outcome> {
  let said = ''
  let broken = ''
  try {
    for await (const bytes of body.setEncoding('utf8')) said += String(bytes)
  } catch (error) {
    broken = wordsOf(error)
  }
  const what = `${JSON.stringify(headers)} …${said.slice(-SHOWN_CHARACTERS / 2)} ${broken}`
  if (/^data: \{"error":/m.test(said)) return { fault: 'inBand', what }
  if (broken !== '' || !said.trimEnd().endsWith('data: [DONE]')) return { fault: 'cut', what }
  return { ok: 'streams', model: modelOf(headers) }
}

const modelOf = (headers: Dispatcher.ResponseData['headers']): string => String(headers['x-llama-swap-model'] ?? '')

function wordsOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return `${error.name}: ${error.message}${'code' in error ? ` (${String(error.code)})` : ''}`
}

class Tally {
  readonly #startMs = performance.now()
  readonly #counts = { whole: 0, streams: 0, refused: 0, failed: 0, cut: 0, inBand: 0, skipped: 0 }
  readonly #byModel = new Map<string, number>()
  readonly #latenciesMs: number[] = []
  readonly #faults: string[] = []

  skip(): void {
    this.#counts.skipped += 1
  }

  count(outcome: Outcome, startMs: number): void {
    const nowMs = performance.now()
    if ('fault' in outcome) return this.#fault(outcome.fault, outcome.what, startMs, nowMs)
    this.#counts[outcome.ok] += 1
    const before = this.#byModel.get(outcome.model)
    if (before !== undefined || this.#byModel.size < MAX_MODELS) this.#byModel.set(outcome.model, (before ?? 0) + 1)
    if (this.#latenciesMs.length < MAX_LATENCIES) this.#latenciesMs.push(nowMs - startMs)
  }

  #fault(kind: Fault, what: string, startMs: number, nowMs: number): void {
    this.#counts[kind] += 1
    const when = `sent at ${Math.round(startMs - this.#startMs)} ms, ${kind} after ${Math.round(nowMs - startMs)} ms`
    if (this.#faults.length < MAX_FAULTS) this.#faults.push(`${when}: ${what.slice(0, SHOWN_CHARACTERS)}`)
  }

  counts(): LoadCounts {
    const sorted = this.#latenciesMs.toSorted((a, b) => a - b)
    const at = (share: number): number => Math.round(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0)
    const latency = { p50Ms: at(0.5), p99Ms: at(0.99), maxMs: at(1) }
    return { ...this.#counts, byModel: Object.fromEntries(this.#byModel), latency, faults: [...this.#faults] }
  }
}

/** Resolves at the abort. */
async function atRate(perSecond: number, signal: AbortSignal, act: () => void): Promise<void> {
  if (perSecond === 0) return
  const everyMs = 1000 / perSecond
  for (let dueMs = performance.now(); !signal.aborted; dueMs += everyMs) {
    await delay(Math.max(0, dueMs - performance.now()), undefined, { signal }).catch(() => undefined)
    if (!signal.aborted) act()
  }
}
