import { EVENT_ID, type Event, getScalarValue, parseEvents, SCALAR_STYLE, type ScalarEvent } from 'js-yaml'
import { readPlainScalar } from './yaml-scalars.ts'

export interface YamlProblem {
  /** 1-based. */
  readonly line: number
  /** Such as "spec.backends[1].url"; empty when it concerns no field. */
  readonly path: string
  readonly message: string
}

export interface YamlDocument {
  /** Plain objects, arrays and scalars. Nulls are still there. */
  readonly value: unknown
  /** The line of a field, or of the nearest field around it that stands in the text. */
  lineOf(path: string): number
  /** What makes the document unfit to be read further. */
  readonly problems: readonly YamlProblem[]
}

/** Aliases repeat what they name: this many values may come of one document. */
const MAX_VALUES = 100_000

export interface Chunk {
  readonly text: string
  readonly firstLine: number
}

interface Built {
  readonly value: unknown
  /** How many values it holds, itself included. */
  readonly size: number
}

/** Builds values from js-yaml's events, which know where in the text they stand; its own constructor forgets that. */
export class Composer {
  readonly #source: string
  readonly #events: readonly Event[]
  readonly #lineStarts: readonly number[]
  readonly #firstLine: number
  #next = 0
  #anchors = new Map<string, Built>()
  #lines = new Map<string, number>()
  #problems: YamlProblem[] = []

  constructor({ text, firstLine }: Chunk) {
    this.#source = text
    this.#events = parseEvents(text, {})
    this.#firstLine = firstLine
    this.#lineStarts = [0, ...[...text.matchAll(/\n/g)].map(({ index }) => index + 1)]
  }

  documents(): YamlDocument[] {
    const documents: YamlDocument[] = []
    while (this.#take()?.type === EVENT_ID.DOCUMENT) {
      const document = this.#document()
      if (document.value !== null || document.problems.length > 0) documents.push(document)
    }
    return documents
  }

  #document(): YamlDocument {
    this.#anchors = new Map()
    this.#lines = new Map()
    this.#problems = []
    const { value, size } = this.#isAtEnd() ? { value: null, size: 0 } : this.#value('', this.#firstLine)
    this.#take()
    if (size > MAX_VALUES) this.#refuse(this.#firstLine, '', `too large: more than ${MAX_VALUES} values, aliases counted as what they name`)
    const lines = this.#lines
    const top = lines.get('') ?? this.#firstLine
    return { value, lineOf: (path) => nearestLine(lines, path) ?? top, problems: this.#problems }
  }

  /** `line` is where the value belongs when it has no text of its own. */
  #value(path: string, line: number): Built {
    const event = this.#take()
    if (event === undefined || event.type === EVENT_ID.POP || event.type === EVENT_ID.DOCUMENT) throw new Error('unbalanced YAML events')
    if (event.type === EVENT_ID.ALIAS) return this.#alias(this.#source.slice(event.anchorStart, event.anchorEnd), path, line)
    const start = event.type === EVENT_ID.SCALAR ? event.valueStart : event.start
    const at = start === -1 ? line : this.#lineAt(start)
    if (!this.#lines.has(path)) this.#lines.set(path, at)
    const built = this.#node(event, path, at)
    if (event.anchorStart !== -1) this.#anchors.set(this.#source.slice(event.anchorStart, event.anchorEnd), built)
    return built
  }

  #node(event: Exclude<Event, { type: 1 | 5 | 6 }>, path: string, at: number): Built {
    const tag = event.tagStart === -1 ? '' : this.#source.slice(event.tagStart, event.tagEnd)
    if (event.type === EVENT_ID.SCALAR) return { value: this.#scalar(event, tag, path, at), size: 1 }
    if (tag !== '') this.#refuse(at, path, `the tag ${tag} is not read here`)
    return event.type === EVENT_ID.SEQUENCE ? this.#sequence(path, at) : this.#mapping(path, at)
  }

