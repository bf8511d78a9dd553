import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync, globSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { loadAll } from 'js-yaml'
import { REASONS } from '../operator/report/reasons.ts'
import { SCHEMAS } from '../operator/resources/schemas.generated.ts'
import { PROBLEMS } from '../operator/translate/problems.ts'
import { accessLine } from '../proxy/account/access-line.ts'
import { Metrics } from '../proxy/account/metrics.ts'
import { REFUSED, tableOf } from '../proxy/account/record.fixture.ts'
import { PROXY_FLAGS, STANDALONE_FLAGS } from '../proxy/config.ts'
import type { Factors } from '../proxy/decide/input.ts'
import { profileOf } from '../proxy/engines/engines.ts'
import { ERROR_LABELS, ERRORS } from '../proxy/errors.ts'
import { Live } from '../proxy/live/live.ts'
import { ENDPOINT_STRATEGIES, ENGINES, STRATEGIES } from '../proxy/routing-table/v1.ts'
import { NODE_FLAGS, OPERATOR_NODE_FLAGS } from '../scripts/node-flags.ts'
import { CONNECTIONS } from './data-plane/faults/connections.ts'
import { CONTENTS } from './data-plane/faults/contents.ts'
import { NOT_PASSED, NOT_SHOWN, scorecard } from './data-plane/faults/scorecard.ts'
import { SIXTEEN } from './data-plane/faults/sixteen.ts'
import { STATUSES } from './data-plane/faults/statuses.ts'

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

test('docs/errors.md lists every label, and no other', () => {
  assert.deepEqual(
    rowsOf('docs/errors.md', 'Label').flatMap(([labels]) => words(labels)),
    ERROR_LABELS,
  )
})

test('docs/metrics.md lists every metric with its type and labels, and no other', (t) => {
  const table = tableOf(['a'])
  const metrics = new Metrics({ live: new Live(), table: () => table, held: { bytes: 0 }, holds: { queues: () => [] }, version: '0' })
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

const OPERATIONS = 'docs/operations.md'
const SOURCES = globSync('{operator,proxy,cli}/**/*.ts', { cwd: ROOT }).filter((path) => !/[.](test|fixture)[.]ts$/.test(path))
const sources = SOURCES.map(read).join('\n')

interface WrittenFlag {
  readonly name: string
  readonly value: string
  readonly fallback: string
  readonly help: string
}

const writtenFlags = (first: string): readonly WrittenFlag[] =>
  rowsOf(OPERATIONS, first).map(([name, value, fallback, help = '']) => ({
    name: words(name)[0]?.slice(2) ?? '',
    value: words(value)[0] ?? '',
    fallback: words(fallback)[0] ?? '',
    help,
  }))

test('docs/operations.md lists every flag of the operator as --help does, and no other', () => {
  const help = execFileSync(process.execPath, [join(ROOT, 'cli/main.ts'), 'operator', '--help'], { encoding: 'utf8' })
  const real = [...help.matchAll(/^ {2}--(\S+) (\S+) +(.+?)(?: \(default (\S+)\))?$/gm)]
  assert.ok(real.length > 10)
  assert.deepEqual(
    writtenFlags('Operator flag'),
    real.map(([, name = '', value = '', text = '', fallback = '']) => ({ name, value, fallback, help: text })),
  )
})

test('docs/operations.md lists the flags of the push as the proxy has them, and no other', () => {
  const others = new Set(['table', 'metrics-port', ...STANDALONE_FLAGS.map(({ name }) => name)])
  const real = PROXY_FLAGS.filter(({ name }) => !others.has(name)).map((one) => ({ ...one, fallback: one.fallback ?? '' }))
  assert.deepEqual(writtenFlags('Proxy flag'), real)
})

test('docs/operations.md names only metrics, reasons and log lines that there are', () => {
  const metrics = new Set(
    ['Metric', 'Operator metric'].flatMap((first) => rowsOf('docs/metrics.md', first).flatMap(([name]) => words(name))),
  )
  const reasons = new Set([...REASONS.map(({ reason }) => reason), ...Object.keys(PROBLEMS)])
  const cells = rowsOf(OPERATIONS, 'What happens').flat().join('\n')
  const named = words(cells).map((word) => word.replace(/\{.*$/, ''))
  assert.deepEqual(
    named.filter((word) => /^[a-z]+(_[a-z]+)+$/.test(word) && !metrics.has(word)),
    [],
  )
  assert.deepEqual(
    named.filter((word) => /^[A-Z][A-Za-z]+$/.test(word) && !reasons.has(word)),
    [],
  )
  const lines = [...cells.matchAll(/\b[Ll]og `([^`]+)`/g)].map(([, line = '']) => line)
  assert.ok(named.length > 40 && lines.length > 10)
  assert.deepEqual(
    lines.filter((line) => !sources.includes(`'${line}'`) && !sources.includes(`\`${line}`)),
    [],
  )
})

