/**
 * The CRDs against what is said of them: cases of good and bad objects (`crds/accept`, `crds/reject`), the tables of bounds and rules in
 * /crds/README.md, and the files that are generated from them. test/control-plane/crds.test.ts gives the same cases to a real API server.
 */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { isDeepStrictEqual } from 'node:util'
import { load } from 'js-yaml'
import { check } from '../cli/check.ts'
import type { SchemaNode } from '../operator/resources/schema-node.ts'
import { KINDS, type Kind, SCHEMAS } from '../operator/resources/schemas.generated.ts'
import { isFields } from '../operator/validate/problem.ts'
import { validateResource } from '../operator/validate/validate.ts'
import { type Case, casesIn, documentOf } from './crds/cases.ts'
import { readTables } from './crds/readme-tables.ts'
import { boundsOf, nodesOf, rulesOf } from './crds/schema-facts.ts'

const ROOT = join(import.meta.dirname, '..')

const accepted = casesIn('accept')
const rejected = casesIn('reject')

function problemsOf(one: Case): string[] {
  const validated = validateResource(documentOf(one))
  return 'problems' in validated ? validated.problems.map(({ path, message }) => `${path}: ${message}`) : []
}

async function checked({ path }: Case): Promise<{ code: number; lines: string[] }> {
  const lines: string[] = []
  return { code: await check([path], (line) => lines.push(line)), lines }
}

for (const one of accepted) {
  test(`accepts ${one.name}`, async () => {
    assert.equal(one.expected, undefined)
    assert.deepEqual(problemsOf(one), [])
    assert.equal((await checked(one)).code, 0)
  })
}

for (const one of rejected) {
  test(`rejects ${one.name}`, async () => {
    const { expected = assert.fail('line 1 must be "# expect: …"') } = one
    assert.ok(
      problemsOf(one).some((problem) => problem.includes(expected)),
      `${problemsOf(one).join('\n')}\nlacks ${expected}`,
    )
    const { code, lines } = await checked(one)
    assert.equal(code, 1)
    assert.ok(
      lines.some((line) => line.startsWith(`${one.path}:`) && line.includes(expected)),
      lines.join('\n'),
    )
  })
}

test('every rejected object is wrong in one field', () => {
  const several = rejected.filter((one) => new Set(problemsOf(one).map(fieldOf)).size !== 1).map(({ name }) => name)
  assert.deepEqual(several, [])
})

/** The list, where one of its items is named. */
const fieldOf = (problem: string): string => problem.slice(0, problem.indexOf(': ')).replace(/\[\d+\]$/, '')

test('every case is a YAML file, and there are many', () => {
  assert.deepEqual(
    [...accepted, ...rejected].filter(({ path }) => !path.endsWith('.yaml')),
    [],
  )
  assert.ok(accepted.length + rejected.length >= 70)
})

for (const kind of KINDS) {
  const tables = readTables(readFileSync(join(ROOT, 'crds', 'README.md'), 'utf8'), kind)

  test(`${kind}: the table of bounds says what the CRD says`, () => {
    assert.deepEqual(sorted(tables.bounds), sorted(boundsOf(SCHEMAS[kind])))
  })

  test(`${kind}: the table of rules says what the CRD says`, () => {
    assert.deepEqual(sorted(tables.rules), sorted(rulesOf(SCHEMAS[kind])))
  })

  test(`${kind}: every rule rejects something`, () => {
    const expectations = rejected.filter((one) => kindOf(one) === kind).map(({ expected }) => expected)
    const untested = tables.rules.filter(({ message }) => !expectations.includes(message))
    assert.deepEqual(untested, [])
  })

  // An expression may hold any text; its length is bounded.
  test(`${kind}: every string, list, map and number of spec is bounded`, () => {
    assert.deepEqual(
      nodesOf(specOf(kind), 'spec').filter(({ field, node }) => !isBounded(node) && field !== 'spec.rules[].matches[].cel'),
      [],
    )
  })

  test(`${kind}: an optional group without fields is refused, not ignored`, () => {
    const loose = nodesOf(specOf(kind), 'spec').filter(
      ({ node }) => node.properties !== undefined && node.required === undefined && node.minProperties !== 1,
    )
    assert.deepEqual(
      loose.map(({ field }) => field),
      [],
    )
  })
}

const kindOf = (one: Case): unknown => {
  const document = documentOf(one)
  return isFields(document) ? document['kind'] : undefined
}

const specOf = (kind: Kind): SchemaNode => SCHEMAS[kind].properties?.['spec'] ?? assert.fail(`${kind} has no spec`)

const sorted = <T extends { field: string }>(facts: readonly T[]): T[] =>
  facts.toSorted((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1))

