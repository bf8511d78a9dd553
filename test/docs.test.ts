import assert from 'node:assert/strict'
import { existsSync, globSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { accessLine } from '../proxy/account/access-line.ts'
import { Metrics } from '../proxy/account/metrics.ts'
import { REFUSED, tableOf } from '../proxy/account/record.fixture.ts'
import { ERRORS } from '../proxy/errors.ts'
import { Live } from '../proxy/live/live.ts'

/** Pages say what the program does: tables of errors, metrics and log fields are compared both ways, links lead somewhere. */
const ROOT = join(import.meta.dirname, '..')
const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8')

/** The rows of every table of a page whose first heading is `first`, as cells. */
function rowsOf(page: string, first: string): string[][] {
  const rows: string[][] = []
  let inTable = false
  for (const line of read(page).split('\n')) {
    const cells = line.startsWith('|')
      ? line
          .split(/(?<!\\)\|/)
          .slice(1, -1)
          .map((cell) => cell.trim())
      : []
    if (cells.length === 0) inTable = false
    else if (cells[0] === first) inTable = true
    else if (inTable && !/^-+$/.test(cells[0] ?? '')) rows.push(cells)
  }
  return rows
}

const words = (cell: string | undefined): string[] => [...(cell ?? '').matchAll(/`([^`]+)`/g)].map(([, word]) => word ?? '')

test('docs/errors.md lists every code as it is, and no other', () => {
  const written = rowsOf('docs/errors.md', 'Code')
  const real = Object.entries(ERRORS).map(([code, { status, type, errorType, retryable, meaning }]) => [
    `\`${code}\``,
    String(status),
    `\`${type}\``,
    `\`${errorType}\``,
    retryable ? 'yes' : 'no',
    meaning,
  ])
  assert.deepEqual(written, real)
})

test('docs/metrics.md lists every metric with its type and labels, and no other', (t) => {
  const table = tableOf(['a'])
  const metrics = new Metrics({ live: new Live(), table: () => table, held: { bytes: 0 }, version: '0' })
  t.after(() => metrics.close())
  const written = rowsOf('docs/metrics.md', 'Metric').map(([name, type, labels]) => ({ name: words(name)[0], type, labels: words(labels) }))
  const real = metrics.registry.getMetricsAsArray().map((metric) => {
    const labels: unknown = 'labelNames' in metric ? metric.labelNames : undefined
    return { name: metric.name, type: String(metric.type), labels }
  })
  const byName = (a: { name: string | undefined }, b: { name: string | undefined }): number => String(a.name).localeCompare(String(b.name))
  assert.deepEqual(written.toSorted(byName), real.toSorted(byName))
})

test('docs/metrics.md says of every metric its unit and meaning', () => {
  for (const [name, , , unit, meaning] of rowsOf('docs/metrics.md', 'Metric'))
    assert.ok(unit !== undefined && unit !== '' && meaning !== undefined && meaning !== '', `${name}`)
})

test('docs/metrics.md lists every field of the access line in order, and no other', () => {
  const line: unknown = JSON.parse(accessLine(REFUSED, 'info'))
  assert.ok(typeof line === 'object' && line !== null)
  assert.deepEqual(
    rowsOf('docs/metrics.md', 'Field').flatMap(([fields]) => words(fields)),
    Object.keys(line),
  )
})

test('README.md has at most 150 lines', () => {
  if (existsSync(join(ROOT, 'README.md'))) assert.ok(read('README.md').trimEnd().split('\n').length <= 150)
})

const PAGES = globSync(['README.md', 'CONTRIBUTING.md', 'docs/**/*.md', 'examples/**/*.md', 'crds/*.md'], { cwd: ROOT })
const withoutCode = (text: string): string => text.replace(/^```.*?^```/gms, '').replace(/`[^`\n]*`/g, '')

test('every relative link of a page leads to a file, and to a heading where it names one', () => {
  const broken = PAGES.flatMap((page) =>
    [...withoutCode(read(page)).matchAll(/\]\(([^)\s]+)\)/g)].flatMap(([, link = '']) => (leads(page, link) ? [] : [`${page}: ${link}`])),
  )
  assert.deepEqual(broken, [])
})

function leads(page: string, link: string): boolean {
  if (/^[a-z]+:/.test(link)) return true
  const [path = '', heading] = link.split('#')
  const target = path === '' ? page : join(dirname(page), path)
  if (!existsSync(join(ROOT, target))) return false
  return heading === undefined || !target.endsWith('.md') || headingsOf(target).includes(heading)
}

/** Headings as GitHub spells their anchors. */
const headingsOf = (page: string): string[] =>
  [...read(page).matchAll(/^#+ (.*)$/gm)].map(([, text = '']) =>
    text
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, '')
      .replace(/ /g, '-'),
  )
