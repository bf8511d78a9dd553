import { Environment } from '@marcbachmann/cel-js'
import type { SchemaNode, SchemaRule } from '../resources/schema-node.ts'
import { childSchema } from './defaults.ts'
import { isFields, type PathPart, type Problem, pathOf } from './problem.ts'

type Program = (variables: { self: unknown }) => unknown

const environment = new Environment({ unlistedVariablesAreDyn: true })
const programs = new Map<string, Program>()

/** Parses a rule once, when it is first needed. */
function programOf(rule: string): Program {
  const known = programs.get(rule)
  if (known !== undefined) return known
  const parsed = environment.parse(rule)
  const program: Program = (variables) => parsed(variables)
  programs.set(rule, program)
  return program
}

/**
 * Runs every rule of the schema on a document that has its defaults and no blocking error (`schema-errors.ts`).
 * `at` is where `value` stands in the document.
 */
export function brokenRules(value: unknown, schema: SchemaNode, at: readonly PathPart[]): Problem[] {
  return broken(celValue(value, schema), schema, at)
}

function broken(value: unknown, schema: SchemaNode, at: readonly PathPart[]): Problem[] {
  const own = (schema['x-kubernetes-validations'] ?? [])
    .filter(({ rule }) => !holds(rule, value))
    .map((rule) => ({ path: placeOf(rule, at), message: rule.message }))
  return [...own, ...brokenBelow(value, schema, at)]
}

function brokenBelow(value: unknown, schema: SchemaNode, at: readonly PathPart[]): Problem[] {
  if (Array.isArray(value)) {
    const items = schema.items
    return items === undefined ? [] : value.flatMap((item: unknown, index) => broken(item, items, [...at, index]))
  }
  if (!isFields(value)) return []
  return Object.entries(value).flatMap(([name, child]) => {
    const childOf = childSchema(schema, name)
    return childOf === undefined ? [] : broken(child, childOf, [...at, name])
  })
}

/** A rule that cannot be evaluated, such as one about the length of "soon", refuses, as it does on the API server. */
function holds(rule: string, self: unknown): boolean {
  const program = programOf(rule)
  try {
    return program({ self }) === true
  } catch {
    return false
  }
}

function placeOf({ fieldPath }: SchemaRule, at: readonly PathPart[]): string {
  return fieldPath === undefined ? pathOf(at) : pathOf([...at, ...fieldPath.split('.').filter((part) => part !== '')])
}

/** CEL's integers are 64 bits wide and never mix with doubles: what the schema calls an integer becomes a BigInt. */
function celValue(value: unknown, schema: SchemaNode | undefined): unknown {
  if (schema === undefined) return value
  if (Array.isArray(value)) return value.map((item) => celValue(item, schema.items))
  if (isFields(value))
    return Object.fromEntries(Object.entries(value).map(([name, child]) => [name, celValue(child, childSchema(schema, name))]))
  const isWhole = schema.type === 'integer' || schema['x-kubernetes-int-or-string'] === true
  return isWhole && typeof value === 'number' && Number.isSafeInteger(value) ? BigInt(value) : value
}
