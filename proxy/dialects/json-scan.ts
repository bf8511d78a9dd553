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

/** Bytes looked at one by one before the native search for the closing quote pays. */
const SHORT_STRING = 24
/** A request has some twenty fields; more than this is no request. */
const MAX_FIELDS = 1000

/**
 * Finds the top-level fields of a JSON object without building it: one pass, long strings skipped by a native search. Undefined if the
 * bytes are no object or do not nest. Lenient inside values: whoever needs a strict answer parses too.
 */
export function scanObject(bytes: Uint8Array): Field[] | undefined {
  const fields: Field[] = []
  let at = skipSpace(bytes, 0)
  if (bytes[at] !== OPEN_BRACE) return undefined
  at = skipSpace(bytes, at + 1)
  if (bytes[at] === CLOSE_BRACE) return skipSpace(bytes, at + 1) === bytes.length ? fields : undefined
  for (;;) {
    if (bytes[at] !== QUOTE || fields.length > MAX_FIELDS) return undefined
    const keyEnd = endOfString(bytes, at + 1)
    const colon = keyEnd < 0 ? -1 : skipSpace(bytes, keyEnd + 1)
    if (colon < 0 || bytes[colon] !== COLON) return undefined
    const valueStart = skipSpace(bytes, colon + 1)
    const valueEnd = endOfValue(bytes, valueStart)
    if (valueEnd <= valueStart) return undefined
    fields.push({ key: keyText(bytes, at + 1, keyEnd), valueStart, valueEnd })
    at = skipSpace(bytes, valueEnd)
    if (bytes[at] === CLOSE_BRACE) return skipSpace(bytes, at + 1) === bytes.length ? fields : undefined
    if (bytes[at] !== COMMA) return undefined
    at = skipSpace(bytes, at + 1)
  }
}

function skipSpace(bytes: Uint8Array, from: number): number {
  let at = from
  for (;;) {
    const byte = bytes[at]
    if (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09) return at
    at++
  }
}

/** Offset of the closing quote of a string whose text starts at `from`; −1 if it never ends. */
function endOfString(bytes: Uint8Array, from: number): number {
  const short = Math.min(from + SHORT_STRING, bytes.length)
  for (let at = from; at < short; at++) {
    const byte = bytes[at]
    if (byte === QUOTE) return at
    if (byte === BACKSLASH) at++
  }
  for (let quote = bytes.indexOf(QUOTE, from); quote >= 0; quote = bytes.indexOf(QUOTE, quote + 1)) {
    let before = quote - 1
    while (before >= from && bytes[before] === BACKSLASH) before--
    if ((quote - before) % 2 === 1) return quote
  }
  return -1
}

/** Offset just behind the value that starts at `from`; −1 if it does not nest or never ends. */
function endOfValue(bytes: Uint8Array, from: number): number {
  const first = bytes[from]
  if (first === QUOTE) return endOfString(bytes, from + 1) + 1 || -1
  if (first === OPEN_BRACE || first === OPEN_BRACKET) return endOfNested(bytes, from)
  let at = from
  for (;;) {
    const byte = bytes[at]
    if (byte === undefined || byte === COMMA || byte === CLOSE_BRACE || byte === CLOSE_BRACKET || byte <= 0x20) return at
    at++
  }
}

function endOfNested(bytes: Uint8Array, from: number): number {
  let depth = 0
  for (let at = from; at < bytes.length; at++) {
    const byte = bytes[at]
    if (byte === QUOTE) {
      at = endOfString(bytes, at + 1)
      if (at < 0) return -1
    } else if (byte === OPEN_BRACE || byte === OPEN_BRACKET) depth++
    else if (byte === CLOSE_BRACE || byte === CLOSE_BRACKET) {
      depth--
      if (depth === 0) return at + 1
    }
  }
  return -1
}

const decoder = new TextDecoder()

function keyText(bytes: Uint8Array, start: number, end: number): string {
  let text = ''
  for (let at = start; at < end; at++) {
    const byte = bytes[at] ?? 0
    if (byte === BACKSLASH || byte >= 0x80) return escapedKey(decoder.decode(bytes.subarray(start, end)))
    text += String.fromCharCode(byte)
  }
  return text
}

function escapedKey(raw: string): string {
  try {
    return String(JSON.parse(`"${raw}"`))
  } catch {
    return raw // no valid key: whoever parses strictly refuses the body
  }
}
