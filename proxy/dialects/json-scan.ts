/** One top-level field of a JSON object, as byte offsets into the text: `[valueStart, valueEnd)`. */
export interface Field {
  /** Decoded: escaped spellings of a key are the same key. */
  readonly key: string
  readonly valueStart: number
  readonly valueEnd: number
}

const QUOTE = 0x22
const BACKSLASH = 0x5c
const OPEN_BRACE = 0x7b
const CLOSE_BRACE = 0x7d
const OPEN_BRACKET = 0x5b
const CLOSE_BRACKET = 0x5d
const COMMA = 0x2c
const COLON = 0x3a
const SPACE = 0x20

/** A request has some twenty fields; more than this is no request. */
const MAX_FIELDS = 1000

/**
 * The text that `scanObject` reads: one character a byte, so that its offsets are byte offsets. `decoded` is the same bytes as UTF-8, if
 * they have been decoded already: of pure ASCII it serves as it is.
 */
export function bytewise(bytes: Buffer, decoded?: string): string {
  return decoded?.length === bytes.length ? decoded : bytes.toString('latin1')
}

/**
 * Finds the top-level fields of a JSON object without building it: one pass over its bytes (see `bytewise`), strings skipped by the native
 * search for their end. Undefined if it is no object or does not nest. Lenient inside values: whoever needs a strict answer parses too.
 */
export function scanObject(text: string): Field[] | undefined {
  const fields: Field[] = []
  let at = skipSpace(text, 0)
  if (text.charCodeAt(at) !== OPEN_BRACE) return undefined
  at = skipSpace(text, at + 1)
  if (text.charCodeAt(at) === CLOSE_BRACE) return skipSpace(text, at + 1) === text.length ? fields : undefined
  for (;;) {
    if (text.charCodeAt(at) !== QUOTE || fields.length > MAX_FIELDS) return undefined
    const keyEnd = endOfString(text, at + 1)
    const colon = keyEnd < 0 ? -1 : skipSpace(text, keyEnd + 1)
    if (colon < 0 || text.charCodeAt(colon) !== COLON) return undefined
    const valueStart = skipSpace(text, colon + 1)
    const valueEnd = endOfValue(text, valueStart)
    if (valueEnd <= valueStart) return undefined
    fields.push({ key: keyText(text.slice(at + 1, keyEnd)), valueStart, valueEnd })
    at = skipSpace(text, valueEnd)
    const byte = text.charCodeAt(at)
    if (byte === CLOSE_BRACE) return skipSpace(text, at + 1) === text.length ? fields : undefined
    if (byte !== COMMA) return undefined
    at = skipSpace(text, at + 1)
  }
}

/** The elements of an array as they are written, one after the other. The last one may be cut off by the text's end. */
export function* elementsOf(text: string): Generator<string> {
  let at = skipSpace(text, 0)
  for (let before = OPEN_BRACKET; text.charCodeAt(at) === before; before = COMMA) {
    const start = skipSpace(text, at + 1)
    if (start >= text.length || text.charCodeAt(start) === CLOSE_BRACKET) return
    const end = endOfValue(text, start)
    yield end < 0 ? text.slice(start) : text.slice(start, end)
    if (end <= start) return
    at = skipSpace(text, end)
  }
}

function skipSpace(text: string, from: number): number {
  let at = from
  for (;;) {
    const byte = text.charCodeAt(at)
    if (byte !== SPACE && byte !== 0x0a && byte !== 0x0d && byte !== 0x09) return at
    at++
  }
}

/** Offset of the closing quote of a string whose characters start at `from`; −1 if it never ends. */
function endOfString(text: string, from: number): number {
  let quote = text.indexOf('"', from)
  while (quote >= 0) {
    let before = quote - 1
    while (before >= from && text.charCodeAt(before) === BACKSLASH) before--
    if ((quote - before) % 2 === 1) return quote
    quote = text.indexOf('"', quote + 1)
  }
  return -1
}

/** Offset just behind the value that starts at `from`; −1 if it does not nest or never ends. */
function endOfValue(text: string, from: number): number {
  const first = text.charCodeAt(from)
  if (first === QUOTE) return endOfString(text, from + 1) + 1 || -1
  if (first === OPEN_BRACE || first === OPEN_BRACKET) return endOfNested(text, from)
  for (let at = from; at < text.length; at++) {
    const byte = text.charCodeAt(at)
    if (byte === COMMA || byte === CLOSE_BRACE || byte === CLOSE_BRACKET || byte <= SPACE) return at
  }
  return text.length
}

function endOfNested(text: string, from: number): number {
  let depth = 0
  for (let at = from; at < text.length; at++) {
    const byte = text.charCodeAt(at)
    if (byte === QUOTE) {
      at = endOfString(text, at + 1)
      if (at < 0) return -1
    } else if (byte === OPEN_BRACE || byte === OPEN_BRACKET) depth++
    else if (byte === CLOSE_BRACE || byte === CLOSE_BRACKET) {
      depth--
      if (depth === 0) return at + 1
    }
  }
  return -1
}

/** Most keys are plain ASCII; others are decoded as what they are, escaped UTF-8. */
function keyText(raw: string): string {
  if (/^[ -[\]-~]*$/.test(raw)) return raw
  const decoded = Buffer.from(raw, 'latin1').toString()
  try {
    return String(JSON.parse(`"${decoded}"`))
  } catch {
    return decoded // no valid key: whoever parses strictly refuses the body
  }
}
