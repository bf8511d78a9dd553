/** Alerts, runbooks and dashboards speak of metrics and labels that there are, and of each other. Rules are checked by Prometheus' own promtool. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { before, test } from 'node:test'
import { load } from 'js-yaml'
import { fetchTools, PROMTOOL } from '../../scripts/fetch-tools.ts'
import { listAt, textAt, valueAt } from '../support/control-plane/api.ts'
import { ROOT } from '../support/program.ts'
import { CHART, ciFile, objectNamed, render } from './render.ts'

const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8')
const ALERTS = join(CHART, 'alerts.yaml')
const alerts = listAt(load(readFileSync(ALERTS, 'utf8')), 'groups').flatMap((group) => listAt(group, 'rules'))
const dashboards = globSync('*.json', { cwd: join(CHART, 'dashboards') }).map((file) => ({
  file,
  dashboard: JSON.parse(readFileSync(join(CHART, 'dashboards', file), 'utf8')),
}))

/** Labels by metric, from the rows of docs/metrics.md. */
const METRICS = new Map(
  [...read('docs/metrics.md').matchAll(/^\| `(\w+)` \| (\w+) \| ([^|]*)\|/gm)].map(([, name = '', type, labels = '']) => [
    name,
    { type, labels: [...labels.matchAll(/`(\w+)`/g)].map(([, label]) => label) },
  ]),
)
/** Those that Prometheus adds of its own. */
const OF_TARGETS = ['namespace', 'pod', 'le']

/** What begins as our metrics do, or stands where a metric must; with its matchers. */
const NAMED =
  /\b((?:llama_swap|gen_ai|controller_runtime|workqueue|rest_client|leader_election|process|nodejs)_\w+|\w+(?=[{[]))(?:\{([^}]*)\})?/g

/** What a query says that docs/metrics.md does not. */
function mistakes(query: string): readonly string[] {
  const named = [...query.matchAll(NAMED)]
  const wrong = named.flatMap(([, name = '', matchers = '']) => {
    const metric = metricOf(name)
    if (metric === undefined) return isWord(name) ? [] : [`no metric ${name}`]
    const labels = [...matchers.matchAll(/(\w+)\s*(?:=~|!~|!=|=)/g)].map(([, label]) => label ?? '')
    return labels.flatMap((label) => (metric.labels.includes(label) || OF_TARGETS.includes(label) ? [] : [`no label ${label} of ${name}`]))
  })
  const labels = new Set([...named.flatMap(([, name = '']) => metricOf(name)?.labels ?? []), ...OF_TARGETS])
  const grouped = [...query.matchAll(/\bby \(([^)]*)\)/g)].flatMap(([, list = '']) => list.split(',').map((label) => label.trim()))
  return [...wrong, ...grouped.flatMap((label) => (labels.has(label) ? [] : [`no label ${label} to group by`]))]
}

const isWord = (name: string): boolean => [...METRICS.values()].some(({ labels }) => labels.includes(name))

function metricOf(name: string): { type: string | undefined; labels: readonly (string | undefined)[] } | undefined {
  const found = METRICS.get(name)
  if (found !== undefined) return found
  const base = METRICS.get(name.replace(/_(bucket|sum|count)$/, ''))
  return base?.type === 'histogram' ? base : undefined
}

before(() => fetchTools((line) => console.log(line)))

test('the checker of queries sees one that is none', () => assert.match(complaintsAbout(['sum by (x (y)']), /parse error/))

test('the checker sees a metric, a label and a grouping that there are not', () => {
  assert.ok(METRICS.size > 80)
  assert.deepEqual(mistakes('sum by (colour) (rate(llama_swap_requests_totals{model="a"}[5m]))'), [
    'no metric llama_swap_requests_totals',
    'no label colour to group by',
  ])
  assert.deepEqual(mistakes('llama_swap_requests_total{modle="a"}'), ['no label modle of llama_swap_requests_total'])
  assert.deepEqual(mistakes('llama_swap_requests_total_bucket'), ['no metric llama_swap_requests_total_bucket'])
})

for (const alert of alerts) {
  test(`${textAt(alert, 'alert')} asks for metrics that there are, and says how bad it is`, () => {
    assert.deepEqual(mistakes(textAt(alert, 'expr')), [])
    assert.match(textAt(alert, 'labels', 'severity'), /^(critical|warning|info)$/)
    const told = textAt(alert, 'annotations', 'description')
    const labels = [...told.matchAll(/\$labels\.(\w+)/g)].map(([, label]) => label ?? '')
    const kept = [...textAt(alert, 'expr').matchAll(/\bby \(([^)]*)\)/g)].flatMap(([, list = '']) => list.split(', '))
    assert.deepEqual(
      labels.filter((label) => !kept.includes(label)),
      [],
    )
  })
}

