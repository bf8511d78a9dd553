const STEP_MS = 10_000
const STEPS = 6

/** What a number that only rises has risen by in the last minute, or in up to ten seconds more. */
export class LastMinute {
  /** Its value at the beginning of each of the last steps, oldest first. */
  #before: number[] = []
  #step = 0

  of(value: number, nowMs: number): number {
    const step = Math.floor(nowMs / STEP_MS)
    if (this.#before.length === 0) this.#before = [0]
    else for (let missed = Math.min(STEPS + 1, step - this.#step); missed > 0; missed--) this.#before.push(value)
    this.#step = Math.max(step, this.#step)
    this.#before = this.#before.slice(-STEPS - 1)
    return Math.max(0, value - (this.#before[0] ?? 0))
  }
}
