/**
 * Golden cases: in a folder `cases/`, NAME.in.yaml gives NAME.out.yaml; NAME is a sentence of what is there, what happens and what comes of
 * it. `GOLDEN=write` writes the answers instead of comparing them; their diff is read like code. It is refused in CI. A file that belongs
 * to no case, and a case without an answer, fail.
 */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

const IN = '.in.yaml'
const OUT = '.out.yaml'

export interface Golden<Answer> {
  readonly folder: string
  /** Throws where the input is not what a case may hold. `file` is for messages. */
  readonly answerTo: (file: string, text: string) => Answer
  readonly write: (answer: Answer) => string
}

/** Makes a test of each case, and one that every file belongs to a case. The answers are for tests over all of them. */
export function goldenCases<Answer>({ folder, answerTo, write }: Golden<Answer>): ReadonlyMap<string, Answer> {
  const names = readdirSync(folder).flatMap((file) => (file.endsWith(IN) ? [file.slice(0, -IN.length)] : []))
  const answers = new Map(names.map((name) => [name, answerTo(`${name}${IN}`, readFileSync(join(folder, `${name}${IN}`), 'utf8'))]))
  if (process.env['GOLDEN'] === 'write') rewrite(folder, new Map([...answers].map(([name, answer]) => [name, write(answer)])))
  for (const [name, answer] of answers) {
    test(name.replaceAll('-', ' '), () => {
      assert.equal(write(answer), readFileSync(join(folder, `${name}${OUT}`), 'utf8'), 'make golden rewrites the answers')
    })
  }
  test('every file in cases/ belongs to a case', () => {
    assert.ok(names.length > 0)
    assert.deepEqual(readdirSync(folder).sort(), names.flatMap((name) => [`${name}${IN}`, `${name}${OUT}`]).sort())
  })
  return answers
}

function rewrite(folder: string, texts: ReadonlyMap<string, string>): void {
  if (process.env['CI'] !== undefined) throw new Error('GOLDEN=write is for people: CI only compares')
  for (const file of readdirSync(folder).filter((one) => one.endsWith(OUT))) rmSync(join(folder, file))
  for (const [name, text] of texts) writeFileSync(join(folder, `${name}${OUT}`), text)
}
