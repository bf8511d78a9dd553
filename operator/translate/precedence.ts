import { type Metadata, objectKey } from '../resources/snapshot.ts'

export interface HasMetadata {
  readonly metadata: Metadata
}

/** Who comes first where two objects want one thing: the older, those without an age last; at the same age, by "namespace/name". */
export function byPrecedence(a: HasMetadata, b: HasMetadata): number {
  const [ageA = Number.MAX_VALUE, ageB = Number.MAX_VALUE] = [a.metadata.createdAtMs, b.metadata.createdAtMs]
  return ageA !== ageB ? ageA - ageB : byText(objectKey(a.metadata), objectKey(b.metadata))
}

/** By code unit: the same everywhere, whatever the locale. */
export function byText(a: string, b: string): number {
  if (a === b) return 0
  return a < b ? -1 : 1
}

export function inPrecedence<T extends HasMetadata>(objects: ReadonlyMap<string, T>): readonly T[] {
  return [...objects.values()].sort(byPrecedence)
}
