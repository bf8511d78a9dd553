import { isDeepStrictEqual } from 'node:util'
import { type ObjectKey, objectKey } from '../resources/snapshot.ts'
import { type Fields, isFields } from '../validate/problem.ts'

/** What identifies one version of one object. */
export interface Identity {
  readonly key: ObjectKey
  readonly uid: string
  readonly resourceVersion: string
}

export interface Stored<T> extends Identity {
  /** Absent: the object is there, but nothing of it is needed. */
  readonly value: T | undefined
}

export interface ObjectStoreOptions<T> {
  /** Keeps the few fields that are needed. `previous` is what it made of the same object (same uid) before. */
  readonly project: (raw: Fields, previous: T | undefined) => T | undefined
  /** Whether two projections say the same; deep equality if absent. */
  readonly same?: (a: T, b: T) => boolean
  /** A projection is new, different or gone. */
  readonly onChange: (key: ObjectKey) => void
}

/**
 * The objects of one collection, as far as they are needed. A change that touches no needed field (a status, a heartbeat) is no change here, and
 * the old projection stays, the same object as before. Its one writer is a Reflector.
 */
export class ObjectStore<T> {
  readonly #options: ObjectStoreOptions<T>
  readonly #objects = new Map<ObjectKey, Stored<T>>()

  constructor(options: ObjectStoreOptions<T>) {
    this.#options = options
  }

  get size(): number {
    return this.#objects.size
  }

  get(key: ObjectKey): Stored<T> | undefined {
    return this.#objects.get(key)
  }

  all(): IterableIterator<Stored<T>> {
    return this.#objects.values()
  }

  /** Keeps an object that was added or changed; gives its key, or undefined for something that is no object. */
  put(raw: Fields): ObjectKey | undefined {
    const identity = identify(raw)
    if (identity === undefined) return undefined
    const before = this.#objects.get(identity.key)
    const heir = before?.uid === identity.uid ? before.value : undefined
    const made = this.#options.project(raw, heir)
    const value = made !== undefined && heir !== undefined && this.#same(heir, made) ? heir : made
    this.#objects.set(identity.key, { ...identity, value })
    if (value !== before?.value) this.#options.onChange(identity.key)
    return identity.key
  }

  remove(key: ObjectKey): void {
    const before = this.#objects.get(key)
    this.#objects.delete(key)
    if (before?.value !== undefined) this.#options.onChange(key)
  }

  /** A whole list has been put: what was not in it is gone. */
  keepOnly(listed: ReadonlySet<ObjectKey>): void {
    for (const key of this.#objects.keys()) if (!listed.has(key)) this.remove(key)
  }

  #same(a: T, b: T): boolean {
    return this.#options.same?.(a, b) ?? isDeepStrictEqual(a, b)
  }
}

/** Objects without a namespace have keys such as "/default". */
export function identify({ metadata }: Fields): Identity | undefined {
  if (!isFields(metadata)) return undefined
  const { namespace = '', name, uid, resourceVersion } = metadata
  if (typeof namespace !== 'string' || typeof name !== 'string' || typeof uid !== 'string' || typeof resourceVersion !== 'string')
    return undefined
  return { key: objectKey({ namespace, name }), uid, resourceVersion }
}
