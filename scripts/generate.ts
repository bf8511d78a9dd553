/**
 * Generates from crds/*.yaml what the program uses of them, so that nothing reads those files at run time:
 *   operator/resources/crds.generated.ts          types of objects after defaulting
 *   operator/resources/schemas.generated.ts       the schemas as data: defaults, list keys, rules, field names
 *   operator/validate/schema-checks.generated.ts  the schemas as code
 *   docs/resources.md                             every field, for people
 *
 * `node scripts/generate.ts` writes them; `--check` writes nothing and exits 1 when one is out of date.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Ajv } from 'ajv'
import standaloneCode from 'ajv/dist/standalone/index.js'
import { load } from 'js-yaml'
import { compile, type JSONSchema } from 'json-schema-to-typescript'
import { resourceReference } from './resource-reference.ts'

type Json = { [key: string]: unknown }

const ROOT = join(import.meta.dirname, '..')
const HEADER = '// Generated from crds/*.yaml by scripts/generate.ts. Do not edit.\n'

const isObject = (value: unknown): value is Json => typeof value === 'object' && value !== null && !Array.isArray(value)

/** Applies `change` to every schema below and including `schema`, children first. Keeps everything that is not a schema as it is. */
function mapSchemas(schema: Json, path: string, change: (schema: Json, path: string) => Json): Json {
  const out: Json = { ...schema }
  if (isObject(schema['properties'])) {
    out['properties'] = Object.fromEntries(
      Object.entries(schema['properties']).map(([name, child]) => [
        name,
        isObject(child) ? mapSchemas(child, `${path}.${name}`, change) : child,
      ]),
    )
  }
  if (isObject(schema['items'])) out['items'] = mapSchemas(schema['items'], `${path}[]`, change)
  if (isObject(schema['additionalProperties']))
    out['additionalProperties'] = mapSchemas(schema['additionalProperties'], `${path}{}`, change)
  return change(out, path)
}

interface Crd {
  kind: string
  apiVersion: string
  schema: Json
}

function readCrds(): Crd[] {
  const folder = join(ROOT, 'crds')
  const files = readdirSync(folder)
    .filter((file) => file.endsWith('.yaml'))
    .sort()
  return files.map((file) => {
    const { spec } = load(readFileSync(join(folder, file), 'utf8')) as {
      spec: { group: string; names: { kind: string }; versions: { name: string; schema: { openAPIV3Schema: Json } }[] }
    }
    const version = spec.versions.at(-1)
    if (version === undefined) throw new Error(`${file} has no version`)
    return { kind: spec.names.kind, apiVersion: `${spec.group}/${version.name}`, schema: version.schema.openAPIV3Schema }
  })
}

/** Which parts get a name in the types, and code of their own in the checks. The path ends with the key; `Kind` is the kind's name. */
const NAMES: readonly (readonly [ending: RegExp, name: string])[] = [
  [/^(\w+)\.spec$/, '$1Spec'],
  [/^(\w+)\.status$/, '$1Status'],
  [/\.spec\.aliases\[\]$/, 'ModelAlias'],
  [/\.spec\.backends\[\]$/, 'Backend'],
  [/\.status\.backends\[\]$/, 'BackendStatus'],
  [/\.backends\[\]\.auth$/, 'BackendAuth'],
  [/\.backends\[\]\.service$/, 'BackendService'],
  [/\.backends\[\]\.pods$/, 'BackendPods'],
  [/\.(service|pods)\.port$/, 'BackendPort'],
  [/\.secretRefs\[\]$/, 'SecretKeyRef'],
  [/\.backends\[\]\.headers\[\]$/, 'BackendHeader'],
  [/\.spec\.access$/, 'Access'],
  [/\.health\.outlier$/, 'Outlier'],
  [/\.health$/, 'Health'],
  [/\.signals$/, 'Signals'],
  [/\.timeouts$/, 'Timeouts'],
  [/\.maxOutput$/, 'MaxOutput'],
  [/\.pricing$/, 'Pricing'],
  [/\.backends\[\]\.quota$/, 'Quota'],
  [/\.backends\[\]\.dialect$/, 'Dialect'],
  [/\.spec\.limits\.queue$/, 'QueueLimits'],
  [/\.spec\.limits$/, 'ModelLimits'],
  [/\.spec\.extraRoutes\[\]$/, 'ExtraRoute'],
  [/\.spec\.retry$/, 'Retry'],
  [/\.spec\.passthrough$/, 'Passthrough'],
  [/\.capabilities\[\]$/, 'Capability'],
  [/\.engine$/, 'Engine'],
  [/\.conditions\[\]$/, 'Condition'],
  [/\.programmed$/, 'Programmed'],
  [/\.spec\.rules\[\]$/, 'PolicyRule'],
  [/\.status\.rules\[\]$/, 'RuleStatus'],
  [/\.matches\[\]$/, 'RuleMatch'],
  [/\.matches\[\]\.headers\[\]$/, 'HeaderMatch'],
  [/\.fallback\.targets\[\]$/, 'FallbackTarget'],
  [/\.targets\[\]$/, 'Target'],
  [/\.fallback$/, 'Fallback'],
  [/\.fallback\.interrupt$/, 'Interrupt'],
  [/\.(matches\[\]\.clients|clients\[\]\.match)$/, 'ClientMatch'],
  [/\.spec\.clients\[\]$/, 'ClientTerms'],
  [/\.(clients|rules)\[\]\.limits$/, 'ClientLimits'],
  [/^RoutingPolicy(\.\w+|\[\])*\.strategy$/, 'Strategy'],
]

