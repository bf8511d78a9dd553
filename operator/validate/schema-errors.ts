import type { SchemaNode } from '../resources/schema-node.ts'
import { childSchema } from './defaults.ts'
import { suggestion } from './nearest.ts'
import { isFields, type PathPart, type Problem, pathOf } from './problem.ts'

/** The part of ajv's errors that is used here. */
export interface SchemaError {
  readonly instancePath: string
  readonly keyword: string
  readonly params: Readonly<Record<string, unknown>>
}

/**
 * After one of these the API server runs no rule, because rules may not trust the shape then.
 * Patterns, ranges and lower bounds of sizes are not among them.
 */
const BLOCKING = new Set(['type', 'enum', 'required', 'maxLength', 'maxItems', 'maxProperties', 'additionalProperties'])

export const isBlocking = (error: SchemaError): boolean => BLOCKING.has(error.keyword)

/** `spec` is the value that was checked, with its schema: errors name only where they are. */
export function problemOf(error: SchemaError, spec: unknown, schema: SchemaNode): Problem {
  const found = locate(error.instancePath, spec, schema)
  const { parts } = found
  if (error.keyword === 'required') return { path: pathOf([...parts, String(error.params['missingProperty'])]), message: 'Required value' }
  if (error.keyword === 'additionalProperties') return unknownField(found, String(error.params['additionalProperty']))
  return { path: pathOf(parts), message: messageOf(error, found) }
}

interface Found {
  readonly parts: readonly PathPart[]
  readonly value: unknown
  readonly schema: SchemaNode | undefined
}

/** Follows a JSON pointer from `spec`. */
function locate(pointer: string, spec: unknown, schema: SchemaNode): Found {
  const steps = pointer
    .split('/')
    .slice(1)
    .map((step) => step.replaceAll('~1', '/').replaceAll('~0', '~'))
  return steps.reduce<Found>(stepInto, { parts: ['spec'], value: spec, schema })
}

function stepInto({ parts, value, schema }: Found, step: string): Found {
  if (Array.isArray(value)) return { parts: [...parts, Number(step)], value: value[Number(step)], schema: schema?.items }
  const child = schema === undefined ? undefined : childSchema(schema, step)
  return { parts: [...parts, step], value: isFields(value) ? value[step] : undefined, schema: child }
}

function unknownField({ parts, schema }: Found, name: string): Problem {
  const path = pathOf([...parts, name])
  return { path, message: `unknown field "${path}"${suggestion(name, Object.keys(schema?.properties ?? {}))}` }
}

function messageOf({ keyword, params }: SchemaError, { value, schema }: Found): string {
  const limit = String(params['limit'])
  const shown = typeof value === 'string' || typeof value === 'number' ? `Invalid value: ${JSON.stringify(value)}: ` : ''
  switch (keyword) {
    case 'type':
      return `must be of type ${schema?.type ?? String(params['type'])}: "${typeName(value)}"`
    case 'enum':
      return `Unsupported value: ${JSON.stringify(value)}: supported values: ${(schema?.enum ?? []).map((allowed) => JSON.stringify(allowed)).join(', ')}`
    case 'minimum':
      return `${shown}should be greater than or equal to ${limit}`
    case 'maximum':
      return `${shown}should be less than or equal to ${limit}`
    case 'pattern':
      return `${shown}should match '${String(params['pattern'])}'`
    case 'minLength':
      return `${shown}should be at least ${limit} chars long`
    case 'maxLength':
      return `Too long: may not be more than ${limit} bytes`
    case 'minItems':
      return `should have at least ${limit} items`
    case 'minProperties':
      return `should have at least ${limit} properties`
    case 'maxItems':
    case 'maxProperties':
      return `Too many: ${sizeOf(value)}: must have at most ${limit} items`
    default:
      throw new Error(`no message for the keyword ${keyword}`)
  }
}

const sizeOf = (value: unknown): number => (Array.isArray(value) ? value.length : isFields(value) ? Object.keys(value).length : 0)

function typeName(value: unknown): string {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'array'
  return typeof value === 'number' && Number.isInteger(value) ? 'integer' : typeof value
}
