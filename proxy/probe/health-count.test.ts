import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { HealthVerdict } from '../engines/engine.ts'
import { counted, NOTHING_KNOWN, type Thresholds } from './health-count.ts'

const USUAL: Thresholds = { healthyAfter: 1, unhealthyAfter: 2 }
const PATIENT: Thresholds = { healthyAfter: 2, unhealthyAfter: 3 }

const CASES: Record<string, { thresholds: Thresholds; verdicts: HealthVerdict[]; healthy: (boolean | undefined)[] }> = {
  'the first good probe is believed': { thresholds: USUAL, verdicts: ['ready'], healthy: [true] },
  'one bad probe is not believed, two are': { thresholds: USUAL, verdicts: ['ready', 'bad', 'bad'], healthy: [true, true, false] },
  'a new endpoint stays unknown until two have failed': { thresholds: USUAL, verdicts: ['bad', 'bad'], healthy: [undefined, false] },
  'a good probe in between starts the count again': {
    thresholds: USUAL,
    verdicts: ['ready', 'bad', 'ready', 'bad'],
    healthy: [true, true, true, true],
  },
  'coming back takes healthyAfter': { thresholds: PATIENT, verdicts: ['loading', 'ready', 'ready'], healthy: [false, false, true] },
  'an unknown endpoint counts only what is in a row': {
    thresholds: PATIENT,
    verdicts: ['ready', 'bad', 'ready', 'ready'],
    healthy: [undefined, undefined, undefined, true],
  },
  'loading counts at once': { thresholds: PATIENT, verdicts: ['loading'], healthy: [false] },
}

for (const [sentence, { thresholds, verdicts, healthy }] of Object.entries(CASES)) {
  test(`health count: ${sentence}`, () => {
    let count = NOTHING_KNOWN
    const seen = verdicts.map((verdict) => {
      count = counted(count, verdict, thresholds)
      return count.healthy
    })
    assert.deepEqual(seen, healthy)
  })
}
