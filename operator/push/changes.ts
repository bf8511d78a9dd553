import { ENTRY_KINDS, type EntryKind } from '../../proxy/routing-table/entries.ts'
import { FRAME_BYTES } from '../../proxy/routing-table/frames.ts'
import type { EntryId, NamedVersion, VersionedEntry, View } from './entries.ts'

/** What a proxy is known to hold. */
export type Held = ReadonlyMap<EntryId, NamedVersion>

export interface Change {
  /** In the order in which it travels: what is pointed at before what points. */
  readonly set: readonly VersionedEntry[]
  /** The other way round. */
  readonly remove: readonly NamedVersion[]
}

const RANK = new Map<EntryKind, number>(ENTRY_KINDS.map((kind, rank) => [kind, rank]))
const rankOf = ({ kind }: NamedVersion): number => RANK.get(kind) ?? ENTRY_KINDS.length

function changeBetween(held: Held, view: View): Change {
  const set: VersionedEntry[] = []
  const remove: NamedVersion[] = []
  for (const [id, entry] of view.entries) if (held.get(id)?.version !== entry.version) set.push(entry)
  for (const [id, entry] of held) if (!view.entries.has(id)) remove.push(entry)
  return { set: set.toSorted((a, b) => rankOf(a) - rankOf(b)), remove: remove.toSorted((a, b) => rankOf(b) - rankOf(a)) }
}

const FRAME_OVERHEAD_BYTES = 64

/** `change` frames as they travel, each closed before it passes FRAME_BYTES; one larger entry travels alone. Made when asked for. */
function* changeFrames({ set, remove }: Change): Generator<Buffer, void, undefined> {
  yield* cut(
    set,
    ({ wire }) => wire,
    (items) => `{"type":"change","set":[${items}],"remove":[]}`,
  )
  yield* cut(
    remove,
    ({ kind, key }) => JSON.stringify({ kind, key }),
    (items) => `{"type":"change","set":[],"remove":[${items}]}`,
  )
}

function* cut<Item>(
  items: readonly Item[],
  text: (item: Item) => string,
  frame: (joined: string) => string,
): Generator<Buffer, void, undefined> {
  let parts: string[] = []
  let bytes = FRAME_OVERHEAD_BYTES
  for (const item of items) {
    const part = text(item)
    const partBytes = Buffer.byteLength(part) + 1
    if (parts.length > 0 && bytes + partBytes > FRAME_BYTES) {
      yield Buffer.from(frame(parts.join(',')))
      parts = []
      bytes = FRAME_OVERHEAD_BYTES
    }
    parts.push(part)
    bytes += partBytes
  }
  if (parts.length > 0) yield Buffer.from(frame(parts.join(',')))
}

/** A change of at most this many bytes is written down once for all proxies that need just it. */
const SHARED_BYTES = 256 * 1024

interface Shared {
  readonly view: View
  readonly frames: readonly Buffer[]
}

/**
 * Frames from what is held to a view. Proxies at the same state share them, those that hold nothing yet among them; any other large change
 * is made as it is sent.
 */
export class ChangeWriter {
  readonly #shared = new WeakMap<Held, Shared>()
  readonly #whole = new WeakMap<View, readonly Buffer[]>()

  frames(held: Held, view: View): Iterator<Buffer> {
    if (held === view.entries) return [].values()
    const shared = this.#shared.get(held)
    if (shared?.view === view) return shared.frames.values()
    if (held.size === 0) return this.#wholeOf(view).values()
    const change = changeBetween(held, view)
    if (sizeOf(change) > SHARED_BYTES) return changeFrames(change)
    const frames = [...changeFrames(change)]
    this.#shared.set(held, { view, frames })
    return frames.values()
  }

  #wholeOf(view: View): readonly Buffer[] {
    const frames = this.#whole.get(view) ?? [...changeFrames(changeBetween(new Map(), view))]
    this.#whole.set(view, frames)
    return frames
  }
}

function sizeOf({ set, remove }: Change): number {
  return set.reduce((sum, { bytes }) => sum + bytes, 0) + remove.reduce((sum, { key }) => sum + key.length + FRAME_OVERHEAD_BYTES, 0)
}
