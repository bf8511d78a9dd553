import type { KubeClient } from '../kube/client.ts'
import type { ObjectKey } from '../resources/snapshot.ts'
import type { Collection } from './collection.ts'
import { listPages } from './list-pages.ts'
import { type Identity, identify } from './object-store.ts'

/** What the API server has, by identity alone. */
export interface Census {
  readonly identities: ReadonlyMap<ObjectKey, Identity>
  readonly resourceVersion: string
}

export interface Versions {
  get(key: ObjectKey): Identity | undefined
  all(): IterableIterator<Identity>
}

/** Names, uids and versions without the objects: a tenth of the bytes of a list of pods. */
const METADATA_ONLY = 'application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io'

/**
 * Counts the objects. The list is a consistent one (no resourceVersion): API servers since 1.31 answer it from memory, and one that lags behind
 * cannot answer with the past, as it may with resourceVersion=0. Pages keep each answer small.
 */
export async function takeCensus(client: KubeClient, collection: Collection, signal: AbortSignal): Promise<Census> {
  const identities = new Map<ObjectKey, Identity>()
  let resourceVersion = ''
  for await (const page of listPages(client, collection, signal, METADATA_ONLY)) {
    resourceVersion = page.resourceVersion
    for (const item of page.items) {
      const identity = identify(item)
      if (identity !== undefined) identities.set(identity.key, identity)
    }
  }
  return { identities, resourceVersion }
}

/** What differs, with the version we had: events that are on their way make differences too, which then go away by themselves. */
export function differences(ours: Versions, { identities }: Census): ReadonlyMap<ObjectKey, Identity | undefined> {
  const found = new Map<ObjectKey, Identity | undefined>()
  for (const theirs of identities.values()) {
    const own = ours.get(theirs.key)
    if (own?.uid !== theirs.uid || own.resourceVersion !== theirs.resourceVersion) found.set(theirs.key, own)
  }
  for (const own of ours.all()) if (!identities.has(own.key)) found.set(own.key, own)
  return found
}

/** Of the differences, those that no event has touched since. */
export const remaining = (before: ReadonlyMap<ObjectKey, Identity | undefined>, ours: Versions): number =>
  [...before].filter(([key, own]) => ours.get(key) === own).length

/** Whether `newer` was given out before `older`: then etcd was restored from a backup. Versions that are no numbers tell nothing. */
export function wentBack(older: string, newer: string): boolean {
  return /^\d{1,20}$/.test(older) && /^\d{1,20}$/.test(newer) && BigInt(newer) < BigInt(older)
}
