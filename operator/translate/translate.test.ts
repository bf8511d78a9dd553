/** Runs the cases in `cases/`: NAME is resource–situation–outcome. See `test/support/golden.ts`. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { parseTable } from '../../proxy/routing-table/index.ts'
import { goldenCases } from '../../test/support/golden.ts'
import { readCase, writeAnswer } from './golden.test.ts'
import { PROBLEMS } from './problems.ts'
import { translate } from './translate.ts'

const answers = goldenCases({
  folder: join(import.meta.dirname, 'cases'),
  answerTo: (file, text) => translate(readCase(file, text)),
  write: writeAnswer,
})

test('a proxy reads every table', () => {
  for (const [name, { table }] of answers) {
    const parsed = parseTable(JSON.parse(JSON.stringify(table)))
    assert.deepEqual('errors' in parsed ? parsed.errors : [], [], name)
  }
})

test('every problem has a case', () => {
  const seen = new Set([...answers.values()].flatMap(({ problems }) => problems.map(({ code }) => code)))
  assert.deepEqual(
    Object.keys(PROBLEMS).filter((code) => ![...seen].some((one) => one === code)),
    [],
  )
})

test('every message says what to do, and nothing is said twice', () => {
  for (const { problems } of answers.values()) {
    for (const { message } of problems) assert.match(message, /^["A-Z].*\.$/)
    assert.equal(new Set(problems.map((problem) => JSON.stringify(problem))).size, problems.length)
  }
})
