import { type Metadata, objectKey } from '../resources/snapshot.ts'

export interface HasMetadata {
  readonly metadata: Metadata
}

/** Who comes first where two objects want one thing: the older; without ages, or at the same age, by "namespace/name". */
export function byPrecedence(a: HasMetadata, b: HasMetadata): number {
  const age = (a.metadata.createdAtMs ?? 0) - (b.metadata.createdAtMs ?? 0)
  return age !== 0 ? age : byText(objectKey(a.metadata), objectKey(b.metadata))
}

/** By code unit: the same everywhere, whatever the locale. */
export function byText(a: string, b: string): number {
  if (a === b) return 0
  return a < b ? -1 : 1
}

export function inPrecedence<T extends HasMetadata>(objects: ReadonlyMap<string, T>): readonly T[] {
  return [...objects.values()].sort(byPrecedence)
}
