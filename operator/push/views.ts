import type { Entry } from '../../proxy/routing-table/entries.ts'
import type { ProxyMode } from '../../proxy/routing-table/frames.ts'
import type { Model } from '../../proxy/routing-table/v1.ts'
import {
  EntryCache,
  type EntryId,
  entryId,
  NOTHING,
  type Publication,
  type Published,
  type VersionedEntry,
  type View,
  viewOf,
} from './entries.ts'
import { type GatewayAddress, shapeOf, type Viewer, visibleEntry } from './visible.ts'

/**
 * What sidecars of one namespace see, kept up to date at the cost of the change. Only when a model comes, goes, or is seen in another
 * way, as a policy may point at it and its endpoints follow it, is everything looked at again.
 */
export class Projection {
  readonly #viewer: Viewer
  readonly #cache: EntryCache
  /** Value in the table → what is seen of it; not for policies, which depend on more than themselves. */
  readonly #seen = new WeakMap<object, Entry>()
  #shapes = new Map<string, string>()
  #view: View

  constructor(viewer: Viewer, cache: EntryCache, published: Published) {
    this.#viewer = viewer
    this.#cache = cache
    this.#view = viewOf(this.#lookAtAll(published))
  }

  get view(): View {
    return this.#view
  }

  follow({ published, set, removed }: Publication): void {
    const entries = this.#isReshaped(published, [...set, ...removed]) ? this.#lookAtAll(published) : this.#lookAt(published, set, removed)
    if (isSame(this.#view.entries, entries)) return
    this.#view = viewOf(entries)
  }

  #isReshaped(published: Published, changed: readonly VersionedEntry[]): boolean {
    return changed.some(({ entry, key }) => {
      if (entry.kind !== 'model') return false
      const found = published.entries.get(entryId('model', key))?.entry
      return this.#shape(found?.kind === 'model' ? found.value : undefined) !== (this.#shapes.get(key) ?? '')
    })
  }

  #shape(model: Model | undefined): string {
    return shapeOf(model, this.#viewer)
  }

  #lookAtAll(published: Published): Map<EntryId, VersionedEntry> {
    const entries = new Map<EntryId, VersionedEntry>()
    this.#shapes = new Map()
    for (const [id, { entry, key }] of published.entries) {
      if (entry.kind === 'model') this.#shapes.set(key, this.#shape(entry.value))
      const seen = this.#see(entry, published)
      if (seen !== undefined) entries.set(id, seen)
    }
    return entries
  }

  #lookAt(published: Published, set: readonly VersionedEntry[], removed: readonly VersionedEntry[]): ReadonlyMap<EntryId, VersionedEntry> {
    const entries = new Map(this.#view.entries)
    for (const { kind, key } of removed) entries.delete(entryId(kind, key))
    for (const { kind, key, entry } of set) {
      const seen = this.#see(entry, published)
      if (seen === undefined) entries.delete(entryId(kind, key))
      else entries.set(entryId(kind, key), seen)
    }
    return entries
  }

  #see(entry: Entry, published: Published): VersionedEntry | undefined {
    const seen = entry.kind === 'model' ? this.#seeModel(entry, published) : visibleEntry(entry, published.entries, this.#viewer)
    return seen === undefined ? undefined : this.#cache.versioned(seen)
  }

  #seeModel(entry: Entry, published: Published): Entry | undefined {
    const before = this.#seen.get(entry.value)
    if (before !== undefined) return before
    const seen = visibleEntry(entry, published.entries, this.#viewer)
    if (seen !== undefined) this.#seen.set(entry.value, seen)
    return seen
  }
}

function isSame(before: ReadonlyMap<EntryId, VersionedEntry>, after: ReadonlyMap<EntryId, VersionedEntry>): boolean {
  if (before.size !== after.size) return false
  for (const [id, { version }] of after) if (before.get(id)?.version !== version) return false
  return true
}

/** The view of each proxy. All gateways share one; so do the sidecars of a namespace, for as long as there are any. */
export class Views {
  readonly #cache = new EntryCache()
  readonly #gateway: GatewayAddress | undefined
  readonly #projections = new Map<string, Projection>()
  #published: Published = NOTHING

  constructor(gateway: GatewayAddress | undefined) {
    this.#gateway = gateway
  }

  get cache(): EntryCache {
    return this.#cache
  }

  get published(): Published {
    return this.#published
  }

  of(mode: ProxyMode, namespace: string): View {
    if (mode === 'Gateway') return this.#published
    const known = this.#projections.get(namespace)
    if (known !== undefined) return known.view
    const viewer = { namespace, ...(this.#gateway !== undefined && { gateway: this.#gateway }) }
    const made = new Projection(viewer, this.#cache, this.#published)
    this.#projections.set(namespace, made)
    return made.view
  }

  follow(publication: Publication): void {
    this.#published = publication.published
    for (const projection of this.#projections.values()) projection.follow(publication)
  }

  /** Forgets what nobody of `namespaces` looks at. */
  keepOnly(namespaces: ReadonlySet<string>): void {
    for (const namespace of this.#projections.keys()) if (!namespaces.has(namespace)) this.#projections.delete(namespace)
  }
}
