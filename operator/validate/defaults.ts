import type { SchemaNode } from '../resources/schema-node.ts'
import { type Fields, isFields } from './problem.ts'

/**
 * What the API server makes of a document before it validates: properties that are null are dropped, then defaults are filled in
 * where their parent exists. The input stays as it is. Unknown fields and nulls in lists stay, to be reported.
 */
export function withDefaults(value: unknown, schema: SchemaNode | undefined): unknown {
  if (schema === undefined) return value
  if (Array.isArray(value)) return value.map((item) => withDefaults(item, schema.items))
  return isFields(value) ? fieldsWithDefaults(value, schema) : value
}

function fieldsWithDefaults(fields: Fields, schema: SchemaNode): Fields {
  const out: Fields = {}
  for (const [name, value] of Object.entries(fields)) {
    const child = childSchema(schema, name)
    if (value !== null || child === undefined) define(out, name, withDefaults(value, child))
  }
  for (const [name, child] of Object.entries(schema.properties ?? {})) {
    if (child.default !== undefined && !Object.hasOwn(out, name)) out[name] = withDefaults(structuredClone(child.default), child)
  }
  return out
}

export const childSchema = (schema: SchemaNode, name: string): SchemaNode | undefined =>
  schema.properties !== undefined && Object.hasOwn(schema.properties, name) ? schema.properties[name] : schema.additionalProperties

/** Assignment would take the name "__proto__" for the prototype. */
function define(fields: Fields, name: string, value: unknown): void {
  Object.defineProperty(fields, name, { value, enumerable: true, configurable: true, writable: true })
}