function isBounded(node: SchemaNode): boolean {
  if (node.enum !== undefined) return true
  const isText = node.maxLength !== undefined && node.pattern !== undefined
  const isNumber = node.minimum !== undefined && node.maximum !== undefined
  if (node['x-kubernetes-int-or-string'] === true) return isText && isNumber
  if (node.type === 'string') return isText
  if (node.type === 'integer') return isNumber
  if (node.type === 'array') return node.maxItems !== undefined && node['x-kubernetes-list-type'] !== undefined
  return node.type === 'boolean' || node.properties !== undefined || node.maxProperties !== undefined
}

test('the defaults are those that can never change', () => {
  const defaults = KINDS.flatMap((kind) =>
    nodesOf(specOf(kind), `${kind}.spec`).flatMap(({ field, node }) =>
      node.default === undefined ? [] : [`${field} = ${JSON.stringify(node.default)}`],
    ),
  )
  assert.deepEqual(defaults, [
    'LlamaModel.spec.visibility = "Public"',
    'LlamaModel.spec.weight = 1',
    'LlamaModel.spec.priority = 0',
    'LlamaModel.spec.access = {"from":"Same"}',
    'LlamaModel.spec.access.from = "Same"',
    'LlamaModel.spec.passthrough.enabled = false',
    'LlamaModel.spec.passthrough.forwardAuth = false',
    'LlamaModel.spec.backends[].weight = 1',
    'LlamaModel.spec.backends[].priority = 0',
    'LlamaModel.spec.backends[].service.scheme = "HTTP"',
    'LlamaModel.spec.backends[].service.basePath = "/v1"',
    'LlamaModel.spec.backends[].service.resolution = "Endpoints"',
    'LlamaModel.spec.backends[].pods.scheme = "HTTP"',
    'LlamaModel.spec.backends[].pods.basePath = "/v1"',
    'LlamaModel.spec.backends[].engine = "Auto"',
    'LlamaModel.spec.backends[].quota.shiftAtPercent = 80',
    'RoutingPolicy.spec.access = {"from":"Same"}',
    'RoutingPolicy.spec.access.from = "Same"',
    'RoutingPolicy.spec.rules[].matches[].headers[].type = "Exact"',
    'RoutingPolicy.spec.rules[].fallback.enabled = true',
    'RoutingPolicy.spec.unknownPrice = "Allow"',
    'RoutingPolicy.spec.fallback.enabled = true',
  ])
})

test('what a backend overrides has the shape it has in spec', () => {
  const spec = specOf('LlamaModel').properties ?? {}
  const backend = spec['backends']?.items?.properties ?? {}
  const overrides = ['upstreamModel', 'contextWindow', 'capabilities', 'maxOutput', 'pricing', 'health', 'signals', 'timeouts']
  assert.deepEqual(
    overrides.filter((field) => spec[field] === undefined || !isDeepStrictEqual(spec[field], backend[field])),
    [],
  )
})

for (const [file, kind, shortName] of [
  ['llamamodels', 'LlamaModel', 'lmod'],
  ['routingpolicies', 'RoutingPolicy', 'rpol'],
] as const) {
  const crd = load(readFileSync(join(ROOT, 'crds', `${file}.yaml`), 'utf8'))

  test(`${kind}: every field has a description`, () => {
    assert.deepEqual(undescribed(versionOf(crd)['schema'], ''), [])
  })

  test(`${kind}: names, status and columns are those that users know`, () => {
    assert.ok(isFields(crd) && isFields(crd['spec']))
    const { names, group, scope } = crd['spec']
    assert.deepEqual({ group, scope }, { group: 'llamaswap.dev', scope: 'Namespaced' })
    assert.ok(isFields(names))
    assert.deepEqual([names['kind'], names['shortNames'], names['categories']], [kind, [shortName], ['llama-swap']])
    const { name, subresources, additionalPrinterColumns: columns } = versionOf(crd)
    assert.deepEqual([name, subresources], ['v1alpha1', { status: {} }])
    assert.ok(Array.isArray(columns))
    assert.equal(columns.at(-1)?.name, 'Age')
  })
}

function versionOf(crd: unknown): Record<string, unknown> {
  assert.ok(isFields(crd) && isFields(crd['spec']) && Array.isArray(crd['spec']['versions']))
  const [version] = crd['spec']['versions']
  assert.ok(isFields(version))
  return version
}

/** metadata is Kubernetes' own: a CRD in which it has a description is refused. */
function undescribed(node: unknown, path: string): string[] {
  if (!isFields(node) || path === '.metadata') return []
  const schema = isFields(node['openAPIV3Schema']) ? node['openAPIV3Schema'] : node
  const own = typeof schema['description'] === 'string' && schema['description'].endsWith('.') ? [] : [path]
  const fields = isFields(schema['properties'])
    ? Object.entries(schema['properties']).flatMap(([name, child]) => undescribed(child, `${path}.${name}`))
    : []
  return [...own, ...fields, ...undescribed(schema['items'], `${path}[]`), ...undescribed(schema['additionalProperties'], `${path}{}`)]
}

test('what is generated from the CRDs is up to date', () => {
  execFileSync(process.execPath, [join(ROOT, 'scripts', 'generate.ts'), '--check'], { stdio: 'pipe' })
})
