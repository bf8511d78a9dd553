import type { SchemaNode } from '../../operator/resources/schema-node.ts'

/** `field` is "spec.backends[].url"; the root is "object". */
export interface Bound {
  readonly field: string
  /** "1..1024 characters, ^[!-~]+$" */
  readonly bound: string
}

export interface Rule {
  readonly field: string
  readonly rule: string
  readonly message: string
}

/** What a schema bounds, in words. Enums are left out: they bound themselves. */
export function boundsOf(schema: SchemaNode): Bound[] {
  return nodesOf(schema).flatMap(({ field, node }) => {
    const bound = describe(node)
    return bound === undefined ? [] : [{ field, bound }]
  })
}

export function rulesOf(schema: SchemaNode): Rule[] {
  return nodesOf(schema).flatMap(({ field, node }) =>
    (node['x-kubernetes-validations'] ?? []).map(({ rule, message }) => ({ field: field === '' ? 'object' : field, rule, message })),
  )
}

/** Every schema within, with its field. apiVersion, kind and metadata belong to Kubernetes. */
export function nodesOf(schema: SchemaNode, field = ''): { field: string; node: SchemaNode }[] {
  const children = Object.entries(schema.properties ?? {}).filter(([name]) => field !== '' || name === 'spec' || name === 'status')
  return [
    { field, node: schema },
    ...children.flatMap(([name, child]) => nodesOf(child, field === '' ? name : `${field}.${name}`)),
    ...(schema.items === undefined ? [] : nodesOf(schema.items, `${field}[]`)),
    ...(schema.additionalProperties === undefined ? [] : nodesOf(schema.additionalProperties, `${field}{}`)),
  ]
}

function describe(node: SchemaNode): string | undefined {
  if (node.enum !== undefined) return undefined
  if (node.type === 'integer') return range(node.minimum, node.maximum)
  if (node.type === 'array') return `${range(node.minItems ?? 0, node.maxItems)} items, ${listType(node)}`
  if (node.type === 'string') return text(node)
  if (node['x-kubernetes-int-or-string'] === true) return `${range(node.minimum, node.maximum)} or ${text(node)}`
  const isBounded = node.minProperties !== undefined || node.maxProperties !== undefined
  return isBounded ? `${range(node.minProperties ?? 0, node.maxProperties)} fields` : undefined
}

const text = ({ minLength = 0, maxLength, pattern }: SchemaNode): string =>
  [`${range(minLength, maxLength)} characters`, ...(pattern === undefined ? [] : [pattern])].join(', ')

const range = (from: number | undefined, to: number | undefined): string => `${from ?? ''}..${to ?? ''}`

function listType(node: SchemaNode): string {
  const type = node['x-kubernetes-list-type'] ?? 'untyped'
  return type === 'map' ? `map by ${(node['x-kubernetes-list-map-keys'] ?? []).join(' and ')}` : type
}