  #alias(name: string, path: string, line: number): Built {
    const known = this.#anchors.get(name)
    if (known === undefined) this.#refuse(line, path, `*${name} names nothing that stands before it`)
    return known ?? { value: null, size: 1 }
  }

  #scalar(event: ScalarEvent, tag: string, path: string, at: number): unknown {
    const text = getScalarValue(this.#source, event)
    if (tag === '!!str' || tag === '!' || (tag === '' && event.style !== SCALAR_STYLE.PLAIN)) return text
    if (tag !== '') this.#refuse(at, path, `the tag ${tag} is not read here`)
    const scalar = readPlainScalar(text)
    if ('value' in scalar) return scalar.value
    this.#refuse(at, path, scalar.ambiguous)
    return text
  }

  #sequence(path: string, at: number): Built {
    const items: unknown[] = []
    let size = 1
    while (!this.#isAtEnd()) {
      const item = this.#value(`${path}[${items.length}]`, at)
      items.push(item.value)
      size += item.size
    }
    this.#take()
    return { value: items, size }
  }

  #mapping(path: string, at: number): Built {
    const fields = new Map<string, unknown>()
    const merged = new Map<string, unknown>()
    let size = 1
    while (!this.#isAtEnd()) {
      const { key, line, isMerge } = this.#key(path, at)
      const here = path === '' ? key : `${path}.${key}`
      const isNew = !fields.has(key)
      if (isNew) this.#lines.set(here, line)
      else this.#refuse(line, here, `"${key}" stands here twice`)
      const value = this.#value(here, line)
      size += value.size
      if (isMerge) this.#merge(merged, value.value, here, line)
      else if (isNew) fields.set(key, value.value)
    }
    this.#take()
    return { value: toObject(new Map([...merged, ...fields])), size }
  }

  #key(path: string, at: number): { key: string; line: number; isMerge: boolean } {
    const event = this.#events[this.#next]
    const isPlain = event?.type === EVENT_ID.SCALAR && event.style === SCALAR_STYLE.PLAIN && event.tagStart === -1
    if (event?.type === EVENT_ID.SCALAR) {
      const line = event.valueStart === -1 ? at : this.#lineAt(event.valueStart)
      this.#next++
      const text = getScalarValue(this.#source, event)
      const scalar = isPlain ? readPlainScalar(text) : { value: text }
      if ('ambiguous' in scalar) this.#refuse(line, path === '' ? text : `${path}.${text}`, `the key ${text}: ${scalar.ambiguous}`)
      return { key: 'ambiguous' in scalar ? text : String(scalar.value), line, isMerge: isPlain && text === '<<' }
    }
    const line = event !== undefined && 'start' in event ? this.#lineAt(event.start) : at
    this.#value(`${path}.?`, line)
    this.#refuse(line, path, 'a key must be text')
    return { key: '?', line, isMerge: false }
  }

  /** `<<`: fields of another mapping, or of several, where they do not stand here; of several the first wins. */
  #merge(into: Map<string, unknown>, value: unknown, path: string, line: number): void {
    for (const source of Array.isArray(value) ? value : [value]) {
      const isMapping = typeof source === 'object' && source !== null && !Array.isArray(source)
      if (!isMapping) this.#refuse(line, path, '<< must name a mapping')
      for (const [key, field] of Object.entries(isMapping ? source : {})) if (!into.has(key)) into.set(key, field)
    }
  }

  #refuse(line: number, path: string, message: string): void {
    this.#problems.push({ line, path, message })
  }

  #take(): Event | undefined {
    return this.#events[this.#next++]
  }

  #isAtEnd(): boolean {
    return this.#events[this.#next]?.type === EVENT_ID.POP
  }

  #lineAt(offset: number): number {
    let low = 0
    let high = this.#lineStarts.length
    while (high - low > 1) {
      const middle = (low + high) >>> 1
      if ((this.#lineStarts[middle] ?? 0) <= offset) low = middle
      else high = middle
    }
    return this.#firstLine + low
  }
}

/** Own properties only, whatever their names: assignment would take "__proto__" for the prototype. */
function toObject(fields: ReadonlyMap<string, unknown>): object {
  const out = {}
  for (const [name, value] of fields) Object.defineProperty(out, name, { value, enumerable: true, configurable: true, writable: true })
  return out
}

function nearestLine(lines: ReadonlyMap<string, number>, path: string): number | undefined {
  for (let at = path; at !== ''; at = at.slice(0, Math.max(0, at.lastIndexOf('.'), at.lastIndexOf('[')))) {
    const line = lines.get(at)
    if (line !== undefined) return line
  }
  return undefined
}
