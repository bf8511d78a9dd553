import type { TableError } from '../routing-table/checks.ts'
import { type Entry, type EntryKind, type EntryVersion, parseEntry, TableHash, tableOf } from '../routing-table/entries.ts'
import {
  type FrameError,
  isEntryKind,
  type Kept,
  MAX_TABLE_BYTES,
  type OperatorFrame,
  type ProxyFrame,
  type TableStamp,
} from '../routing-table/frames.ts'
import type { RoutingTable } from '../routing-table/v1.ts'

type Change = Extract<OperatorFrame, { type: 'change' }>
export type CommitAnswer = Extract<ProxyFrame, { type: 'ack' | 'nack' }>

/** An entry in force, with the version it came with. */
export interface HeldEntry {
  readonly entry: Entry
  readonly version: EntryVersion
}

interface Good extends HeldEntry {
  /** Characters of its value as JSON. */
  readonly size: number
}

interface Held {
  /** As received last: what the hash is made of. It is refused while it is not the version of `good`. */
  readonly version: EntryVersion
  /** Absent = none was ever good. */
  readonly good?: Good
}

interface Collected {
  readonly kind: string
  readonly key: string
  /** Absent = to be removed. */
  readonly set?: { readonly version: EntryVersion; readonly value: unknown; readonly size: number }
}

export type Committed =
  /** `changed`: an entry in force came, went or was replaced. */
  | { readonly kind: 'taken'; readonly changed: boolean; readonly answer: CommitAnswer }
  /** Nothing of it was taken. */
  | { readonly kind: 'refused'; readonly answer: CommitAnswer }

const MAX_ERRORS = 200
const MAX_ERRORS_OF_ENTRY = 5
const MAX_KEPT = 10_000
const MAX_TEXT = 1024

const nameOf = ({ kind, key }: { readonly kind: string; readonly key: string }): string => `${kind} ${key}`

/**
 * What this proxy has of a pushed table, entry by entry. `change` frames only collect; a commit whose hash fits makes what was collected
 * count, entry by entry: a bad one keeps its last good value and harms no other. No I/O and no clock. Bound: 64 MiB of values held, and
 * as much collected.
 */
export class HeldTable {
  readonly #held = new Map<string, Held>()
  /** Name → the first thing that is wrong with it. */
  readonly #refused = new Map<string, FrameError>()
  readonly #hash = new TableHash()
  #size = 0
  #collected = new Map<string, Collected>()
  #collectedSize = 0
  #tooLarge = false

  /** Of what was received. */
  get hash(): string {
    return this.#hash.hex
  }

  collect({ set, remove }: Change): void {
    for (const { kind, key, version, value } of set)
      this.#collectOne({ kind, key, set: { version, value, size: JSON.stringify(value).length } })
    for (const { kind, key } of remove) this.#collectOne({ kind, key })
  }

  /** Forgets what was collected and not committed. */
  forget(): void {
    this.#collected = new Map()
    this.#collectedSize = 0
    this.#tooLarge = false
  }

  /** `ignorable`: names of fields that a newer writer lets us skip. */
  commit(stamp: TableStamp, ignorable: ReadonlySet<string>): Committed {
    const collected = this.#collected
    const tooLarge = this.#tooLarge || this.#sizeWith(collected) > MAX_TABLE_BYTES
    this.forget()
    if (tooLarge) return this.#refuseAll(stamp, 'tooLarge', `the table has more than ${MAX_TABLE_BYTES} characters`)
    this.#moveHash(collected, 'on')
    if (this.#hash.hex !== stamp.hash) {
      const message = `the hash of what was received is ${this.#hash.hex}, not ${stamp.hash}`
      this.#moveHash(collected, 'back')
      return this.#refuseAll(stamp, 'hashMismatch', message)
    }
    return this.#takeAll(collected, stamp, ignorable)
  }

  /** The table of the entries in force. */
  table(stamp: { epoch: number; seq: number }): RoutingTable {
    return tableOf(
      this.good().map(({ entry }) => entry),
      stamp,
    )
  }

