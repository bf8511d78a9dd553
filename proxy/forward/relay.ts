import type { Dialect, EventMeaning, Usage } from '../dialects/dialect.ts'
import { isJson, type Json } from '../dialects/json.ts'
import type { ClientAnswer } from './client-answer.ts'
import { type Cut, EventCutter, readEvent } from './sse.ts'

/** How much is held back before the first meaningful delta. */
const MAX_HELD_BYTES = 64 * 1024
const MAX_HELD_EVENTS = 64

/** Sees each event of a stream before the client does, and may change it. */
export interface Editor {
  /** The same object = the event goes out byte for byte; undefined = it does not go out. `diverged`: it cannot follow what went before. */
  edit(data: Json, meaning: EventMeaning): Json | 'diverged' | undefined
  /** What the client is told, and what is booked, where the engine reports this. */
  usage(reported: Usage): Usage
}

export interface RelayOptions {
  readonly dialect: Dialect
  readonly answer: ClientAnswer
  /** The client asked for the usage chunk: it is left in. */
  readonly usageAsked: boolean
  /** Called once, at the first meaningful event, before the first byte: writes the head. */
  readonly onCommit: () => void
  readonly editor?: Editor | undefined
}

/** What a push found: go on, wait for the client to drain, or one of the ways a stream ends early. */
export type Pushed =
  | { kind: 'on' }
  | { kind: 'full' }
  | { kind: 'error'; error: Json }
  | { kind: 'overflow' }
  | { kind: 'diverged' }
  | { kind: 'done' }

const ON: Pushed = { kind: 'on' }
const FULL: Pushed = { kind: 'full' }
const DONE: Pushed = { kind: 'done' }
const DIVERGED: Pushed = { kind: 'diverged' }
const NO_USAGE: Usage = { inputTokens: 0, outputTokens: 0, cachedInputTokens: 0 }

/** `commit`: keep, and it is meaningful. `skip`: drop, although it is. `edited`: what the editor made of it goes out instead. */
type Fate = 'keep' | 'commit' | 'drop' | 'skip' | 'edited' | 'error' | 'diverged'

/**
 * Passes one attempt's event stream to the client: holds back until the first meaningful event (the content commit), then one write per
 * upstream chunk with all its complete events, byte for byte but for what is taken out (malformed events; the usage chunk nobody asked
 * for). Knows whether the stream finished. At most 64 KiB held back, 1 MiB of an unfinished event.
 */
export class Relay {
  /** Of the answer as the client sees it. */
  usage: Usage | undefined
  /** As the engine counted it; undefined = no otherwise. */
  billed: Usage | undefined
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
    if (pushed.kind === 'error' || pushed.kind === 'diverged' || !this.finished || this.#sentinelSeen) return pushed
    const { sentinel } = this.#options.dialect
    if (sentinel !== undefined) this.#send(Buffer.from(sentinel))
    return DONE
  }

  #pass({ bytes, ends }: Cut): Pushed {
    let start = 0
    let keptFrom = 0
    let kept: Buffer[] | undefined
    let commits = false
    let over: 'error' | 'diverged' | undefined
    for (const end of ends) {
      const fate = this.#judge(bytes, start, end)
      if (fate === 'error' || fate === 'diverged') {
        over = fate
        break
      }
      if (fate !== 'keep' && fate !== 'drop') commits = true
      if (fate !== 'keep' && fate !== 'commit') {
        kept ??= []
        kept.push(bytes.subarray(keptFrom, start))
        if (fate === 'edited') kept.push(this.#edited)
        keptFrom = end
      }
      start = end
    }
    const rest = bytes.subarray(keptFrom, start)
    const out = kept === undefined ? rest : Buffer.concat([...kept, rest])
    const room = this.#deliver(out, commits)
    if (over !== undefined) return over === 'error' ? { kind: 'error', error: this.#error } : DIVERGED
    if (this.#sentinelSeen) return DONE
    return room ? ON : FULL
  }

  #deliver(out: Buffer, commits: boolean): boolean {
    if (out.length === 0 && !commits) return true
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

  #error: Json = {}
  #edited: Buffer = Buffer.alloc(0)

  #judge(bytes: Buffer, start: number, end: number): Fate {
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
    const { editor } = this.#options
    if (meaning.usage !== undefined) {
      this.usage = editor === undefined ? meaning.usage : editor.usage(meaning.usage)
      if (editor !== undefined) this.billed = meaning.usage
    }
    if (meaning.usagePart !== undefined) this.usage = { ...(this.usage ?? NO_USAGE), ...meaning.usagePart }
    if (meaning.isSentinel === true) this.#sentinelSeen = true
    this.#opened |= meaning.opens
    this.#finished |= meaning.finishes
    this.finished = this.#finished !== 0 && (this.#opened & ~this.#finished) === 0
    if (meaning.usageOnly && !this.#options.usageAsked) return 'drop'
    const plain = meaning.commits ? 'commit' : 'keep'
    return editor === undefined ? plain : (this.#edit(editor, parsed, meaning, event) ?? plain)
  }

  /** Undefined: the event goes out as it is. */
  #edit(editor: Editor, data: Json, meaning: EventMeaning, event: string): Fate | undefined {
    const edited = editor.edit(data, meaning)
    if (edited === data) return undefined
    if (edited === 'diverged') return 'diverged'
    if (edited === undefined) return meaning.commits ? 'skip' : 'drop'
    this.#edited = Buffer.from(`${event === '' ? '' : `event: ${event}\n`}data: ${JSON.stringify(edited)}\n\n`)
    return 'edited'
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