test('the manifests of docs/operations.md give programs only flags that they have', () => {
  const [, yaml = ''] = /```yaml\n(apiVersion: .*?)```/s.exec(read(OPERATIONS)) ?? []
  const containers = loadAll(yaml).flatMap((manifest) => JSON.stringify(manifest).match(/"args":(\[[^\]]*\])/)?.[1] ?? [])
  assert.equal(containers.length, 2)
  for (const args of containers) {
    const given: readonly string[] = [...args.matchAll(/"([^"]+)"/g)].map(([, arg = '']) => arg)
    const help = execFileSync(process.execPath, [join(ROOT, 'cli/main.ts'), given[0] ?? '', '--help'], { encoding: 'utf8' })
    const known = new Set([...help.matchAll(/^ {2}--(\S+)/gm)].map(([, name]) => name))
    for (const arg of given.slice(1)) assert.ok(known.has(arg.slice(2).split('=')[0]), arg)
  }
})

test('the manifests of docs/operations.md start programs as they are meant to be', () => {
  const commands = [...read(OPERATIONS).matchAll(/^ +command: \[node, (.*), \/app\/cli[.]mjs\]$/gm)].map(([, flags]) => flags)
  assert.deepEqual(commands, [OPERATOR_NODE_FLAGS.join(', '), NODE_FLAGS.join(', ')])
})

const FAILURES = 'docs/failures.md'
const TESTS = globSync(['test/data-plane/**/*.ts', 'proxy/**/*.test.ts'], { cwd: ROOT }).map(read).join('\n')

test('docs/failures.md names tests that there are, and every case of the fault wall', () => {
  const named = rowsOf(FAILURES, 'When').flatMap(([, , , , tests]) => words(tests))
  assert.ok(named.length > 80)
  assert.deepEqual(
    named.filter((name) => !TESTS.includes(`'${name}'`) && !TESTS.includes(`"${name}"`)),
    [],
  )
  const cases = Object.keys({ ...SIXTEEN, ...CONNECTIONS, ...CONTENTS, ...STATUSES })
  assert.deepEqual(
    cases.filter((name) => !named.includes(name)),
    [],
  )
})