  /** The entries in force. */
  good(): HeldEntry[] {
    return [...this.#held.values()].flatMap(({ good }) => (good === undefined ? [] : [good]))
  }

  /**
   * Forgets the versions that were refused, and what was collected: what is held is then what is in force. So whoever asks next sends
   * the refused entries once more and learns what is wrong with them.
   */
  settle(): void {
    this.forget()
    for (const name of this.#refused.keys()) {
      const held = this.#held.get(name)
      if (held === undefined) continue
      this.#hash.remove(held.version)
      if (held.good === undefined) this.#held.delete(name)
      else this.#hold(name, { version: held.good.version, good: held.good })
    }
    this.#refused.clear()
  }

  /** Puts entries in force that were so before this process began. Only on an empty table. */
  restore(entries: Iterable<HeldEntry>): void {
    for (const { entry, version } of entries) {
      const size = JSON.stringify(entry.value).length
      this.#size += size
      this.#hold(nameOf(entry), { version, good: { entry, version, size } })
    }
  }

  /** What stayed at an older version. A kind without generations has 1 where an older value stays. */
  kept(): Kept[] {
    return [...this.#refused.keys()].slice(0, MAX_KEPT).flatMap((name) => {
      const kind = name.slice(0, name.indexOf(' '))
      return isEntryKind(kind) ? [{ kind, ref: name.slice(kind.length + 1), generation: generationOf(this.#held.get(name)?.good) }] : []
    })
  }

  /** One for each entry that is refused now, so many at most. */
  errors(most: number): FrameError[] {
    return [...this.#refused.values()].slice(0, most)
  }

  #collectOne(one: Collected): void {
    const name = nameOf(one)
    this.#collectedSize += sizeOf(one) - sizeOf(this.#collected.get(name))
    if (this.#collectedSize > MAX_TABLE_BYTES) {
      this.forget()
      this.#tooLarge = true
    }
    if (!this.#tooLarge) this.#collected.set(name, one)
  }

  #sizeWith(collected: ReadonlyMap<string, Collected>): number {
    let size = this.#size
    for (const [name, { set }] of collected) size += (set?.size ?? 0) - (this.#held.get(name)?.good?.size ?? 0)
    return size
  }

  #moveHash(collected: ReadonlyMap<string, Collected>, way: 'on' | 'back'): void {
    for (const [name, { set }] of collected) {
      const before = this.#held.get(name)?.version
      const [from, to] = way === 'on' ? [before, set?.version] : [set?.version, before]
      if (from !== undefined) this.#hash.remove(from)
      if (to !== undefined) this.#hash.add(to)
    }
  }

  #takeAll(collected: ReadonlyMap<string, Collected>, { epoch, seq }: TableStamp, ignorable: ReadonlySet<string>): Committed {
    const errors: FrameError[] = []
    let changed = false
    for (const [name, one] of collected) {
      const before = this.#held.get(name)?.good
      const refused = one.set === undefined ? this.#drop(name) : this.#take(name, { ...one, ...one.set }, ignorable)
      errors.push(...refused.slice(0, Math.max(0, MAX_ERRORS - errors.length)))
      changed ||= this.#held.get(name)?.good !== before
    }
    const kept = this.kept()
    const answer: CommitAnswer = errors.length === 0 ? { type: 'ack', epoch, seq, kept } : { type: 'nack', epoch, seq, kept, errors }
    return { kind: 'taken', changed, answer }
  }

  #drop(name: string): readonly FrameError[] {
    this.#size -= this.#held.get(name)?.good?.size ?? 0
    this.#held.delete(name)
    this.#refused.delete(name)
    return []
  }

  /** The hash has been moved already. */
  #take(
    name: string,
    sent: { kind: string; key: string; version: string; value: unknown; size: number },
    ignorable: ReadonlySet<string>,
  ): readonly FrameError[] {
    const { version, size } = sent
    const held = this.#held.get(name)
    if (held?.good?.version === version) {
      this.#put(name, { version, good: held.good })
      return []
    }
    const parsed = parseSent(sent, ignorable)
    if ('errors' in parsed) {
      this.#held.set(name, { version, ...(held?.good !== undefined && { good: held.good }) })
      this.#refused.set(name, parsed.errors[0])
      return parsed.errors
    }
    this.#size += size - (held?.good?.size ?? 0)
    this.#put(name, { version, good: { entry: parsed.entry, version, size } })
    return []
  }

  #put(name: string, held: Held): void {
    this.#held.set(name, held)
    this.#refused.delete(name)
  }

  #hold(name: string, held: Held): void {
    this.#held.set(name, held)
    this.#hash.add(held.version)
  }

  #refuseAll({ epoch, seq }: TableStamp, reason: FrameError['reason'], message: string): Committed {
    return { kind: 'refused', answer: { type: 'nack', epoch, seq, kept: this.kept(), errors: [{ pointer: '', reason, message }] } }
  }
}

const sizeOf = (one: Collected | undefined): number => (one === undefined ? 0 : one.key.length + (one.set?.size ?? 0))

function parseSent(
  { kind, key, value }: { kind: string; key: string; value: unknown },
  ignorable: ReadonlySet<string>,
): { readonly entry: Entry } | { readonly errors: readonly [FrameError, ...FrameError[]] } {
  if (!isEntryKind(kind))
    return { errors: [{ ref: key, pointer: '', reason: 'unknownKind', message: `entries of kind "${kind}" are not known to this proxy` }] }
  const parsed = parseEntry(kind, key, value, ignorable)
  if ('entry' in parsed) return parsed
  const [first = { pointer: '', message: 'does not parse' }, ...more] = parsed.errors.slice(0, MAX_ERRORS_OF_ENTRY)
  return { errors: [invalid(kind, key, first), ...more.map((error) => invalid(kind, key, error))] }
}

const invalid = (kind: EntryKind, key: string, { pointer, message }: TableError): FrameError => ({
  kind,
  ref: key,
  pointer: pointer.slice(0, MAX_TEXT),
  reason: 'invalid',
  message: message.slice(0, MAX_TEXT),
})

function generationOf(good: Good | undefined): number {
  if (good === undefined) return 0
  const { entry } = good
  return entry.kind === 'model' || entry.kind === 'policy' ? entry.value.generation : 1
}
