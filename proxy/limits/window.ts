/** Where an amount was counted, so that part of it can be taken back. */
export type Mark = number

/** How much was used lately. Amounts are 0 or more. A time before the newest one counts as that. */
export interface Window {
  /** What the window holds now. What has slid out is forgotten. */
  used(nowMs: number): number
  add(amount: number, nowMs: number): Mark
  /** Takes back what was counted there, if the window still holds it. */
  takeBack(amount: number, mark: Mark, nowMs: number): void
  /** How long until so much of what is used will have slid out. */
  freesInMs(amount: number, nowMs: number): number
  /** How long until all of it will have. */
  emptyInMs(nowMs: number): number
}

const MINUTE_MS = 60_000
const SLOT_MS = 250
/** The running slot, and all that reach into the minute behind it. */
const SLOTS = MINUTE_MS / SLOT_MS + 1

/**
 * The last minute, sliding, in slots of a quarter of a second. A slot counts until all of it is older than a minute: never less than an
 * exact minute holds, and never more than an exact 60.25 s hold. Amounts are whole numbers. 2 KB, from the first use on.
 */
export class MinuteWindow implements Window {
  #slots: Float64Array | undefined
  /** Number of the running slot since the epoch. */
  #at = 0
  #sum = 0
  #lastUsedMs = Number.NEGATIVE_INFINITY

  used(nowMs: number): number {
    this.#slide(nowMs)
    return this.#sum
  }

  add(amount: number, nowMs: number): Mark {
    this.#slide(nowMs)
    this.#put(this.#at, amount)
    this.#lastUsedMs = nowMs
    return this.#at
  }

  takeBack(amount: number, mark: Mark, nowMs: number): void {
    this.#slide(nowMs)
    if (mark > this.#at - SLOTS && mark <= this.#at) this.#put(mark, -amount)
  }

  freesInMs(amount: number, nowMs: number): number {
    this.#slide(nowMs)
    let freed = 0
    for (let slot = this.#at - SLOTS + 1; slot <= this.#at; slot++) {
      freed += this.#slots?.[slot % SLOTS] ?? 0
      if (freed >= amount) return (slot + SLOTS) * SLOT_MS - nowMs
    }
    return MINUTE_MS + SLOT_MS
  }

  emptyInMs(nowMs: number): number {
    return this.used(nowMs) === 0 ? 0 : Math.max(0, this.#lastUsedMs + MINUTE_MS - nowMs)
  }

  #put(slot: number, amount: number): void {
    this.#slots ??= new Float64Array(SLOTS)
    this.#slots[slot % SLOTS] = (this.#slots[slot % SLOTS] ?? 0) + amount
    this.#sum += amount
  }

  #slide(nowMs: number): void {
    const slot = Math.floor(nowMs / SLOT_MS)
    if (slot <= this.#at) return
    if (this.#sum !== 0) this.#forget(Math.min(slot - this.#at, SLOTS))
    this.#at = slot
  }

  /** The slots that the next `count` ones take the place of. */
  #forget(count: number): void {
    if (this.#slots === undefined) return
    for (let slot = this.#at + 1; slot <= this.#at + count; slot++) {
      this.#sum -= this.#slots[slot % SLOTS] ?? 0
      this.#slots[slot % SLOTS] = 0
    }
  }
}

const DAY_MS = 86_400_000

/** The day so far, from midnight UTC. */
export class DayWindow implements Window {
  #day = 0
  #sum = 0

  used(nowMs: number): number {
    this.#turn(nowMs)
    return this.#sum
  }

  add(amount: number, nowMs: number): Mark {
    this.#turn(nowMs)
    this.#sum += amount
    return this.#day
  }

  takeBack(amount: number, mark: Mark, nowMs: number): void {
    this.#turn(nowMs)
    if (mark === this.#day) this.#sum = Math.max(0, this.#sum - amount)
  }

  freesInMs(_amount: number, nowMs: number): number {
    return DAY_MS - (nowMs % DAY_MS)
  }

  emptyInMs(nowMs: number): number {
    return this.used(nowMs) === 0 ? 0 : this.freesInMs(0, nowMs)
  }

  #turn(nowMs: number): void {
    const day = Math.floor(nowMs / DAY_MS)
    if (day <= this.#day) return
    this.#day = day
    this.#sum = 0
  }
}
