/** Access lines come when requests end; this gives them back by when they began, as far as a bounded wait allows. */
const WAITING = 4096

export class InOrder<T extends { readonly atMs: number }> {
  readonly #heap: T[] = []

  /** The earliest of those that wait, once there are many. */
  add(item: T): T | undefined {
    this.#heap.push(item)
    this.#up(this.#heap.length - 1)
    return this.#heap.length > WAITING ? this.next() : undefined
  }

  peek(): T | undefined {
    return this.#heap[0]
  }

  next(): T | undefined {
    const first = this.#heap[0]
    const last = this.#heap.pop()
    if (last !== undefined && this.#heap.length > 0) {
      this.#heap[0] = last
      this.#down()
    }
    return first
  }

  #up(from: number): void {
    let at = from
    while (at > 0) {
      const parent = (at - 1) >> 1
      if (this.#timeAt(parent) <= this.#timeAt(at)) return
      this.#swap(at, parent)
      at = parent
    }
  }

  #down(): void {
    let at = 0
    for (;;) {
      let least = at
      for (const child of [2 * at + 1, 2 * at + 2]) if (this.#timeAt(child) < this.#timeAt(least)) least = child
      if (least === at) return
      this.#swap(at, least)
      at = least
    }
  }

  #timeAt(at: number): number {
    return this.#heap[at]?.atMs ?? Number.POSITIVE_INFINITY
  }

  #swap(a: number, b: number): void {
    const [one, other] = [this.#heap[a], this.#heap[b]]
    if (one === undefined || other === undefined) return
    this.#heap[a] = other
    this.#heap[b] = one
  }
}