function nameOf(schema: Json, path: string): string | undefined {
  // Plain text in status may have the name of a group in spec.
  if (schema['type'] === 'string' && schema['enum'] === undefined) return undefined
  for (const [ending, name] of NAMES) {
    const match = ending.exec(path)
    if (match !== null) return name.replace('$1', match[1] ?? '')
  }
  return undefined
}

/** The named parts move into `definitions`; parts of one name must be equal but for their description. */
function hoist(schema: Json, kind: string, definitions: Map<string, Json>): Json {
  return mapSchemas(schema, kind, (node, path) => {
    const name = nameOf(node, path)
    if (name === undefined) return node
    const { description, default: _default, ...rest } = node
    const known = definitions.get(name)
    if (known === undefined) definitions.set(name, { description, ...rest })
    else if (JSON.stringify({ ...known, description: 0 }) !== JSON.stringify({ description: 0, ...rest }))
      throw new Error(`${path} differs from the other ${name}`)
    return { $ref: `#/definitions/${name}` }
  })
}

const METADATA: Json = {
  description: 'Name, namespace, labels and annotations, and what the cluster adds.',
  type: 'object',
  required: ['name'],
  additionalProperties: false,
  properties: {
    name: { type: 'string' },
    namespace: { type: 'string' },
    labels: { type: 'object', additionalProperties: { type: 'string' } },
    annotations: { type: 'object', additionalProperties: { type: 'string' } },
    uid: { type: 'string' },
    generation: { type: 'integer' },
    resourceVersion: { type: 'string' },
    creationTimestamp: { type: 'string' },
  },
}

/** What a CRD may not say of types: objects are closed, quantities are numbers or text. */
function typed(schema: Json): Json {
  if (schema['x-kubernetes-int-or-string'] === true) return { ...schema, type: ['integer', 'string'] }
  return schema['properties'] === undefined ? schema : { ...schema, additionalProperties: false }
}

/** What has a default is there after defaulting. */
function requireDefaulted(schema: Json): Json {
  const properties = isObject(schema['properties']) ? schema['properties'] : {}
  const defaulted = Object.entries(properties).flatMap(([name, child]) => (isObject(child) && 'default' in child ? [name] : []))
  const required = [...new Set([...((schema['required'] as string[] | undefined) ?? []), ...defaulted])]
  return required.length === 0 ? schema : { ...schema, required }
}

const wholeObject = (crd: Crd): Json => ({
  ...crd.schema,
  required: ['apiVersion', 'kind', 'metadata', 'spec'],
  properties: {
    ...(crd.schema['properties'] as Json),
    apiVersion: { type: 'string', enum: [crd.apiVersion] },
    kind: { type: 'string', enum: [crd.kind] },
    metadata: { $ref: '#/definitions/ObjectMeta' },
  },
})

