import { suggestion } from './nearest.ts'
import { isFields, type Problem } from './problem.ts'

/** Rules of Kubernetes for any object's metadata, in its words. Those of our kinds on top (63 characters) stand in the CRDs. */

const FIELDS = [
  'name',
  'generateName',
  'namespace',
  'selfLink',
  'uid',
  'resourceVersion',
  'generation',
  'creationTimestamp',
  'deletionTimestamp',
  'deletionGracePeriodSeconds',
  'labels',
  'annotations',
  'ownerReferences',
  'finalizers',
  'managedFields',
]

const LABEL = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/
const SUBDOMAIN = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/
const LABEL_VALUE = /^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$/
const QUALIFIED = /^([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$/

const SUBDOMAIN_SAYS =
  "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character"
const LABEL_SAYS =
  "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character"
const LABEL_VALUE_SAYS =
  "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character"
const KEY_SAYS =
  "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character, after an optional DNS prefix and '/'"

const invalid = (path: string, value: string, message: string): Problem => ({
  path,
  message: `Invalid value: ${JSON.stringify(value)}: ${message}`,
})

export const isObjectName = (name: string): boolean => name.length <= 253 && SUBDOMAIN.test(name)

export function metadataProblems(metadata: unknown): Problem[] {
  if (metadata === undefined || metadata === null)
    return [{ path: 'metadata.name', message: 'Required value: name or generateName is required' }]
  if (!isFields(metadata)) return [{ path: 'metadata', message: 'must be of type object' }]
  const unknown = Object.keys(metadata).filter((name) => !FIELDS.includes(name))
  return [
    ...unknown.map((name) => ({ path: `metadata.${name}`, message: `unknown field "metadata.${name}"${suggestion(name, FIELDS)}` })),
    ...nameProblems(metadata['name']),
    ...namespaceProblems(metadata['namespace']),
    ...textMapProblems('metadata.labels', metadata['labels'], labelProblems),
    ...textMapProblems('metadata.annotations', metadata['annotations'], (path, key) => keyProblems(path, key.toLowerCase())),
  ]
}

/** A name made by the cluster (`generateName`) cannot be referred to from files, so `name` is needed. */
function nameProblems(name: unknown): Problem[] {
  const path = 'metadata.name'
  if (name === undefined || name === null || name === '') return [{ path, message: 'Required value: name or generateName is required' }]
  if (typeof name !== 'string') return [{ path, message: `must be of type string: "${typeof name}"` }]
  if (name.length > 253) return [invalid(path, name, 'must be no more than 253 characters')]
  return SUBDOMAIN.test(name) ? [] : [invalid(path, name, SUBDOMAIN_SAYS)]
}

function namespaceProblems(namespace: unknown): Problem[] {
  const path = 'metadata.namespace'
  if (namespace === undefined || namespace === null || namespace === '') return []
  if (typeof namespace !== 'string') return [{ path, message: `must be of type string: "${typeof namespace}"` }]
  if (namespace.length > 63) return [invalid(path, namespace, 'must be no more than 63 characters')]
  return LABEL.test(namespace) ? [] : [invalid(path, namespace, LABEL_SAYS)]
}

function textMapProblems(path: string, map: unknown, check: (path: string, key: string, value: string) => Problem[]): Problem[] {
  if (map === undefined || map === null) return []
  if (!isFields(map)) return [{ path, message: 'must be of type object' }]
  return Object.entries(map).flatMap(([key, value]) => {
    const at = `${path}.${key}`
    return typeof value === 'string'
      ? check(at, key, value)
      : [{ path: at, message: `must be of type string: "${value === null ? 'null' : typeof value}"` }]
  })
}

function labelProblems(path: string, key: string, value: string): Problem[] {
  const long = value.length > 63 ? [invalid(path, value, 'must be no more than 63 characters')] : []
  return [...keyProblems(path, key), ...long, ...(LABEL_VALUE.test(value) ? [] : [invalid(path, value, LABEL_VALUE_SAYS)])]
}

function keyProblems(path: string, key: string): Problem[] {
  const slash = key.indexOf('/')
  const name = key.slice(slash + 1)
  const prefixIsGood = slash === -1 || isObjectName(key.slice(0, slash))
  return prefixIsGood && name.length <= 63 && QUALIFIED.test(name) ? [] : [invalid(path, key, KEY_SAYS)]
}
