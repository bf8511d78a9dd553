/**
 * How a prompt begins, read from the bytes as the client wrote them: nothing is built, and of a long body only its beginning is looked at. In:
 * the body and where its fields stand. Out: texts, one character a byte, escapes as they are.
 */
import { hashOf } from '../decide/affinity/hash.ts'
import { elementsOf, type Field, scanObject } from './json-scan.ts'
import type { RequestBody } from './request.ts'

export interface Beginning {
  /** What stands before the first turn that is not the system's; '' = nothing. */
  readonly system: string
  /** The turns up to the user's first one; a later turn changes nothing of it. */
  readonly first: string
}

/** How much of a field is looked at: the second only where the first ends within what is wanted. */
const WINDOWS_BYTES = [65_536, 1_048_576]
const MAX_TURNS = 32
const MAX_PARTS = 32
/** Of a part that is no text: pictures begin alike, so that a few hundred would not do. */
const PART_CHARACTERS = 4096

export function beginningOf(body: Pick<RequestBody, 'bytes' | 'scanned'>): Beginning {
  const field = (key: string): Field | undefined => body.scanned.findLast((one) => one.key === key)
  const given = field('system') ?? field('instructions')
  const system = given === undefined ? '' : textOf(rawOf(body.bytes, given, WINDOWS_BYTES[0]))
  const prompt = field('messages') ?? field('input') ?? field('prompt')
  if (prompt === undefined) return { system, first: '' }
  for (const windowBytes of WINDOWS_BYTES) {
    const { found, ...beginning } = turnsOf(rawOf(body.bytes, prompt, windowBytes), system)
    if (found || prompt.valueEnd - prompt.valueStart <= windowBytes) return beginning
  }
  return turnsOf(rawOf(body.bytes, prompt, WINDOWS_BYTES.at(-1)), system)
}

/** A field's text, one character a byte; '' where it is absent. */
export function fieldText({ bytes, scanned }: Pick<RequestBody, 'bytes' | 'scanned'>, key: string, mostBytes: number): string {
  const field = scanned.findLast((one) => one.key === key)
  return field === undefined ? '' : textOf(rawOf(bytes, field, mostBytes))
}

const rawOf = (bytes: Uint8Array, { valueStart, valueEnd }: Field, mostBytes = 0): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1', valueStart, Math.min(valueEnd, valueStart + mostBytes))

/** `found`: there is a user's turn, and it is whole. A list of anything but objects, as of token numbers, is itself the prompt. */
function turnsOf(raw: string, given: string): Beginning & { readonly found: boolean } {
  if (!/^\[\s*\{/.test(raw)) return { system: given, first: raw.startsWith('[') ? raw : textOf(raw), found: true }
  const system = given === '' ? [] : [given]
  const first: string[] = []
  for (const element of elementsOf(raw)) {
    const { role, text, whole } = turnOf(element)
    if (first.length === 0 && (role === '"system"' || role === '"developer"')) system.push(text)
    else first.push(text)
    const found = whole && role === '"user"'
    if (found || system.length + first.length >= MAX_TURNS) return { system: system.join('\n'), first: first.join('\n'), found }
  }
  return { system: system.join('\n'), first: first.join('\n'), found: false }
}

interface Turn {
  /** As it is written, quotes included; '' = none. */
  readonly role: string
  readonly text: string
  readonly whole: boolean
}

function turnOf(raw: string): Turn {
  const fields = scanObject(raw)
  if (fields === undefined) return { role: '', text: raw, whole: false }
  return { role: rawValue(raw, fields, 'role'), text: textOf(rawValue(raw, fields, 'content')), whole: true }
}

function rawValue(raw: string, fields: readonly Field[], key: string): string {
  const field = fields.findLast((one) => one.key === key)
  return field === undefined ? '' : raw.slice(field.valueStart, field.valueEnd)
}

/** Of a text, or of a list of texts or parts that have one. What else parts carry changes from turn to turn (`cache_control`). */
function textOf(raw: string): string {
  if (raw.startsWith('"')) return raw.slice(1, -1)
  if (!raw.startsWith('[')) return ''
  const texts: string[] = []
  for (const part of elementsOf(raw)) {
    texts.push(partText(part))
    if (texts.length >= MAX_PARTS) break
  }
  return texts.join('\n')
}

function partText(raw: string): string {
  if (raw.startsWith('"')) return raw.slice(1, -1)
  const text = rawValue(raw, scanObject(raw) ?? [], 'text')
  return text.startsWith('"') ? text.slice(1, -1) : `${hashOf(raw.slice(0, PART_CHARACTERS))}`
}