test('docs/failures.md names only metrics, labels and codes that there are', () => {
  const metrics = new Set(rowsOf('docs/metrics.md', 'Metric').flatMap(([name]) => words(name)))
  const known = new Set([...metrics, ...Object.keys(ERRORS)])
  const labels = new Set(rowsOf('docs/errors.md', 'Label').flatMap(([label]) => words(label)))
  for (const [when = '', , sees, moves] of rowsOf(FAILURES, 'When')) {
    assert.ok(moves === '–' || words(moves).length > 0, when)
    const named = [...words(sees), ...words(moves)].map((word) => word.replace(/\{.*$/, ''))
    for (const word of named) if (/^[a-z]+(_[a-z]+)+$/.test(word)) assert.ok(known.has(word), `${when}: ${word}`)
    for (const [, label = ''] of (moves ?? '').matchAll(/outcome="(\w+)"/g)) assert.ok(labels.has(label), `${when}: ${label}`)
  }
})

test('docs/failures.md has the scorecard that the fault wall is held to', () => {
  const [head = [], ...rows] = scorecard()
  const [headings = ''] = read(FAILURES).match(/^\| Id \|.*$/m) ?? []
  assert.equal(headings, `| ${head.join(' | ')} |`)
  assert.deepEqual(rowsOf(FAILURES, 'Id'), rows)
  for (const { because } of [...NOT_SHOWN, ...NOT_PASSED]) assert.ok(read(FAILURES).includes(because), because)
})

test('docs/security.md names tests that there are, each promise at least one', () => {
  const rows = rowsOf('docs/security.md', 'Promise')
  assert.ok(rows.length > 12)
  for (const [promise = '', tests] of rows) {
    const files = words(tests).filter((word) => word.endsWith('.test.ts'))
    const sentences = words(tests).filter((word) => !word.endsWith('.test.ts'))
    assert.ok(files.length > 0 && files.every((file) => existsSync(join(ROOT, file))), `${promise}: ${files.join()}`)
    const texts = files.map(read).join('\n')
    assert.deepEqual(
      sentences.filter((sentence) => !texts.includes(`'${sentence}'`) && !texts.includes(`"${sentence}"`)),
      [],
    )
  }
})

test('docs/how-it-works.md names files and symbols that there are', () => {
  const named = [...read('docs/how-it-works.md').matchAll(/`([^`]+)`/g)].map(([, word = '']) => word)
  const files = named.filter((word) => /^[\w/-]+[.]ts$/.test(word))
  const symbols = named.filter((word) => /^[A-Za-z]+([.][A-Za-z]+)?(\(\))?$/.test(word))
  assert.ok(files.length > 20 && symbols.length > 10)
  assert.deepEqual(
    files.filter((file) => !SOURCES.some((path) => path === file || path.endsWith(`/${file}`))),
    [],
  )
  assert.deepEqual(
    symbols.filter((symbol) =>
      symbol
        .replace('()', '')
        .split('.')
        .some((part) => !sources.includes(part)),
    ),
    [],
  )
})

/** First cells of the tables below a heading. */
function firstCells(page: string, heading: string): string[] {
  const section = page.split(/^## /m).find((one) => one.startsWith(`${heading}\n`)) ?? ''
  return [...section.matchAll(/^\| `([^`]+)` \|/gm)].map(([, cell = '']) => cell)
}

/** What weights are multiplied by; the `satisfies` keeps them to what explain shows. */
const ADAPTIVE_FACTORS = ['availability', 'cheapness', 'fitness', 'speed'] satisfies (keyof Factors)[]

test('docs/routing.md has every strategy and every condition of rules, and no other', () => {
  const page = read('docs/routing.md')
  assert.deepEqual(firstCells(page, 'Strategies among targets'), STRATEGIES)
  assert.deepEqual(firstCells(page, 'Strategies among endpoints'), ENDPOINT_STRATEGIES)
  const adaptive = page.split('### Adaptive, in numbers')[1]?.split('###')[0] ?? ''
  assert.deepEqual([...adaptive.matchAll(/^\* \*\*(\w+)\*\*/gm)].map(([, factor = '']) => factor).toSorted(), ADAPTIVE_FACTORS)
  const match = SCHEMAS.RoutingPolicy.properties?.['spec']?.properties?.['rules']?.items?.properties?.['matches']?.items
  assert.deepEqual(firstCells(page, 'Rules').toSorted(), Object.keys(match?.properties ?? {}).toSorted())
})

test('docs/engines.md has every engine with what it is asked, and no other', () => {
  const target = { basePath: '/v1', upstreamModel: 'MODEL' }
  const [asked = '', told = ''] = read('docs/engines.md').split('| Engine | Running')
  const rows = (text: string): string[][] => [...text.matchAll(/^\| `.*$/gm)].map(([row]) => row.split('|').map((cell) => cell.trim()))
  const engines = ENGINES.filter((engine) => engine !== 'Auto')
  const expected = engines.map((engine) => {
    const profile = profileOf(engine)
    return [engine, profile.healthRequest(target), ...profile.signalsRequests(target)]
  })
  assert.deepEqual(
    rows(asked).map(([, engine, , health, load]) => [...words(engine), ...words(health), ...words(load)]),
    expected,
  )
  assert.deepEqual(
    rows(told).flatMap(([, engine]) => words(engine)),
    engines,
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
