import { type Fields, isFields } from '../validate/problem.ts'
import { fieldsOf } from '../validate/raw-fields.ts'

/** Of a JSON patch, RFC 6902. */
export type Operation =
  | { readonly op: 'add'; readonly path: string; readonly value: unknown }
  | { readonly op: 'remove'; readonly path: string }

type Way = readonly (string | number)[]

const pointer = (parts: Way): string => parts.map((part) => `/${String(part).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('')

/** Collects what is to be changed at a Pod; the maps and lists that it lacks are made first. Indices are those of the Pod as it was. */
export class Patch {
  readonly #pod: Fields
  readonly #operations: Operation[] = []
  readonly #made = new Set<string>()
  /** Elements that come before those of the Pod move its indices, so they go last. */
  readonly #shifting: Operation[] = []

  constructor(pod: Fields) {
    this.#pod = pod
  }

  get operations(): readonly Operation[] {
    return [...this.#operations, ...this.#shifting]
  }

  set(map: 'labels' | 'annotations', key: string, value: string): void {
    const held = fieldsOf(fieldsOf(this.#pod['metadata'])[map])
    if (held[key] === value) return
    this.#make(['metadata'], {})
    this.#make(['metadata', map], {})
    this.#operations.push({ op: 'add', path: pointer(['metadata', map, key]), value })
  }

  unset(map: 'labels' | 'annotations', key: string): void {
    if (fieldsOf(fieldsOf(this.#pod['metadata'])[map])[key] === undefined) return
    this.#operations.push({ op: 'remove', path: pointer(['metadata', map, key]) })
  }

  /** At the beginning of a list below `spec`. */
  first(list: Way, value: Fields): void {
    const path = ['spec', ...list]
    this.#make(path, [])
    const operations = list.length === 1 ? this.#shifting : this.#operations
    operations.push({ op: 'add', path: pointer([...path, 0]), value })
  }

  last(list: Way, value: Fields): void {
    const path = ['spec', ...list]
    this.#make(path, [])
    this.#operations.push({ op: 'add', path: pointer([...path, '-']), value })
  }

  /** Once, if the Pod has none. */
  #make(path: Way, empty: unknown): void {
    const at = pointer(path)
    const found = path.reduce<unknown>(
      (value, part) => (Array.isArray(value) ? value[Number(part)] : isFields(value) ? value[part] : undefined),
      this.#pod,
    )
    if ((found !== undefined && found !== null) || this.#made.has(at)) return
    this.#made.add(at)
    this.#operations.push({ op: 'add', path: at, value: empty })
  }
}
