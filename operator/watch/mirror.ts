/**
 * A map that is handed on: read-only for its readers, a new one after a change, the same one after none, with the same values but for those
 * that changed. Readers find out by identity what is new.
 */
export class Mirror<T> {
  readonly #read: (key: string) => T | undefined
  readonly #dirty = new Set<string>()
  #current: ReadonlyMap<string, T> = new Map()

  /** `read` gives what a key stands for now; undefined = nothing. */
  constructor(read: (key: string) => T | undefined) {
    this.#read = read
  }

  touch(key: string): void {
    this.#dirty.add(key)
  }

  current(): ReadonlyMap<string, T> {
    const changes = [...this.#dirty]
      .map((key) => [key, this.#read(key)] as const)
      .filter(([key, value]) => this.#current.get(key) !== value)
    this.#dirty.clear()
    if (changes.length === 0) return this.#current
    const next = new Map(this.#current)
    for (const [key, value] of changes) {
      if (value === undefined) next.delete(key)
      else next.set(key, value)
    }
    this.#current = next
    return next
  }
}
