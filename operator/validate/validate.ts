/**
 * Judges one LlamaModel or RoutingPolicy as the API server does, without one: the same verdict, the same words, the same defaults.
 * In: a parsed document. Out: the object with its defaults, or all that is wrong with it. PURE; knows no files and no other objects.
 * The schemas and rules are those of crds/; their cases are the files of test/crds/. Transition rules (`oldSelf`) are not run.
 */
import type { CustomResource } from '../resources/crds.generated.ts'
import type { SchemaNode } from '../resources/schema-node.ts'
import { API_VERSION, KINDS, type Kind, SCHEMAS } from '../resources/schemas.generated.ts'
import { withDefaults } from './defaults.ts'
import { duplicatesIn } from './list-keys.ts'
import { metadataProblems } from './metadata.ts'
import { suggestion } from './nearest.ts'
import { type Fields, isFields, type Problem } from './problem.ts'
import { brokenRules } from './rules.ts'
import { checkLlamaModelSpec, checkRoutingPolicySpec } from './schema-checks.generated.ts'
import { isBlocking, problemOf, type SchemaError } from './schema-errors.ts'

export type Validated = { readonly resource: CustomResource } | { readonly problems: readonly Problem[] }

/** Code that ajv made of the schema of `spec`; leaves what it finds on itself. */
interface SpecCheck {
  (spec: unknown): boolean
  errors?: readonly SchemaError[] | null
}

const CHECKS: Readonly<Record<Kind, SpecCheck>> = { LlamaModel: checkLlamaModelSpec, RoutingPolicy: checkRoutingPolicySpec }

/** `status` is dropped, as it is when an object is created: it is the operator's, not the user's. */
export function validateResource(document: unknown): Validated {
  if (!isFields(document)) return { problems: [{ path: '', message: 'must be an object' }] }
  const kind = KINDS.find((known) => known === document['kind'])
  if (kind === undefined) return { problems: [{ path: 'kind', message: `must be one of ${KINDS.join(', ')}` }] }
  if (document['apiVersion'] !== API_VERSION) return { problems: [{ path: 'apiVersion', message: `must be ${API_VERSION}` }] }
  const object = withDefaults(withoutStatus(document), SCHEMAS[kind])
  const problems = isFields(object) ? problemsOf(object, kind) : []
  return problems.length > 0 ? { problems } : { resource: object as CustomResource }
}

const withoutStatus = (document: Fields): Fields => Object.fromEntries(Object.entries(document).filter(([name]) => name !== 'status'))

function problemsOf(object: Fields, kind: Kind): Problem[] {
  const schema = SCHEMAS[kind]
  const shape = shapeProblems(object, kind, schema)
  const found = [...metadataProblems(object['metadata']), ...shape.problems, ...duplicatesIn(object, schema, [])]
  return shape.blocking || metadataBlocks(object) ? found : [...found, ...brokenRules(object, schema, [])]
}

/** Rules read metadata.name. */
const metadataBlocks = ({ metadata }: Fields): boolean => !isFields(metadata) || typeof metadata['name'] !== 'string'

function shapeProblems(object: Fields, kind: Kind, schema: SchemaNode): { problems: Problem[]; blocking: boolean } {
  const known = Object.keys(schema.properties ?? {})
  const unknown = Object.keys(object).filter((name) => !known.includes(name))
  const top = unknown.map((name) => ({ path: name, message: `unknown field "${name}"${suggestion(name, known)}` }))
  const specSchema = schema.properties?.['spec'] ?? {}
  const spec = object['spec']
  if (spec === undefined) return { problems: [...top, { path: 'spec', message: 'Required value' }], blocking: true }
  const errors = errorsOf(CHECKS[kind], spec)
  return {
    problems: [...top, ...errors.map((error) => problemOf(error, spec, specSchema))],
    blocking: top.length > 0 || errors.some(isBlocking),
  }
}

const errorsOf = (check: SpecCheck, spec: unknown): readonly SchemaError[] => (check(spec) ? [] : (check.errors ?? []))
