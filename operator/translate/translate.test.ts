/**
 * Runs the cases in `cases/`: NAME.in.yaml gives NAME.out.yaml, where NAME is resource–situation–outcome. `GOLDEN=write` writes the
 * answers instead of comparing them; their diff is read like code. It is refused in CI.
 */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { parseTable } from '../../proxy/routing-table/index.ts'
import { readCase, writeAnswer } from './golden.test.ts'
import { PROBLEMS } from './problems.ts'
import { translate } from './translate.ts'

const FOLDER = join(import.meta.dirname, 'cases')
const WRITING = process.env['GOLDEN'] === 'write'

const files = readdirSync(FOLDER)
const names = files.filter((file) => file.endsWith('.in.yaml')).map((file) => file.slice(0, -'.in.yaml'.length))
const answers = new Map(
  names.map((name) => [name, translate(readCase(`${name}.in.yaml`, readFileSync(join(FOLDER, `${name}.in.yaml`), 'utf8')))]),
)

if (WRITING) {
  if (process.env['CI'] !== undefined) throw new Error('GOLDEN=write is for people: CI only compares')
  for (const file of files.filter((one) => one.endsWith('.out.yaml'))) rmSync(join(FOLDER, file))
  for (const [name, answer] of answers) writeFileSync(join(FOLDER, `${name}.out.yaml`), writeAnswer(answer))
}

for (const [name, answer] of answers) {
  test(name.replaceAll('-', ' '), () => {
    const expected = readFileSync(join(FOLDER, `${name}.out.yaml`), 'utf8')
    assert.equal(writeAnswer(answer), expected, 'make golden rewrites the answers')
    const parsed = parseTable(JSON.parse(JSON.stringify(answer.table)))
    assert.deepEqual('errors' in parsed ? parsed.errors : [], [])
  })
}

test('every file in cases/ belongs to a case', () => {
  const expected = names.flatMap((name) => [`${name}.in.yaml`, `${name}.out.yaml`]).sort()
  assert.deepEqual(readdirSync(FOLDER).sort(), expected)
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
