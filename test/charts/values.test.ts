/** values.schema.json: strict everywhere, says what every value may be, and refuses what makes no sense. Each file of rejected/ begins with what helm must say. */
import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { load } from 'js-yaml'
import { isFields } from '../../operator/validate/problem.ts'
import { valueAt } from '../support/control-plane/api.ts'
import { ROOT } from '../support/program.ts'
import { CHART, CI_CASES, CRD_CHART, ciFile, HELM_VERSIONS, helm } from './render.ts'

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

test('the charts are of one version and bring the program of this checkout', () => {
  const { version: program } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'))
  const about = [CHART, CRD_CHART].map((chart) => load(readFileSync(join(chart, 'Chart.yaml'), 'utf8')))
  assert.deepEqual(
    about.map((one) => valueAt(one, 'appVersion')),
    [program, program],
  )
  assert.equal(valueAt(about[0], 'version'), valueAt(about[1], 'version'))
})

/** Paths of all values that are true or false. */
function* switches(values: unknown, path: readonly string[] = []): Generator<readonly string[]> {
  if (typeof values === 'boolean') yield path
  if (isFields(values) && path.at(-1) !== 'podSecurityContext' && path.at(-1) !== 'containerSecurityContext')
    for (const [name, value] of Object.entries(values)) yield* switches(value, [...path, name])
}

test('some file of ci/ turns every switch', () => {
  const values = load(readFileSync(join(CHART, 'values.yaml'), 'utf8'))
  const cases = CI_CASES.map((name) => load(readFileSync(ciFile(name), 'utf8')))
  const unturned = [...switches(values)].filter((path) =>
    cases.every((one) => [undefined, valueAt(values, ...path)].includes(valueAt(one, ...path))),
  )
  assert.deepEqual(
    unturned.map((path) => path.join('.')),
    [],
  )
})
