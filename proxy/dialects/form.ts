/** Multipart forms (RFC 7578), read as they come: where `model` stands, whether a stream is asked for. Bytes stay where they are. */
import type { Field } from './json-scan.ts'

const MAX_HEAD_BYTES = 16 * 1024
const MAX_VALUE_BYTES = 4096
const CRLF = '\r\n'
const END_OF_HEAD = Buffer.from('\r\n\r\n')
/** Parts whose values are read here. Each may stand once: what we authorise must be what the engine reads. */
const READ: readonly string[] = ['model', 'stream']
const PLAIN_ENCODINGS: readonly string[] = ['7bit', '8bit', 'binary']

export interface FormField extends Field {
  readonly value: string
}

/** The boundary of a `multipart/form-data` content type; undefined = it is none. */
export function boundaryOf(contentType: string): string | undefined {
  const [, quoted, plain] =
    /^multipart\/form-data\s*;\s*boundary=(?:"([^"\\\r\n]{1,70})"|([^\s";,]{1,70}))\s*(?:;\s*charset=utf-8\s*)?$/i.exec(contentType) ?? []
  return quoted ?? plain
}

/**
 * Reads a form chunk by chunk, in memory that does not grow with it. Stricter than most engines: a form that two parsers could read in two
 * ways is refused. After a problem it must not be pushed to.
 */
export class FormScanner {
  readonly #marker: Buffer
  /** What has come and is not done with, and where it stands in the form. */
  #window: Buffer = Buffer.alloc(0)
  #offset = 0
  #state: 'start' | 'delimiter' | 'head' | 'body' | 'end' = 'start'
  #name: string | undefined
  readonly #fields = new Map<string, FormField>()

  constructor(boundary: string) {
    this.#marker = Buffer.from(`--${boundary}`, 'latin1')
  }

  /** By name: those of `model` and `stream` that have come whole. */
  get fields(): ReadonlyMap<string, FormField> {
    return this.#fields
  }

  /** The closing delimiter has come. */
  get complete(): boolean {
    return this.#state === 'end'
  }

  /** Undefined = fine so far; else what is wrong, as a sentence. */
  push(chunk: Buffer): string | undefined {
    this.#window = this.#window.length === 0 ? chunk : Buffer.concat([this.#window, chunk])
    for (;;) {
      const before = this.#state
      const from = this.#offset
      const problem = this.#step()
      if (problem !== undefined) return problem
      if (this.#state === before && this.#offset === from) return undefined
      if (this.#state === 'end') {
        this.#drop(this.#window.length)
        return undefined
      }
    }
  }

  #drop(bytes: number): void {
    this.#window = this.#window.subarray(bytes)
    this.#offset += bytes
  }

  #step(): string | undefined {
    switch (this.#state) {
      case 'start':
        return this.#readStart()
      case 'delimiter':
        return this.#readDelimiter()
      case 'head':
        return this.#readHead()
      case 'body':
        return this.#readBody()
      case 'end':
        return undefined
    }
  }

  #readStart(): string | undefined {
    if (this.#window.length < this.#marker.length) return undefined
    if (!this.#window.subarray(0, this.#marker.length).equals(this.#marker)) return 'The form does not begin with its boundary.'
    this.#drop(this.#marker.length)
    this.#state = 'delimiter'
    return undefined
  }

  #readDelimiter(): string | undefined {
    if (this.#window.length < 2) return undefined
    const next = this.#window.toString('latin1', 0, 2)
    if (next !== CRLF && next !== '--') return 'A boundary of the form is followed by other bytes.'
    this.#drop(2)
    this.#state = next === CRLF ? 'head' : 'end'
    return undefined
  }

  #readHead(): string | undefined {
    const end = this.#window.indexOf(END_OF_HEAD)
    if (end === -1 || end > MAX_HEAD_BYTES)
      return this.#window.length > MAX_HEAD_BYTES ? 'The head of a part of the form is too large.' : undefined
    const head = readPartHead(this.#window.toString('latin1', 0, end))
    if ('problem' in head) return head.problem
    this.#name = READ.includes(head.name) ? head.name : undefined
    if (this.#name !== undefined && this.#fields.has(this.#name)) return `"${this.#name}" stands more than once in the form. Send it once.`
    if (this.#name !== undefined && !head.isPlain) return `"${this.#name}" must be a plain field of the form, no file.`
    this.#drop(end + END_OF_HEAD.length)
    this.#state = 'body'
    return undefined
  }

  #readBody(): string | undefined {
    const at = this.#window.indexOf(this.#marker)
    if (at === -1) return this.#readOn()
    if (at < 2 || this.#window.toString('latin1', at - 2, at) !== CRLF) return 'The boundary of the form stands inside one of its parts.'
    if (this.#name !== undefined) {
      if (at - 2 > MAX_VALUE_BYTES) return `"${this.#name}" is too long.`
      const value = this.#window.toString('utf8', 0, at - 2)
      this.#fields.set(this.#name, { key: this.#name, value, valueStart: this.#offset, valueEnd: this.#offset + at - 2 })
    }
    this.#drop(at + this.#marker.length)
    this.#state = 'delimiter'
    return undefined
  }

  /** Nothing of a part's end has come: of a value that is read all stays, of any other only what may be half a delimiter. */
  #readOn(): string | undefined {
    const half = this.#marker.length + 1
    if (this.#name === undefined) this.#drop(Math.max(0, this.#window.length - half))
    else if (this.#window.length > MAX_VALUE_BYTES + half) return `"${this.#name}" is too long.`
    return undefined
  }
}

const UNCLEAR = { problem: 'A part of the form has no clear name. Send Content-Disposition: form-data; name="…".' }

/** `isPlain`: no file, and its bytes are its value. */
function readPartHead(head: string): { name: string; isPlain: boolean } | { problem: string } {
  if (/[\r\n]/.test(head.replaceAll(CRLF, ''))) return UNCLEAR
  const headers = head.split(CRLF).map((line) => /^([!#$%&'*+.^_`|~\w-]+):[ \t]*(.*?)[ \t]*$/.exec(line))
  const named = (wanted: string): string[] => headers.flatMap((header) => (header?.[1]?.toLowerCase() === wanted ? [header[2] ?? ''] : []))
  const [disposition, second] = named('content-disposition')
  if (headers.includes(null) || disposition === undefined || second !== undefined) return UNCLEAR
  const parameters = parametersOf(disposition)
  const name = parameters?.get('name')
  if (parameters === undefined || name === undefined || name.includes('\\')) return UNCLEAR
  const isFile = parameters.has('filename') || parameters.has('filename*')
  return { name, isPlain: !isFile && named('content-transfer-encoding').every((coding) => PLAIN_ENCODINGS.includes(coding.toLowerCase())) }
}

/** Of `form-data; …`; undefined where it could be read in more than one way. */
function parametersOf(disposition: string): ReadonlyMap<string, string> | undefined {
  if (!/^form-data\s*;/i.test(disposition)) return undefined
  const parameters = new Map<string, string>()
  const pattern = /\s*;\s*([\w-]+\*?)=(?:"([^"]*)"|([^\s";]+))/gy
  pattern.lastIndex = 'form-data'.length
  for (;;) {
    const from = pattern.lastIndex
    const [, key = '', quoted, plain = ''] = pattern.exec(disposition) ?? []
    if (key === '') return from === disposition.length ? parameters : undefined
    const name = key.toLowerCase()
    if (parameters.has(name) || name === 'name*' || quoted?.endsWith('\\') === true) return undefined
    parameters.set(name, quoted ?? plain)
  }
}
