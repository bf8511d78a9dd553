import assert from 'node:assert/strict'
import { test } from 'node:test'
import { countsIn, linesOf, summed } from './support/one-node/counts.ts'

const GOOD = '✔ a (1ms)\nℹ tests 3\nℹ suites 0\nℹ pass 3\nℹ fail 0\nℹ cancelled 0\nℹ skipped 0\nℹ todo 0\nℹ duration_ms 12.5\n'
const BAD = 'ℹ tests 2\nℹ pass 1\nℹ fail 1\nℹ cancelled 0\nℹ skipped 0\nℹ todo 0\n'

test('counts of runs are summed', () => {
  const sum = summed([countsIn(GOOD, 0), countsIn(BAD, 1)])
  assert.equal(linesOf(sum), 'ℹ tests 5\nℹ pass 4\nℹ fail 1\nℹ cancelled 0\nℹ skipped 0\nℹ todo 0')
})

test('a run that failed without a failed test counts as one that failed', () => {
  assert.equal(countsIn(GOOD, 1).fail, 1)
  assert.deepEqual(countsIn('it broke', 1), { tests: 1, pass: 0, fail: 1, cancelled: 0, skipped: 0, todo: 0 })
})

test('the last of such lines counts: a test may show the output of another run', () => assert.equal(countsIn(BAD + GOOD, 0).pass, 3))