async function typesOf(crds: readonly Crd[]): Promise<string> {
  const definitions = new Map<string, Json>([['ObjectMeta', METADATA]])
  for (const crd of crds) {
    const closed = mapSchemas(wholeObject(crd), crd.kind, (node) => requireDefaulted(typed(node)))
    definitions.set(crd.kind, hoist(closed, crd.kind, definitions))
  }
  const root = {
    title: 'CustomResource',
    oneOf: crds.map(({ kind }) => ({ $ref: `#/definitions/${kind}` })),
    definitions: Object.fromEntries(definitions),
  } as JSONSchema
  const style = { semi: false, singleQuote: true, printWidth: 140 }
  const text = await compile(root, 'CustomResource', {
    bannerComment: '',
    ignoreMinAndMaxItems: true,
    additionalProperties: false,
    unreachableDefinitions: true,
    style,
  })
  return `${HEADER}// Objects as they are after defaulting: a field with a default is always there.\n\n${text}`
}

function schemasOf(crds: readonly Crd[]): string {
  const entries = crds.map((crd) => {
    const schema = mapSchemas(crd.schema, crd.kind, ({ description: _description, ...rest }) => rest)
    return `  ${crd.kind}: ${JSON.stringify(schema)},\n`
  })
  const apiVersion = crds[0]?.apiVersion
  return [
    `${HEADER}import type { SchemaNode } from './schema-node.ts'\n`,
    `export const API_VERSION = ${JSON.stringify(apiVersion)}\n`,
    `export const KINDS = ${JSON.stringify(crds.map(({ kind }) => kind))} as const\n`,
    'export type Kind = (typeof KINDS)[number]\n',
    `/** The schemas as the CRDs have them, without descriptions. */\nexport const SCHEMAS: Readonly<Record<Kind, SchemaNode>> = {\n${entries.join('')}}\n`,
  ].join('\n')
}

const VALIDATION_KEYS = new Set(
  'type enum minimum maximum minLength maxLength pattern minItems maxItems minProperties maxProperties required properties items additionalProperties $ref'.split(
    ' ',
  ),
)

/** What ajv shall check. Of an object only `spec`: metadata has its own rules, status is not a user's. */
function checkable(node: Json): Json {
  const kept = Object.fromEntries(Object.entries(node).filter(([key]) => VALIDATION_KEYS.has(key)))
  if (node['x-kubernetes-int-or-string'] === true) kept['type'] = ['integer', 'string']
  return kept['properties'] === undefined ? kept : { ...kept, additionalProperties: false }
}

function checksOf(crds: readonly Crd[]): string {
  const ajv = new Ajv({
    allErrors: true,
    strictTypes: false,
    unicodeRegExp: false,
    inlineRefs: false,
    code: { source: true, esm: true },
  })
  const exported: Record<string, string> = {}
  for (const crd of crds) {
    const definitions = new Map<string, Json>()
    const spec = (crd.schema['properties'] as { spec: Json }).spec
    const hoisted = mapSchemas(hoist(spec, `${crd.kind}.spec`, definitions), crd.kind, checkable)
    const parts = [...definitions].map(([name, part]) => [name, mapSchemas(part, name, checkable)] as const)
    ajv.addSchema({ $id: crd.kind, ...hoisted, definitions: Object.fromEntries(parts) })
    exported[`check${crd.kind}Spec`] = crd.kind
  }
  const code = standaloneCode.default(ajv, exported)
  // The one dependency of the code is a `require`, which an ES module does not have: it counts code points, as the API server does.
  const lengthOf = 'const $1 = (text) => { let n = 0; for (const _ of text) n++; return n };'
  return `// @ts-nocheck\n${HEADER}${code.replace(/const (\w+) = require\("ajv\/dist\/runtime\/ucs2length"\)\.default;/g, lengthOf)}\n`
}

async function main(): Promise<void> {
  const crds = readCrds()
  const outputs: Record<string, string> = {
    'operator/resources/crds.generated.ts': await typesOf(crds),
    'operator/resources/schemas.generated.ts': schemasOf(crds),
    'operator/validate/schema-checks.generated.ts': checksOf(crds),
    'docs/resources.md': resourceReference(crds),
  }
  const stale = Object.entries(outputs).filter(([path, text]) => read(join(ROOT, path)) !== text)
  if (process.argv.includes('--check')) {
    for (const [path] of stale) console.error(`${path} is out of date: run node scripts/generate.ts`)
    process.exitCode = stale.length === 0 ? 0 : 1
    return
  }
  for (const [path, text] of stale) writeFileSync(join(ROOT, path), text)
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
}

await main()
