import type { ObjectMeta } from '../resources/crds.generated.ts'
import { metadataProblems } from '../validate/metadata.ts'
import { suggestion } from '../validate/nearest.ts'
import { type Fields, isFields, type Problem } from '../validate/problem.ts'

type Texts = Readonly<Record<string, string>>

/** As it stands in the file: `data` is still base64, and a value of "${NAME}" is not resolved yet. */
export interface SecretManifest {
  readonly kind: 'Secret'
  readonly metadata: ObjectMeta
  readonly data?: Texts
  readonly stringData?: Texts
}

export interface NamespaceManifest {
  readonly kind: 'Namespace'
  readonly metadata: ObjectMeta
}

export type Read<T> = { readonly object: T } | { readonly problems: readonly Problem[] }

const SECRET_FIELDS = ['apiVersion', 'kind', 'metadata', 'type', 'data', 'stringData', 'immutable']
const NAMESPACE_FIELDS = ['apiVersion', 'kind', 'metadata', 'spec', 'status']
const ENTRY_NAME = /^[A-Za-z0-9._-]{1,253}$/
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/
const VARIABLE = /^\$\{[A-Za-z_][A-Za-z0-9_]*\}$/

/** Checks what is used of a Secret. Messages never hold a value. */
export function readSecret(document: Fields): Read<SecretManifest> {
  const data = textsOf(document['data'])
  const stringData = textsOf(document['stringData'])
  const problems = [
    ...manifestProblems(document, SECRET_FIELDS),
    ...entryProblems(document['data'], 'data', encodedProblem),
    ...entryProblems(document['stringData'], 'stringData', () => undefined),
  ]
  return problems.length > 0 ? { problems } : { object: { kind: 'Secret', metadata: metadataOf(document), data, stringData } }
}

export function readNamespace(document: Fields): Read<NamespaceManifest> {
  const problems = manifestProblems(document, NAMESPACE_FIELDS)
  return problems.length > 0 ? { problems } : { object: { kind: 'Namespace', metadata: metadataOf(document) } }
}

function manifestProblems(document: Fields, known: readonly string[]): Problem[] {
  const unknown = Object.keys(document).filter((name) => !known.includes(name))
  const fields = unknown.map((name) => ({ path: name, message: `unknown field "${name}"${suggestion(name, known)}` }))
  const version = document['apiVersion'] === 'v1' ? [] : [{ path: 'apiVersion', message: 'must be v1' }]
  return [...version, ...fields, ...metadataProblems(document['metadata'])]
}

function metadataOf(document: Fields): ObjectMeta {
  const metadata = isFields(document['metadata']) ? document['metadata'] : {}
  const { name, namespace, creationTimestamp } = metadata
  return {
    name: String(name),
    labels: textsOf(metadata['labels']),
    annotations: textsOf(metadata['annotations']),
    ...(typeof namespace === 'string' ? { namespace } : {}),
    ...(typeof creationTimestamp === 'string' ? { creationTimestamp } : {}),
  }
}

const textsOf = (map: unknown): Record<string, string> =>
  Object.fromEntries(isFields(map) ? Object.entries(map).filter((entry): entry is [string, string] => typeof entry[1] === 'string') : [])

function entryProblems(map: unknown, field: string, judge: (value: string) => string | undefined): Problem[] {
  if (map === undefined || map === null) return []
  if (!isFields(map)) return [{ path: field, message: 'must be of type object' }]
  return Object.entries(map).flatMap(([name, value]) => {
    const message = entryProblem(name, value, judge)
    return message === undefined ? [] : [{ path: `${field}.${name}`, message }]
  })
}

function entryProblem(name: string, value: unknown, judge: (value: string) => string | undefined): string | undefined {
  if (!ENTRY_NAME.test(name)) return "a valid config key must consist of alphanumeric characters, '-', '_' or '.'"
  if (typeof value !== 'string') return `must be of type string: "${value === null ? 'null' : typeof value}"; put it in quotes`
  return judge(value)
}

function encodedProblem(value: string): string | undefined {
  return VARIABLE.test(value) || BASE64.test(value.replaceAll(/\s/g, '')) ? undefined : 'must be base64; plain text belongs in stringData'
}
