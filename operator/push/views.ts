import type { Entry } from '../../proxy/routing-table/entries.ts'
import type { ProxyMode } from '../../proxy/routing-table/frames.ts'
import {
  type Edits,
  EntryCache,
  type EntryId,
  editedView,
  entryId,
  type NamedVersion,
  NOTHING,
  type Publication,
  type Published,
  type VersionedEntry,
  type View,
} from './entries.ts'
import { type GatewayAddress, shapeOf, type Viewer, visibleEntry } from './visible.ts'

/**
 * What sidecars of one namespace see, kept up to date at the cost of the change. Only when a model or a policy comes, goes, or is seen in
 * another way, as policies may point at it and a model's endpoints follow it, is everything looked at again.
 */
export class Projection {
  readonly #viewer: Viewer
  readonly #cache: EntryCache
  /** Value in the table → what is seen of it; not for policies, which depend on more than themselves. */
  readonly #seen = new WeakMap<object, Entry>()
  #shapes = new Map<EntryId, string>()
  #view: View = NOTHING

  constructor(viewer: Viewer, cache: EntryCache, published: Published) {
    this.#viewer = viewer
    this.#cache = cache
    this.#view = editedView(NOTHING, this.#editsOfAll(published))
  }

  get view(): View {
    return this.#view
  }

  follow({ published, set, removed }: Publication): void {
    const isReshaped = this.#isReshaped(published, [...set, ...removed])
    this.#view = editedView(this.#view, isReshaped ? this.#editsOfAll(published) : this.#edits(published, set, removed))
  }

  #isReshaped(published: Published, changed: readonly VersionedEntry[]): boolean {
    return changed.some(({ entry: { kind }, key }) => {
      if (kind !== 'model' && kind !== 'policy') return false
      const found = published.entries.get(entryId(kind, key))?.entry
      return shapeOf(found, this.#viewer) !== (this.#shapes.get(entryId(kind, key)) ?? '')
    })
  }

  #editsOfAll(published: Published): Edits {
    this.#shapes = new Map()
    for (const [id, { entry }] of published.entries) {
      const shape = shapeOf(entry, this.#viewer)
      if (shape !== '') this.#shapes.set(id, shape)
    }
    const gone = [...this.#view.entries.values()].filter(({ kind, key }) => !published.entries.has(entryId(kind, key)))
    return this.#edits(published, published.entries.values(), gone)
  }

  #edits(published: Published, set: Iterable<VersionedEntry>, removed: readonly NamedVersion[]): Edits {
    const edits = new Map<EntryId, VersionedEntry | undefined>()
    for (const { kind, key } of removed) edits.set(entryId(kind, key), undefined)
    for (const { kind, key, entry } of set) edits.set(entryId(kind, key), this.#see(entry, published))
    return edits
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

/** The view of each proxy. All gateways share one; so do the sidecars of a namespace, for as long as there are any. */
export class Views {
  readonly #cache = new EntryCache()
  #gateway: GatewayAddress | undefined
  readonly #projections = new Map<string, Projection>()
  #published: Published = NOTHING

  constructor(gateway: GatewayAddress | undefined) {
    this.#gateway = gateway
  }

  /** Sidecars' views are made anew, with this gateway. */
  leadTo(gateway: GatewayAddress): void {
    this.#gateway = gateway
    this.#projections.clear()
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
