import { bucketOf } from '../decide/pace-view.ts'
import type { Ref } from '../routing-table/v1.ts'

const KEPT = 64
const ENOUGH = 20

/**
 * The last 64 durations per model, kind and prompt-size bucket; answers with their 95th percentile. Bounded: models × kinds × 5 × 64 numbers.
 * `firstToken` = until the first meaningful delta; `whole` = until a non-stream answer was complete.
 */
export class LatencyBook {
  readonly #rings = new Map<Ref, Map<string, Ring>>()

  add(model: Ref, kind: 'firstToken' | 'whole', promptTokens: number, durationMs: number): void {
    const rings = this.#rings.get(model) ?? new Map<string, Ring>()
    this.#rings.set(model, rings)
    const key = `${kind} ${bucketOf(promptTokens)}`
    const ring = rings.get(key) ?? new Ring()
    rings.set(key, ring)
    ring.add(durationMs)
  }

  /** Undefined until 20 durations are known. */
  p95Ms(model: Ref, kind: 'firstToken' | 'whole', promptTokens: number): number | undefined {
    return this.#rings
      .get(model)
      ?.get(`${kind} ${bucketOf(promptTokens)}`)
      ?.p95()
  }

  keep(known: (model: Ref) => boolean): void {
    for (const model of this.#rings.keys()) if (!known(model)) this.#rings.delete(model)
  }
}

class Ring {
  readonly #values = new Float64Array(KEPT)
  #added = 0
  #p95: number | undefined
  #p95At = -1

  add(value: number): void {
    this.#values[this.#added++ % KEPT] = value
  }

  /** Sorted anew at most once every eight additions: it steers deadlines, which need no more. */
  p95(): number | undefined {
    if (this.#added < ENOUGH) return undefined
    if (this.#p95 === undefined || this.#added - this.#p95At >= 8) {
      const sorted = this.#values.slice(0, Math.min(this.#added, KEPT)).sort()
      this.#p95 = sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * 0.95))]
      this.#p95At = this.#added
    }
    return this.#p95
  }
}
