/** Runs the cases in `cases/`: NAME is situation–outcome. See `test/support/golden.ts`. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { goldenCases } from '../../test/support/golden.ts'
import { decide } from './decide.ts'
import { readCase, writeDecision } from './golden.test.ts'

const answers = goldenCases({
  folder: join(import.meta.dirname, 'cases'),
  answerTo: (file, text) => {
    const input = readCase(file, text)
    return { input, decision: decide(input) }
  },
  write: ({ decision }) => writeDecision(decision),
})

test('the same input gives the same decision, and changes nothing that it was given', () => {
  for (const { input, decision } of answers.values()) assert.deepEqual(decide(input), decision)
})

test('a message says what is wrong in whole sentences, and names no address', () => {
  for (const { decision } of answers.values()) {
    if (decision.kind === 'refuse') assert.match(decision.message, /^[A-Z](?!.*10\.0\.0).*\.$/)
  }
})
