import type { Trip } from '../decide/circuit-view.ts'

const SLOTS = 10
const SLOT_MS = 1000
const MIN_FAILURES = 5
const MIN_SHARE = 0.5

interface Slot {
  /** Which second, counted from the epoch. */
  second: number
  all: number
  failed: number
}

/** What one endpoint's requests came to within the last ten seconds (in slots of one), and how many failed one after the other. */
export class OutcomeWindow {
  #slots: Slot[] | undefined
  #inARow = 0

  succeeded(nowMs: number): void {
    this.#inARow = 0
    this.#slot(nowMs).all++
  }

  failed(nowMs: number): void {
    this.#inARow++
    const slot = this.#slot(nowMs)
    slot.all++
    slot.failed++
  }

  /** Which rule opens the circuit now. */
  trip(nowMs: number, inARow: number): Trip | undefined {
    if (this.#inARow >= inARow) return 'in_a_row'
    const oldest = Math.floor(nowMs / SLOT_MS) - SLOTS
    let all = 0
    let failed = 0
    for (const slot of this.#slots ?? []) {
      if (slot.second <= oldest) continue
      all += slot.all
      failed += slot.failed
    }
    return failed >= MIN_FAILURES && failed >= all * MIN_SHARE ? 'failure_share' : undefined
  }

  clear(): void {
    this.#inARow = 0
    this.#slots = undefined
  }

  #slot(nowMs: number): Slot {
    const second = Math.floor(nowMs / SLOT_MS)
    this.#slots ??= Array.from({ length: SLOTS }, () => ({ second: 0, all: 0, failed: 0 }))
    const slot = this.#slots[second % SLOTS]
    if (slot === undefined) throw new Error(`no slot for second ${second}`)
    if (slot.second !== second) Object.assign(slot, { second, all: 0, failed: 0 })
    return slot
  }
}
