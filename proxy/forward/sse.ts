/** A stretch of a stream that ends at an event boundary: `bytes`, and where each event in it ends. */
export interface Cut {
  readonly bytes: Buffer
  readonly ends: readonly number[]
}

/** One event's fields. `data` undefined = nothing but comments or blank lines. */
export interface SseEvent {
  readonly event: string
  readonly data: string | undefined
}

const MAX_EVENT_BYTES = 1024 * 1024
const LF = 0x0a
const CR = 0x0d
const BLANK_LINE = Buffer.from('\n\n')
const DATA = Buffer.from('data: ')
const BOM = '\uFEFF'
const NO_ENDS: readonly number[] = []

/**
 * Cuts a server-sent event stream at event boundaries (WHATWG HTML §9.2.6: lines end in LF, CRLF or CR). Bytes go out as they came in; the
 * unfinished tail, at most 1 MiB, is kept for the next push. Not safe for two streams.
 */
export class EventCutter {
  #tail: Buffer | undefined

  /** Undefined: the unfinished event has grown over the bound. */
  push(chunk: Buffer): Cut | undefined {
    const bytes = this.#tail === undefined ? chunk : Buffer.concat([this.#tail, chunk])
    const searchFrom = this.#tail === undefined ? 0 : Math.max(0, this.#tail.length - 3)
    const ends = bytes.includes(CR) ? endsOfAnyLine(bytes) : endsOfLf(bytes, searchFrom)
    const whole = ends.at(-1) ?? 0
    this.#tail = whole === bytes.length ? undefined : Buffer.from(bytes.subarray(whole))
    if ((this.#tail?.length ?? 0) > MAX_EVENT_BYTES) return undefined
    return { bytes: bytes.subarray(0, whole), ends }
  }

  /** At the end of the stream: a last event that lacks its blank line. Its bytes come back with one. */
  flush(): Cut | undefined {
    const tail = this.#tail
    this.#tail = undefined
    if (tail === undefined || tail.length === 0) return undefined
    const bytes = isComplete(tail) ? tail : Buffer.concat([tail, BLANK_LINE])
    return { bytes, ends: [bytes.length] }
  }
}

/** The CR that might have been half of a CRLF was a line end of its own, behind another one. */
const isComplete = (tail: Buffer): boolean => tail.at(-1) === CR && (tail.at(-2) === CR || tail.at(-2) === LF)

function endsOfLf(bytes: Buffer, searchFrom: number): readonly number[] {
  let at = bytes.indexOf(BLANK_LINE, searchFrom)
  if (at === -1) return NO_ENDS
  const ends: number[] = []
  while (at !== -1) {
    ends.push(at + 2)
    at = bytes.indexOf(BLANK_LINE, at + 2)
  }
  return ends
}

/** A CR that ends the buffer may be half of a CRLF: what it would finish waits for the next byte. */
function endsOfAnyLine(bytes: Buffer): readonly number[] {
  const ends: number[] = []
  let lineStart = 0
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at]
    if (byte !== LF && byte !== CR) continue
    if (byte === CR && at + 1 === bytes.length) break
    const empty = at === lineStart
    if (byte === CR && bytes[at + 1] === LF) at++
    lineStart = at + 1
    if (empty) ends.push(lineStart)
  }
  return ends
}

/** Reads the event that stands in `[start, end)` of a cut. */
export function readEvent(bytes: Buffer, start: number, end: number): SseEvent {
  if (isOneDataLine(bytes, start, end)) return { event: '', data: bytes.toString('utf8', start + DATA.length, end - 2) }
  let event = ''
  let data: string | undefined
  const text = bytes.toString('utf8', start, end)
  for (const line of (text.startsWith(BOM) ? text.slice(1) : text).split(/\r\n|\n|\r/)) {
    const colon = line.indexOf(':')
    const name = colon === -1 ? line : line.slice(0, colon)
    const raw = colon === -1 ? '' : line.slice(colon + 1)
    const value = raw.startsWith(' ') ? raw.slice(1) : raw
    if (name === 'event') event = value
    else if (name === 'data') data = data === undefined ? value : `${data}\n${value}`
  }
  return { event, data }
}

/** The shape of nearly every event: `data: …` and a blank line. */
function isOneDataLine(bytes: Buffer, start: number, end: number): boolean {
  if (bytes[start] !== 0x64 || bytes[start + 4] !== 0x3a || bytes[start + 5] !== 0x20) return false
  if (bytes.indexOf(LF, start) !== end - 2 || bytes.subarray(start, end).includes(CR)) return false
  return bytes.compare(DATA, 0, DATA.length, start, start + DATA.length) === 0
}
