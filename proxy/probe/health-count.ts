/** From single probes to a state: how many in a row it takes to change one's mind. Pure. */
import type { HealthVerdict } from '../engines/engine.ts'

export interface HealthCount {
  /** Undefined until the first probes have told. */
  healthy: boolean | undefined
  /** Probes in a row that say otherwise than `healthy`. */
  against: number
}

export const NOTHING_KNOWN: HealthCount = { healthy: undefined, against: 0 }

export interface Thresholds {
  healthyAfter: number
  unhealthyAfter: number
}

/** An engine that says itself that it is loading needs no second witness. */
export function counted(count: HealthCount, verdict: HealthVerdict, thresholds: Thresholds): HealthCount {
  if (verdict === 'loading') return { healthy: false, against: 0 }
  const good = verdict === 'ready'
  if (count.healthy === good) return { healthy: good, against: 0 }
  const sameAsLast = count.healthy !== undefined || Math.sign(count.against) === (good ? 1 : -1)
  const inARow = (sameAsLast ? Math.abs(count.against) : 0) + 1
  if (inARow >= (good ? thresholds.healthyAfter : thresholds.unhealthyAfter)) return { healthy: good, against: 0 }
  return { healthy: count.healthy, against: good ? inARow : -inARow }
}
