import type { RequestPriority } from '../routing-table/v1.ts'

export interface Waiting {
  /** Whose turn it uses up. */
  readonly client: string
  readonly priority: RequestPriority
  readonly bytes: number
}

/** Turns that a client's requests of each priority get, relative to each other: Low waits longer and is never starved. */
const WEIGHTS: Readonly<Record<RequestPriority, number>> = { High: 16, Normal: 4, Low: 1 }

interface Place<W> {
  readonly waiting: W
  /** When its turn is over, in turns of the queue's own time. */
  readonly turn: number
}

/**
 * Start-time fair queueing: clients take turns however many requests each has waiting, and one client's requests leave in order within a
 * priority. Unbounded by itself: its owner asks `size` and `bytes` first.
 */
export class FairQueue<W extends Waiting> {
  readonly #places: Place<W>[] = []
  readonly #lastTurn = new Map<string, number>()
  #now = 0
  #bytes = 0

  get size(): number {
    return this.#places.length
  }

  get bytes(): number {
    return this.#bytes
  }

  get head(): W | undefined {
    return this.#places[0]?.waiting
  }

  push(waiting: W): void {
    const { client, priority, bytes } = waiting
    const key = `${priority} ${client}`
    const turn = Math.max(this.#now, this.#lastTurn.get(key) ?? 0) + 1 / WEIGHTS[priority]
    this.#lastTurn.set(key, turn)
    this.#places.splice(this.#indexFor(turn), 0, { waiting, turn })
    this.#bytes += bytes
  }

  /** False: it does not wait here. */
  remove(waiting: W): boolean {
    const index = this.#places.findIndex((place) => place.waiting === waiting)
    const place = this.#places[index]
    if (place === undefined) return false
    this.#places.splice(index, 1)
    this.#bytes -= waiting.bytes
    if (index === 0) this.#now = Math.max(this.#now, place.turn)
    if (this.#places.length === 0) this.#forget()
    return true
  }

  /** Behind all with the same turn. */
  #indexFor(turn: number): number {
    let low = 0
    let high = this.#places.length
    while (low < high) {
      const middle = (low + high) >> 1
      if ((this.#places[middle]?.turn ?? 0) <= turn) low = middle + 1
      else high = middle
    }
    return low
  }

  /** Nobody waits: who came often before has no debt. Bounds the map by those who wait together. */
  #forget(): void {
    this.#lastTurn.clear()
    this.#now = 0
  }
}
