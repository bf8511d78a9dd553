import { type Dialect, isJson, type Json, type Usage } from '../dialects/dialect.ts'
import type { ClientAnswer } from './client-answer.ts'
import { type Cut, EventCutter, readEvent } from './sse.ts'

/** How much is held back before the first meaningful delta. */
const MAX_HELD_BYTES = 64 * 1024
const MAX_HELD_EVENTS = 64

export interface RelayOptions {
  readonly dialect: Dialect
  readonly answer: ClientAnswer
  /** The client asked for the usage chunk: it is left in. */
  readonly usageAsked: boolean
  /** Called once, before the first byte: writes the head. */
  readonly onCommit: () => void
}

/** What a push found: go on, wait for the client to drain, or one of the ways a stream ends early. */
export type Pushed = { kind: 'on' } | { kind: 'full' } | { kind: 'error'; error: Json } | { kind: 'overflow' } | { kind: 'done' }

const ON: Pushed = { kind: 'on' }
const FULL: Pushed = { kind: 'full' }
const DONE: Pushed = { kind: 'done' }

/**
 * Passes one attempt's event stream to the client: holds back until the first meaningful event (the content commit), then one write per
 * upstream chunk with all its complete events, byte for byte but for what is taken out (malformed events; the usage chunk nobody asked
 * for). Knows whether the stream finished. At most 64 KiB held back, 1 MiB of an unfinished event.
 */
export class Relay {
  usage: Usage | undefined
  malformed = 0
  events = 0
  /** Every choice seen so far has its finish reason: the answer is complete even without a sentinel, unless another choice begins. */
  finished = false
  #opened = 0
  #finished = 0
  #sentinelSeen = false
  #committed = false
  #held: Buffer[] = []
  #heldBytes = 0
  #heldEvents = 0
  readonly #cutter = new EventCutter()
  readonly #options: RelayOptions

  constructor(options: RelayOptions) {
    this.#options = options
  }

  get committed(): boolean {
    return this.#committed
  }

  push(chunk: Buffer): Pushed {
    const cut = this.#cutter.push(chunk)
    return cut === undefined ? { kind: 'overflow' } : this.#pass(cut)
  }

  /** The upstream ended: passes a last event that lacks its blank line, and adds the sentinel to a finished stream that lacks it. */
  close(): Pushed {
    const last = this.#cutter.flush()
    const pushed = last === undefined ? ON : this.#pass(last)
    if (pushed.kind === 'error' || !this.finished || this.#sentinelSeen) return pushed
    const { sentinel } = this.#options.dialect
    if (sentinel !== undefined) this.#send(Buffer.from(sentinel))
    return DONE
  }

  #pass({ bytes, ends }: Cut): Pushed {
    let start = 0
    let keptFrom = 0
    let kept: Buffer[] | undefined
    let commits = false
    let error: Json | undefined
    for (const end of ends) {
      const fate = this.#judge(bytes, start, end)
      if (fate === 'error') {
        error = this.#error
        break
      }
      if (fate === 'commit') commits = true
      if (fate === 'drop') {
        kept ??= []
        kept.push(bytes.subarray(keptFrom, start))
        keptFrom = end
      }
      start = end
    }
    const rest = bytes.subarray(keptFrom, start)
    const out = kept === undefined ? rest : Buffer.concat([...kept, rest])
    const room = this.#deliver(out, commits)
    if (error !== undefined) return { kind: 'error', error }
    if (this.#sentinelSeen) return DONE
    return room ? ON : FULL
  }

  #deliver(out: Buffer, commits: boolean): boolean {
    if (out.length === 0) return true
    if (this.#committed) return this.#options.answer.write(out)
    if (!commits && this.#heldBytes + out.length <= MAX_HELD_BYTES && this.#heldEvents <= MAX_HELD_EVENTS) {
      this.#held.push(Buffer.from(out))
      this.#heldBytes += out.length
      return true
    }
    return this.#send(out)
  }

  #send(out: Buffer): boolean {
    if (this.#committed) return this.#options.answer.write(out)
    this.#committed = true
    this.#options.onCommit()
    const all = this.#held.length === 0 ? out : Buffer.concat([...this.#held, out])
    this.#held = []
    return this.#options.answer.write(all)
  }

  #error: Json | undefined

  #judge(bytes: Buffer, start: number, end: number): 'keep' | 'commit' | 'drop' | 'error' {
    const { event, data } = readEvent(bytes, start, end)
    if (data === undefined) return 'keep'
    this.events++
    if (!this.#committed) this.#heldEvents++
    if (data === '[DONE]') {
      this.#sentinelSeen = true
      // A sentinel without a finish is no complete answer: it is dropped, and the end of the stream decides.
      return this.finished ? 'commit' : 'drop'
    }
    const parsed = parse(data)
    if (parsed === undefined) {
      this.malformed++
      return 'drop'
    }
    const meaning = this.#options.dialect.readEvent(parsed, event)
    if (meaning.error !== undefined) {
      this.#error = meaning.error
      return 'error'
    }
    if (meaning.usage !== undefined) this.usage = meaning.usage
    this.#opened |= meaning.opens
    this.#finished |= meaning.finishes
    this.finished = this.#finished !== 0 && (this.#opened & ~this.#finished) === 0
    if (meaning.usageOnly && !this.#options.usageAsked) return 'drop'
    return meaning.commits ? 'commit' : 'keep'
  }
}

function parse(data: string): Json | undefined {
  try {
    const value: unknown = JSON.parse(data)
    return isJson(value) ? value : undefined
  } catch {
    return undefined // malformed: skipped and counted by the caller
  }
}
