import { type ModelResource, type ObjectKey, objectKey, type SecretResource } from '../resources/snapshot.ts'
import { ObjectStore } from './object-store.ts'
import { projectSecret, sameSecret } from './project-secret.ts'
import { Reflector, type ReflectorState } from './reflector.ts'
import type { WatchSettings } from './watched-kind.ts'

/** Each is a watch, so a connection: this bounds them. */
export const MAX_REFERENCED_SECRETS = 256
/** A Secret that cannot be read holds up the rest no longer than this. */
const PATIENCE_MS = 5000

interface WatchedSecret {
  readonly reflector: Reflector<SecretResource>
  readonly store: ObjectStore<SecretResource>
  readonly sinceMs: number
}

/** The keys of Secrets that models name, in order. */
export function secretsNamedBy(models: Iterable<ModelResource>): readonly ObjectKey[] {
  const keys = new Set<ObjectKey>()
  for (const { metadata, spec } of models) {
    for (const { auth } of spec.backends) {
      for (const { name } of auth?.secretRefs ?? []) keys.add(objectKey({ namespace: metadata.namespace, name }))
    }
  }
  return [...keys].sort()
}

export interface ReferencedSecretsOptions {
  readonly settings: WatchSettings
  readonly onChange: (key: ObjectKey) => void
}

/**
 * The Secrets that models name, each watched by its name for as long as it is named: nothing else of a namespace's Secrets is read.
 * Owner: who creates it; `close()` once.
 */
export class ReferencedSecrets {
  readonly #options: ReferencedSecretsOptions
  readonly #watched = new Map<ObjectKey, WatchedSecret>()
  readonly #ending = new Set<Promise<void>>()
  #left: readonly ObjectKey[] = []

  constructor(options: ReferencedSecretsOptions) {
    this.#options = options
  }

  /** From now on these are needed, and no others. */
  want(keys: readonly ObjectKey[]): void {
    const wanted = new Set(keys.slice(0, MAX_REFERENCED_SECRETS))
    this.#left = keys.slice(MAX_REFERENCED_SECRETS)
    for (const [key, { reflector }] of this.#watched) if (!wanted.has(key)) this.#end(key, reflector)
    for (const key of wanted) if (!this.#watched.has(key)) this.#begin(key)
  }

  /** Those that are over the bound. */
  get left(): readonly ObjectKey[] {
    return this.#left
  }

  /** Each has been read once, or has had the time for it. */
  get settled(): boolean {
    const now = performance.now()
    return [...this.#watched.values()].every(({ reflector, sinceMs }) => reflector.synced || now - sinceMs > PATIENCE_MS)
  }

  get reflectors(): readonly ReflectorState[] {
    return [...this.#watched.values()].map(({ reflector }) => reflector)
  }

  get(key: ObjectKey): SecretResource | undefined {
    return this.#watched.get(key)?.store.get(key)?.value
  }

  async close(): Promise<void> {
    this.want([])
    await Promise.all(this.#ending)
  }

  #begin(key: ObjectKey): void {
    const { settings, onChange } = this.#options
    const [namespace = '', name = ''] = key.split('/')
    const collection = { group: '', version: 'v1', resource: 'secrets', namespace, fieldSelector: `metadata.name=${name}` }
    const store = new ObjectStore<SecretResource>({ project: projectSecret, same: sameSecret, onChange })
    const onRecord = settings.onRecord.bind(undefined, collection)
    const reflector = new Reflector({ client: settings.client, timing: settings.timing, collection, store, onRecord })
    this.#watched.set(key, { reflector, store, sinceMs: performance.now() })
    reflector.start()
  }

  #end(key: ObjectKey, reflector: Reflector<SecretResource>): void {
    this.#watched.delete(key)
    this.#options.onChange(key)
    const ended = reflector.close().finally(() => this.#ending.delete(ended))
    this.#ending.add(ended)
  }
}
