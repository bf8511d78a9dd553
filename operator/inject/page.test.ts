import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { AMOUNTS } from './amounts.ts'
import { MISSING } from './audit.ts'
import { RESULTS } from './inject.ts'
import { CONTAINERS, INJECT, QUITS } from './names.ts'
import { PORTS } from './ports.ts'

const ROOT = join(import.meta.dirname, '..', '..')
const PAGE = readFileSync(join(ROOT, 'docs', 'sidecars.md'), 'utf8')

/** The rows of the table that begins so, as cells. */
function rowsOf(first: string): readonly (readonly string[])[] {
  const lines = PAGE.split('\n')
  const start = lines.findIndex((line) => line.startsWith(`| ${first} |`)) + 2
  return lines.slice(start, lines.indexOf('', start)).map((line) =>
    line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim().replaceAll('`', '')),
  )
}

test('docs/sidecars.md lists every annotation with its default and bounds, and no other', () => {
  const written = rowsOf('Annotation of the Pod').map(([name, fallback, bounds]) => `${name} ${fallback} ${bounds}`)
  const ports = Object.values(PORTS).map(({ annotation, fallback }) => `${annotation} ${fallback} 1024 to 65535`)
  const amounts = Object.values(AMOUNTS).map(({ annotation, fallback = '–', min, max }) => `${annotation} ${fallback} ${min} to ${max}`)
  assert.deepEqual(written, [`${INJECT} – "true"`, `${CONTAINERS} all that may –`, `${QUITS} – "true"`, ...ports, ...amounts])
})

test('docs/sidecars.md names tests for each lesson, and they are there', () => {
  const lessons = rowsOf('Lesson')
  assert.ok(lessons.length > 30)
  for (const [, file = '', sentence = ''] of lessons)
    assert.ok(readFileSync(join(ROOT, file), 'utf8').includes(sentence), `${file}: ${sentence}`)
})

test('docs/sidecars.md lists every reason and names every result', () => {
  const written = rowsOf('Reason').map(([reason = '']) => reason)
  assert.equal(written.length, MISSING.length)
  assert.deepEqual(new Set(written), new Set<string>(MISSING))
  for (const result of [...RESULTS, 'Error']) assert.ok(PAGE.includes(`\`${result}\``), result)
})
