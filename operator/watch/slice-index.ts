import { type EndpointSliceResource, type ObjectKey, objectKey } from '../resources/snapshot.ts'

/** Slices by the Service they belong to. A Service's list stays the same array until one of its slices changes. */
export class SliceIndex {
  readonly #byService = new Map<ObjectKey, Map<ObjectKey, EndpointSliceResource>>()
  readonly #serviceOf = new Map<ObjectKey, ObjectKey>()
  readonly #lists = new Map<ObjectKey, readonly EndpointSliceResource[]>()

  /** Takes over what a slice is now; gives the Services it belonged and belongs to. */
  put(key: ObjectKey, slice: EndpointSliceResource | undefined): readonly ObjectKey[] {
    const before = this.#serviceOf.get(key)
    const after = slice === undefined ? undefined : objectKey({ namespace: slice.metadata.namespace, name: slice.service })
    if (before !== undefined && before !== after) this.#take(key, before)
    if (slice !== undefined && after !== undefined) this.#add(key, slice, after)
    return [...new Set([before, after])].filter((service) => service !== undefined)
  }

  /** In the order of their names. */
  of(service: ObjectKey): readonly EndpointSliceResource[] | undefined {
    const slices = this.#byService.get(service)
    if (slices === undefined) return undefined
    const list = this.#lists.get(service) ?? [...slices].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, slice]) => slice)
    this.#lists.set(service, list)
    return list
  }

  #add(key: ObjectKey, slice: EndpointSliceResource, service: ObjectKey): void {
    const slices = this.#byService.get(service) ?? new Map<ObjectKey, EndpointSliceResource>()
    this.#byService.set(service, slices.set(key, slice))
    this.#serviceOf.set(key, service)
    this.#lists.delete(service)
  }

  #take(key: ObjectKey, service: ObjectKey): void {
    const slices = this.#byService.get(service)
    slices?.delete(key)
    if (slices?.size === 0) this.#byService.delete(service)
    this.#serviceOf.delete(key)
    this.#lists.delete(service)
  }
}
