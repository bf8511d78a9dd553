/**
 * Clients that never pause for long: whole requests at a rate, and streams one after the other. In: proxies to ask in turn. Out: counts of what
 * went well, and of what a user would have noticed. It keeps numbers and the first few failures, and no bodies.
 */
import type { TestContext } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { type AskOptions, ask, type Got } from './client.ts'

export interface LoadOptions {
  /** Of proxies: asked in turn. */
  readonly urls: readonly string[]
  readonly model: string
  /** Whole requests, all proxies together. */
  readonly perSecond: number
  /** At a time. */
  readonly streams: number
  /** Events with content that a whole stream has. */
  readonly events: number
}

export interface LoadCounts {
  readonly whole: number
  readonly streams: number
  /** No answer, not 200, or a whole answer that was cut. */
  readonly failed: number
  /** Streams that began and did not end as they should. */
  readonly cut: number
  /** What the first of them looked like. */
  readonly faults: readonly string[]
}

export interface Load {
  counts(): LoadCounts
  /** No new requests; resolves once those under way have ended. */
  stop(): Promise<LoadCounts>
}

const MAX_FAULTS = 10
const SHOWN_CHARACTERS = 400
/** After a stream that failed. */
const PAUSE_MS = 50

/** Ends with the test. */
export function startLoad(t: TestContext, { urls, model, perSecond, streams, events }: LoadOptions): Load {
  const stopping = new AbortController()
  const counts = { whole: 0, streams: 0, failed: 0, cut: 0 }
  const faults: string[] = []
  const underWay = new Set<Promise<void>>()
  const startedAtMs = performance.now()
  let turn = 0
  const fault = (kind: 'failed' | 'cut', url: string, what: string): void => {
    counts[kind] += 1
    const atMs = Math.round(performance.now() - startedAtMs)
    if (faults.length < MAX_FAULTS) faults.push(`${kind} after ${atMs} ms at ${url}: ${what.slice(0, SHOWN_CHARACTERS)}`)
  }
  const send = async (stream: boolean): Promise<void> => {
    const url = urls[turn++ % urls.length] ?? ''
    const got = await ask(url, request(model, stream)).catch((error: unknown) => String(error))
    if (typeof got === 'string') return fault('failed', url, got)
    if (got.status !== 200 || (!stream && !got.whole)) return fault('failed', url, `${got.status} ${got.body}`)
    if (stream && !isWholeStream(got, events)) return fault('cut', url, got.body.slice(-SHOWN_CHARACTERS))
    counts[stream ? 'streams' : 'whole'] += 1
  }
  const open = (stream: boolean): Promise<void> => {
    const sent: Promise<void> = send(stream).finally(() => underWay.delete(sent))
    underWay.add(sent)
    return sent
  }
  const running = Promise.all([
    ...Array.from({ length: streams }, async () => {
      while (!stopping.signal.aborted) {
        const before = counts.streams
        await open(true)
        if (counts.streams === before) await delay(PAUSE_MS)
      }
    }),
    atRate(perSecond, stopping.signal, () => void open(false)),
  ])
  t.after(() => stopping.abort())
  return {
    counts: () => ({ ...counts, faults }),
    stop: async () => {
      stopping.abort()
      await running
      await Promise.all(underWay)
      return { ...counts, faults }
    },
  }
}

async function atRate(perSecond: number, signal: AbortSignal, act: () => void): Promise<void> {
  const everyMs = 1000 / perSecond
  for (let dueMs = performance.now(); !signal.aborted; dueMs += everyMs) {
    await delay(Math.max(0, dueMs - performance.now()), undefined, { signal }).catch(() => undefined)
    if (!signal.aborted) act()
  }
}

function request(model: string, stream: boolean): AskOptions {
  const messages = [{ role: 'user', content: 'hi' }]
  return { body: stream ? { model, messages, stream } : { model, messages } }
}

function isWholeStream({ body, whole }: Got, events: number): boolean {
  const contents = body.match(/"delta":\{"content":/g) ?? []
  return whole && contents.length === events && body.trimEnd().endsWith('data: [DONE]')
}
