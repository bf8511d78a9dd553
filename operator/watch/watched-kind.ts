import type { KubeClient } from '../kube/client.ts'
import type { ObjectKey } from '../resources/snapshot.ts'
import type { Collection } from './collection.ts'
import { type Identity, ObjectStore, type ObjectStoreOptions } from './object-store.ts'
import { Reflector, type ReflectorTiming, type WatchRecord } from './reflector.ts'

export interface WatchSettings {
  readonly client: KubeClient
  readonly timing: ReflectorTiming
  readonly onRecord: (collection: Collection, record: WatchRecord) => void
}

export interface WatchedKindOptions<T> extends ObjectStoreOptions<T> {
  readonly settings: WatchSettings
  readonly kind: Omit<Collection, 'namespace'>
  /** Each has a watch of its own, so that rights in these namespaces are enough. */
  readonly namespaces: 'all' | readonly string[]
}

/** All objects of one kind in the namespaces served. Owner: who creates it; `start()` once, `close()` once. */
export class WatchedKind<T> {
  readonly reflectors: readonly Reflector<T>[]
  /** By namespace; the only one's is "" when all are served by one watch. */
  readonly #stores = new Map<string, ObjectStore<T>>()

  constructor({ settings, kind, namespaces, ...storing }: WatchedKindOptions<T>) {
    const { client, timing, onRecord } = settings
    this.reflectors = (namespaces === 'all' ? [undefined] : namespaces).map((namespace) => {
      const collection: Collection = namespace === undefined ? kind : { ...kind, namespace }
      const store = new ObjectStore<T>(storing)
      this.#stores.set(namespace ?? '', store)
      return new Reflector({ client, collection, store, timing, onRecord: (record) => onRecord(collection, record) })
    })
  }

  start(): void {
    for (const reflector of this.reflectors) reflector.start()
  }

  async close(): Promise<void> {
    await Promise.all(this.reflectors.map(async (reflector) => reflector.close()))
  }

  get synced(): boolean {
    return this.reflectors.every(({ synced }) => synced)
  }

  get(key: ObjectKey): T | undefined {
    return this.#storeOf(key)?.get(key)?.value
  }

  identityOf(key: ObjectKey): Identity | undefined {
    return this.#storeOf(key)?.get(key)
  }

  *entries(): Generator<readonly [ObjectKey, T], void> {
    for (const store of this.#stores.values()) for (const { key, value } of store.all()) if (value !== undefined) yield [key, value]
  }

  #storeOf(key: ObjectKey): ObjectStore<T> | undefined {
    return this.#stores.get('') ?? this.#stores.get(key.slice(0, key.indexOf('/')))
  }
}
