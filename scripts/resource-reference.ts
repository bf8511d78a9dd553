/** docs/resources.md: every field of both resources, from the CRDs' own descriptions. Data in, text out; `generate.ts` writes it. */

type Json = { [key: string]: unknown }

const isObject = (value: unknown): value is Json => typeof value === 'object' && value !== null && !Array.isArray(value)

const textOf = (value: unknown): string => (typeof value === 'string' ? value : '')

const INTRODUCTION = `# Resources

Generated from \`crds/*.yaml\` by \`scripts/generate.ts\`; do not edit. Bounds and rules stand in [../crds/README.md](../crds/README.md), things to copy in [../examples/](../examples/).

In standalone the same files hold \`Secret\` manifests (v1, with \`stringData\` or \`data\`): client keys, labelled \`llamaswap.dev/api-key: "true"\`, each entry one key of client \`namespace/secretName\`, of at least
24 characters, valid until the annotation \`llamaswap.dev/expires\` (RFC 3339) if there is one; and backend credentials, named by \`auth.secretRefs\`. A value that is exactly \`\${NAME}\` is read from the environment.
\`Namespace\` manifests give labels for \`access: {from: Selector}\`. Everything is in the namespace \`default\` unless it says otherwise.

The flat file (\`models:\` and \`routing:\`, see the README) is turned into these resources; \`llama-swap check FILE\` names the field to use for what it cannot say.
`

/** One table a kind: path, type, default, description. */
export function resourceReference(crds: readonly { kind: string; apiVersion: string; schema: Json }[]): string {
  const parts = crds.map(({ kind, apiVersion, schema }) => {
    const spec = isObject(schema['properties']) ? schema['properties']['spec'] : undefined
    const rows = isObject(spec) ? rowsOf(spec, 'spec') : []
    return `## ${kind} (${apiVersion})\n\n${textOf(schema['description'])}\n\n| field | type | default | |\n|---|---|---|---|\n${rows.join('\n')}\n`
  })
  return [INTRODUCTION, ...parts].join('\n')
}

function rowsOf(schema: Json, path: string): string[] {
  const children = childrenOf(schema, path)
  const required = Array.isArray(schema['required']) ? schema['required'] : []
  return children.flatMap(({ name, at, child }) => [row(child, at, required.includes(name)), ...rowsOf(child, at)])
}

function childrenOf(schema: Json, path: string): { name: string; at: string; child: Json }[] {
  const own = isObject(schema['properties']) ? Object.entries(schema['properties']) : []
  const named = own.flatMap(([name, child]) => (isObject(child) ? [{ name, at: `${path}.${name}`, child }] : []))
  const { items } = schema
  return isObject(items) && isObject(items['properties']) ? [...named, ...childrenOf(items, `${path}[]`)] : named
}

function row(schema: Json, path: string, required: boolean): string {
  const fallback = schema['default'] === undefined ? (required ? '**required**' : '') : `\`${JSON.stringify(schema['default'])}\``
  return `| \`${path}\` | ${typeOf(schema)} | ${fallback} | ${textOf(schema['description']).replaceAll('|', '\\|').replaceAll('\n', ' ')} |`
}

function typeOf(schema: Json): string {
  const { type, items } = schema
  if (Array.isArray(schema['enum'])) return schema['enum'].map((value) => `\`${String(value)}\``).join(' ')
  if (type === 'array' && isObject(items)) return `list of ${typeOf(items)}`
  if (type === 'object' && isObject(schema['additionalProperties'])) return 'map'
  return textOf(type) || 'integer or string'
}
