import type { Resources } from '../resources/snapshot.ts'

/** Of one kind: what is another object than before, with both; undefined = there was or is none. */
export type Changed<T> = ReadonlyMap<string, { readonly before: T | undefined; readonly after: T | undefined }>

type Kinds = 'models' | 'policies' | 'secrets' | 'clientKeys' | 'namespaces' | 'services' | 'slices' | 'pods'
type ValueOf<M> = M extends ReadonlyMap<string, infer T> ? T : never

export type Changes = { readonly [K in Kinds]: Changed<ValueOf<Resources[K]>> } & { readonly settings: boolean }

/** Compares by identity: whoever makes `Resources` keeps the objects that did not change. */
export function changesBetween(before: Resources, after: Resources): Changes {
  return {
    models: changed(before.models, after.models),
    policies: changed(before.policies, after.policies),
    secrets: changed(before.secrets, after.secrets),
    clientKeys: changed(before.clientKeys, after.clientKeys),
    namespaces: changed(before.namespaces, after.namespaces),
    services: changed(before.services, after.services),
    slices: changed(before.slices, after.slices),
    pods: changed(before.pods, after.pods),
    settings: before.settings !== after.settings,
  }
}

function changed<T>(before: ReadonlyMap<string, T>, after: ReadonlyMap<string, T>): Changed<T> {
  const found = new Map<string, { before: T | undefined; after: T | undefined }>()
  if (before === after) return found
  for (const [key, value] of after) {
    const was = before.get(key)
    if (was !== value) found.set(key, { before: was, after: value })
  }
  for (const [key, value] of before) if (!after.has(key)) found.set(key, { before: value, after: undefined })
  return found
}
