import { createHash, type Hash } from 'node:crypto'
import { type Check, isRecord, MAX_INTEGER, matching, number, object, oneOf, type TableError, text } from '../routing-table/checks.ts'
import { parseEntry } from '../routing-table/entries.ts'
import { isEntryKind, type ProxyMode } from '../routing-table/frames.ts'
import type { HeldEntry } from './held-table.ts'

/** A good table, and all that a restarted proxy has to know of it. */
export interface GoodTable {
  readonly mode: ProxyMode
  /** The namespace that the operator named. */
  readonly namespace: string
  readonly epoch: number
  readonly seq: number
  /** The newest epoch ever seen. */
  readonly newestEpoch: number
  /** When an operator was last heard while this was in force. Milliseconds since the epoch. */
  readonly confirmedAtMs: number
  readonly entries: readonly HeldEntry[]
}

export type ReadGood =
  /** `unread`: entries that this program does not read; they are left out. */
  { readonly kind: 'read'; readonly good: GoodTable; readonly unread: number } | { readonly kind: 'bad'; readonly why: string }

const FORMAT = 'llama-swap last known good table'
const CHUNK_CHARACTERS = 256 * 1024

const count = number(0, MAX_INTEGER)
const header = object({
  format: oneOf([FORMAT]),
  v: number(1, 1),
  mode: oneOf(['Gateway', 'Sidecar']),
  namespace: text(63),
  epoch: count,
  seq: count,
  newestEpoch: count,
  confirmedAtMs: count,
})
const trailer = object({ sha256: matching(/^[0-9a-f]{64}$/, 'a SHA-256 in hex') })
const version = matching(/^[0-9a-f]{32}$/, '32 hex digits')

/**
 * The file's text in chunks: a line of header, a line for each entry, and last the SHA-256 of all before it. So a cut or edited file is
 * found, and a large table is written without holding the event loop for long.
 */
export function* writeGood({ entries, ...head }: GoodTable): Generator<string, void, undefined> {
  const hash = createHash('sha256')
  let chunk = `${JSON.stringify({ format: FORMAT, v: 1, ...head })}\n`
  for (const { entry, version } of entries) {
    chunk += `${JSON.stringify([entry.kind, entry.key, version, entry.value])}\n`
    if (chunk.length < CHUNK_CHARACTERS) continue
    yield hashed(hash, chunk)
    chunk = ''
  }
  yield hashed(hash, chunk)
  yield `${JSON.stringify({ sha256: hash.digest('hex') })}\n`
}

function hashed(hash: Hash, chunk: string): string {
  hash.update(chunk)
  return chunk
}

export function readGood(file: string): ReadGood {
  const end = file.lastIndexOf('\n', file.length - 2) + 1
  const body = file.slice(0, end)
  const last = fitting(file.slice(end), trailer)
  if (last === undefined) return { kind: 'bad', why: 'it is cut short or of another program' }
  if (createHash('sha256').update(body).digest('hex') !== last['sha256']) return { kind: 'bad', why: 'its checksum does not fit' }
  const [first = '', ...lines] = body.split('\n')
  const head = fitting(first, header)
  if (!isHead(head)) return { kind: 'bad', why: 'its header is not read here' }
  const written = lines.filter((line) => line !== '')
  const entries = written.flatMap(readEntry)
  const { mode, namespace, epoch, seq, newestEpoch, confirmedAtMs } = head
  return {
    kind: 'read',
    unread: written.length - entries.length,
    good: { mode, namespace, epoch, seq, newestEpoch, confirmedAtMs, entries },
  }
}

/** `header` has judged it. */
const isHead = (value: Record<string, unknown> | undefined): value is Omit<GoodTable, 'entries'> & Record<string, unknown> =>
  value !== undefined

function fitting(line: string, check: Check): Record<string, unknown> | undefined {
  const value = json(line)
  const errors: TableError[] = []
  check(value, '', errors)
  return errors.length === 0 && isRecord(value) ? value : undefined
}

function readEntry(line: string): HeldEntry[] {
  const parts = json(line)
  if (!Array.isArray(parts) || parts.length !== 4) return []
  const [kind, key, given, value]: unknown[] = parts
  const errors: TableError[] = []
  version(given, '', errors)
  if (typeof kind !== 'string' || !isEntryKind(kind) || typeof key !== 'string' || typeof given !== 'string' || errors.length > 0) return []
  const parsed = parseEntry(kind, key, value)
  return 'entry' in parsed ? [{ entry: parsed.entry, version: given }] : []
}

function json(line: string): unknown {
  try {
    return JSON.parse(line)
  } catch {
    return undefined
  }
}
