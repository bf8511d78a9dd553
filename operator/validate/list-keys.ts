import type { SchemaNode } from '../resources/schema-node.ts'
import { childSchema } from './defaults.ts'
import { isFields, type PathPart, type Problem, pathOf } from './problem.ts'

/** Items of a set, and keys of a list-map, may stand there once. Lists inside atomic lists are checked too, as the API server does. */
export function duplicatesIn(value: unknown, schema: SchemaNode, at: readonly PathPart[]): Problem[] {
  if (Array.isArray(value)) {
    const items = schema.items
    const below = items === undefined ? [] : value.flatMap((item: unknown, index) => duplicatesIn(item, items, [...at, index]))
    return [...repeated(value, schema, at), ...below]
  }
  if (!isFields(value)) return []
  return Object.entries(value).flatMap(([name, child]) => {
    const childOf = childSchema(schema, name)
    return childOf === undefined ? [] : duplicatesIn(child, childOf, [...at, name])
  })
}

function repeated(list: readonly unknown[], schema: SchemaNode, at: readonly PathPart[]): Problem[] {
  const keyOf = identity(schema)
  if (keyOf === undefined) return []
  const seen = new Set<string>()
  return list.flatMap((item, index) => {
    const key = keyOf(item)
    if (!seen.has(key)) return seen.add(key) && []
    return [{ path: pathOf([...at, index]), message: `Duplicate value: ${key}` }]
  })
}

/** How items of the list are told apart, as JSON; undefined = they are not. */
function identity(schema: SchemaNode): ((item: unknown) => string) | undefined {
  const type = schema['x-kubernetes-list-type']
  const keys = schema['x-kubernetes-list-map-keys'] ?? []
  if (type === 'set') return (item) => JSON.stringify(item)
  if (type !== 'map') return undefined
  return (item) => JSON.stringify(Object.fromEntries(keys.flatMap((key) => (isFields(item) && key in item ? [[key, item[key]]] : []))))
}
