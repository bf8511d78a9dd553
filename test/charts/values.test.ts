/** values.schema.json: strict everywhere, says what every value may be, and refuses what makes no sense. Each file of rejected/ begins with what helm must say. */
import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { load } from 'js-yaml'
import { isFields } from '../../operator/validate/problem.ts'
import { valueAt } from '../support/control-plane/api.ts'
import { ROOT } from '../support/program.ts'
import { CHART, CRD_CHART, HELM_VERSIONS, helm } from './render.ts'

const REJECTED = join(import.meta.dirname, 'rejected')
const schemaOf = (chart: string): unknown => JSON.parse(readFileSync(join(chart, 'values.schema.json'), 'utf8'))

/** Paths of all objects with named properties, and whether they are closed. */
function* objectsIn(schema: unknown, path = ''): Generator<{ path: string; closed: boolean }> {
  if (!isFields(schema)) return
  const properties = schema['properties']
  if (isFields(properties) && schema['type'] === 'object') {
    yield { path, closed: schema['additionalProperties'] === false }
    for (const [name, part] of Object.entries(properties)) yield* objectsIn(part, `${path}.${name}`)
  }
}

/** Every value of values.yaml whose schema names its parts. */
function* undescribed(values: unknown, schema: unknown, path = ''): Generator<string> {
  const properties = valueAt(schema, 'properties')
  if (!isFields(values) || !isFields(properties)) return
  for (const [name, value] of Object.entries(values)) {
    if (properties[name] === undefined) yield `${path}.${name}`
    else yield* undescribed(value, properties[name], `${path}.${name}`)
  }
}

function* unset(schema: unknown, values: unknown, path = ''): Generator<string> {
  const properties = valueAt(schema, 'properties')
  if (!isFields(properties) || path === '.monitoring.podMonitor.selector') return
  for (const [name, part] of Object.entries(properties)) {
    if (!isFields(values) || !(name in values)) yield `${path}.${name}`
    else yield* unset(part, values[name], `${path}.${name}`)
  }
}

for (const chart of [CHART, CRD_CHART]) {
  test(`${chart.split('/').at(-1)}: the schema and the values have the same names, and no other is taken`, () => {
    const [schema, values] = [schemaOf(chart), load(readFileSync(join(chart, 'values.yaml'), 'utf8'))]
    assert.deepEqual([...undescribed(values, schema)], [])
    assert.deepEqual([...unset(schema, values)], [])
    const open = [...objectsIn(schema)].filter(({ closed }) => !closed).map(({ path }) => path)
    // A chart that has this one as a dependency hands its own global values down.
    assert.deepEqual(
      open.filter((path) => path !== '.global'),
      [],
    )
  })
}

const files = globSync('*.yaml', { cwd: REJECTED }).sort()

for (const file of files) {
  test(`refused: ${file.slice(0, -'.yaml'.length).replaceAll('-', ' ')}`, async () => {
    const path = join(REJECTED, file)
    const [, said = ''] = /^# (.*)\n/.exec(readFileSync(path, 'utf8')) ?? []
    assert.ok(said !== '')
    for (const version of HELM_VERSIONS) {
      const { stderr, code } = await helm(version, ['template', 'llama-swap', CHART, '--values', path])
      assert.notEqual(code, 0)
      assert.ok(stderr.replaceAll('/', '.').includes(said), stderr)
    }
  })
}

test('values that make no sense are tried', () => assert.ok(files.length > 5))

test('versions of the charts are those of the program', () => {
  const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'))
  for (const chart of [CHART, CRD_CHART]) {
    const about = load(readFileSync(join(chart, 'Chart.yaml'), 'utf8'))
    assert.deepEqual([valueAt(about, 'version'), valueAt(about, 'appVersion')], [version, version])
  }
})