test('docs/runbooks.md has a heading for each alert, in their order, and no other', () => {
  const headings = [...read('docs/runbooks.md').matchAll(/^### (\S+)$/gm)].map(([, name]) => name)
  const names = alerts.map((alert) => textAt(alert, 'alert'))
  assert.deepEqual(headings, names)
})

test('docs/runbooks.md names only metrics and values that there are', () => {
  const words = [...read('docs/runbooks.md').matchAll(/`([^`]+)`/g)].map(([, word = '']) => word)
  assert.deepEqual(
    words.flatMap((word) => (/\b(llama_swap|gen_ai|controller_runtime|workqueue)_/.test(word) ? mistakes(word) : [])),
    [],
  )
  const values = load(readFileSync(join(CHART, 'values.yaml'), 'utf8'))
  const named = words.filter((word) => /^(gateway|operator|networkPolicy|monitoring)\.[\w.]+$/.test(word))
  assert.ok(named.length > 4)
  assert.deepEqual(
    named.filter((word) => valueAt(values, ...word.split('.')) === undefined),
    [],
  )
})

test("Prometheus' own checker has nothing to say, and the alerts fire when they should", () => {
  for (const args of [
    ['check', 'rules', ALERTS],
    ['test', 'rules', join(import.meta.dirname, 'alerts.yaml')],
  ]) {
    const { status, stdout, stderr } = spawnSync(PROMTOOL, args, { encoding: 'utf8', cwd: import.meta.dirname })
    assert.equal(status, 0, stdout + stderr)
  }
})

test('the PrometheusRule has every alert but those switched off, with a runbook and what values add', async () => {
  const rule = objectNamed(await render({ files: [ciFile('production')] }), 'PrometheusRule llama-swap/llama-swap')
  const made = listAt(rule, 'spec', 'groups').flatMap((group) => listAt(group, 'rules'))
  assert.deepEqual(
    made.map((alert) => textAt(alert, 'alert')),
    alerts.map((alert) => textAt(alert, 'alert')).filter((name) => name !== 'LlamaSwapSeriesDropped'),
  )
  for (const alert of made) {
    assert.equal(
      textAt(alert, 'annotations', 'runbook_url'),
      `https://wiki.example.com/llama-swap/runbooks#${textAt(alert, 'alert').toLowerCase()}`,
    )
    assert.equal(textAt(alert, 'labels', 'team'), 'platform')
  }
  const slow = made.find((alert) => textAt(alert, 'alert') === 'LlamaSwapFirstTokenSlow')
  assert.deepEqual([valueAt(slow, 'for'), valueAt(slow, 'labels', 'severity')], ['5m', 'warning'])
})

for (const { file, dashboard } of dashboards) {
  test(`dashboard ${file} asks for metrics that there are, and every panel has a place of its own`, () => {
    const panels = listAt(dashboard, 'panels')
    const queries = panels.flatMap((panel) => listAt(panel, 'targets').map((target) => textAt(target, 'expr')))
    assert.ok(queries.length > 10)
    for (const query of queries) assert.deepEqual(mistakes(query), [], query)
    assert.equal(complaintsAbout(queries), '')
    const variables = listAt(dashboard, 'templating', 'list').filter((one) => valueAt(one, 'type') === 'query')
    for (const variable of variables)
      assert.ok(metricOf(/label_values\((\w+),/.exec(textAt(variable, 'definition'))?.[1] ?? '') !== undefined)
    const places = panels.map((panel) => ['x', 'y'].map((axis) => String(valueAt(panel, 'gridPos', axis))).join())
    assert.equal(new Set(places).size, panels.length)
    assert.equal(new Set(panels.map((panel) => valueAt(panel, 'id'))).size, panels.length)
  })
}

/** What promtool says of queries whose variables are filled in. */
function complaintsAbout(queries: readonly string[]): string {
  const rules = queries.map((expr, index) => ({ record: `panel:${index}`, expr: expr.replaceAll(/\$\w+/g, '.*') }))
  const folder = mkdtempSync(join(tmpdir(), 'llama-swap-rules-'))
  const file = join(folder, 'rules.yaml')
  writeFileSync(file, JSON.stringify({ groups: [{ name: 'dashboard', rules }] }))
  const { status, stdout, stderr } = spawnSync(PROMTOOL, ['check', 'rules', '--lint=none', file], { encoding: 'utf8' })
  rmSync(folder, { recursive: true })
  return status === 0 ? '' : stdout + stderr
}

test('dashboards come to Grafana as they are in the folder', async () => {
  const objects = await render({ files: [ciFile('production')] })
  for (const { file, dashboard } of dashboards) {
    const map = objectNamed(objects, `ConfigMap llama-swap/llama-swap-dashboard-${file.slice(0, -'.json'.length)}`)
    assert.deepEqual(JSON.parse(textAt(map, 'data', `llama-swap-${file}`)), dashboard)
    assert.equal(textAt(map, 'metadata', 'labels', 'grafana_dashboard'), '1')
  }
})
