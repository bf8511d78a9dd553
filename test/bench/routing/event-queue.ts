/** Owner of virtual time: what was added happens in order of time, then of adding. A binary heap; bounded by what a run adds. */
export class EventQueue {
  readonly #heap: { readonly atMs: number; readonly order: number; readonly happen: () => void }[] = []
  #added = 0
  nowMs = 0

  add(atMs: number, happen: () => void): void {
    const heap = this.#heap
    const event = { atMs, order: this.#added++, happen }
    let at = heap.push(event) - 1
    while (at > 0) {
      const above = (at - 1) >> 1
      const parent = heap[above]
      if (parent === undefined || isBefore(parent, event)) break
      heap[at] = parent
      at = above
    }
    heap[at] = event
  }

  /** Until nothing is left to happen. */
  run(): void {
    for (let event = this.#take(); event !== undefined; event = this.#take()) {
      this.nowMs = event.atMs
      event.happen()
    }
  }

  #take(): { readonly atMs: number; readonly happen: () => void } | undefined {
    const heap = this.#heap
    const first = heap[0]
    const moved = heap.pop()
    if (first === undefined || moved === undefined || heap.length === 0) return first
    let at = 0
    for (;;) {
      const left = 2 * at + 1
      const [one, other] = [heap[left], heap[left + 1]]
      const child = one !== undefined && other !== undefined && isBefore(other, one) ? left + 1 : left
      const least = heap[child]
      if (least === undefined || isBefore(moved, least)) break
      heap[at] = least
      at = child
    }
    heap[at] = moved
    return first
  }
}

const isBefore = (a: { atMs: number; order: number }, b: { atMs: number; order: number }): boolean =>
  a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order)
