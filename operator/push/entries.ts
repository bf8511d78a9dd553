/**
 * The push, from the operator's side. In: routing tables (`publish`), leadership and epoch, tokens of proxies. Out: over one stream per
 * proxy, what each has to know and nothing more (docs/wire.md); and as facts for `report/`: who has which version, and what proxies say.
 * It watches nothing, writes no status, and decides nothing about routes.
 *
 * This file: a table as entries with versions, and what differs between one published table and the next.
 */
import { createHash } from 'node:crypto'
import { type Entry, type EntryKind, type EntryVersion, TableHash, tableEntries } from '../../proxy/routing-table/entries.ts'
import { MAX_FRAME_BYTES, MAX_TABLE_BYTES } from '../../proxy/routing-table/frames.ts'
import type { RoutingTable } from '../../proxy/routing-table/v1.ts'

/** "kind key": an entry's name in one word. */
export type EntryId = string
export const entryId = (kind: EntryKind, key: string): EntryId => `${kind} ${key}`

/** What of an entry both sides know by name. */
export interface NamedVersion {
  readonly kind: EntryKind
  readonly key: string
  readonly version: EntryVersion
}

/** An entry as it travels. */
export interface VersionedEntry extends NamedVersion {
  readonly entry: Entry
  /** Its object in `change.set`, as JSON. */
  readonly wire: string
  /** Length of `wire` in UTF-8. */
  readonly bytes: number
}

/** All that one proxy is to have. Never changed: another view takes its place. */
export interface View {
  readonly entries: ReadonlyMap<EntryId, VersionedEntry>
  readonly hash: string
  readonly bytes: number
}

export interface ListedEntry extends VersionedEntry {
  /** The commit with which it last changed. */
  readonly changedSeq: number
  /** When that commit was made. */
  readonly changedAtMs: number
}

/** The table in force: what gateways get, and what sidecars' views are cut from. */
export interface Published extends View {
  readonly entries: ReadonlyMap<EntryId, ListedEntry>
  readonly seq: number
  /** When the resources behind its newest change were read. */
  readonly changedAtMs: number
}

export interface Publication {
  readonly published: Published
  readonly set: readonly ListedEntry[]
  readonly removed: readonly ListedEntry[]
}

const VERSION_DIGITS = 32
/** An entry and the frame around it pass as one message. */
const MAX_ENTRY_BYTES = MAX_FRAME_BYTES - 1024

/** Versions by the identity of the value: an unchanged value is neither written as JSON nor hashed again. */
export class EntryCache {
  readonly #known = new WeakMap<object, VersionedEntry>()

  versioned(entry: Entry): VersionedEntry {
    const known = this.#known.get(entry.value)
    if (known !== undefined && known.kind === entry.kind && known.key === entry.key) return known
    const made = makeVersioned(entry)
    this.#known.set(entry.value, made)
    return made
  }
}

function makeVersioned(entry: Entry): VersionedEntry {
  const { kind, key, value } = entry
  const json = JSON.stringify(value)
  const version = createHash('sha256').update(`${kind}\n${key}\n${json}`).digest('hex').slice(0, VERSION_DIGITS)
  const wire = `{"kind":"${kind}","key":${JSON.stringify(key)},"version":"${version}","value":${json}}`
  return { kind, key, version, entry, wire, bytes: Buffer.byteLength(wire) }
}

/** Before the first table: nobody is sent anything while this is in force. */
export const NOTHING: Published = { seq: 0, entries: new Map(), hash: new TableHash().hex, bytes: 0, changedAtMs: 0 }

/**
 * The next table after `previous`, or undefined if it is the same, whether its objects are or not. Entries that did not change stay the
 * objects they were. `tooLarge` = the bytes of a table, or of one entry, that may not travel: nothing of it is published.
 */
export function nextPublication(
  previous: Published,
  table: RoutingTable,
  { cache, changedAtMs, nowMs }: { cache: EntryCache; changedAtMs: number; nowMs: number },
): Publication | undefined | { readonly tooLarge: number } {
  const seq = previous.seq + 1
  const entries = new Map<EntryId, ListedEntry>()
  const set: ListedEntry[] = []
  const tally = new Tally(previous)
  for (const entry of tableEntries(table)) {
    const versioned = cache.versioned(entry)
    const id = entryId(entry.kind, entry.key)
    const before = previous.entries.get(id)
    const same = before?.version === versioned.version
    const listed = same ? before : { ...versioned, changedSeq: seq, changedAtMs: nowMs }
    entries.set(id, listed)
    if (same) continue
    set.push(listed)
    tally.replace(before, listed)
  }
  const removed = [...previous.entries].flatMap(([id, listed]) => (entries.has(id) ? [] : [listed]))
  for (const listed of removed) tally.replace(listed, undefined)
  if (tally.bytes > MAX_TABLE_BYTES) return { tooLarge: tally.bytes }
  const giant = set.find((listed) => listed.bytes > MAX_ENTRY_BYTES)
  if (giant !== undefined) return { tooLarge: giant.bytes }
  if (previous.seq > 0 && set.length === 0 && removed.length === 0) return undefined
  return { published: { seq, entries, hash: tally.hash, bytes: tally.bytes, changedAtMs }, set, removed }
}

/** Entry → what it is now; undefined = gone. */
export type Edits = ReadonlyMap<EntryId, VersionedEntry | undefined>

/** The view with these edits: itself, if they change nothing. */
export function editedView(view: View, edits: Edits): View {
  const real = [...edits].filter(([id, entry]) => view.entries.get(id)?.version !== entry?.version)
  if (real.length === 0) return view
  const entries = new Map(view.entries)
  const tally = new Tally(view)
  for (const [id, entry] of real) {
    tally.replace(view.entries.get(id), entry)
    if (entry === undefined) entries.delete(id)
    else entries.set(id, entry)
  }
  return { entries, hash: tally.hash, bytes: tally.bytes }
}

/** The sums over a view's entries, at the cost of what changes. */
class Tally {
  readonly #hash = new TableHash()
  bytes: number

  constructor(from: View) {
    this.#hash.add(from.hash)
    this.bytes = from.bytes
  }

  get hash(): string {
    return this.#hash.hex
  }

  replace(before: VersionedEntry | undefined, after: VersionedEntry | undefined): void {
    if (before !== undefined) this.#hash.remove(before.version)
    if (after !== undefined) this.#hash.add(after.version)
    this.bytes += (after?.bytes ?? 0) - (before?.bytes ?? 0)
  }
}
