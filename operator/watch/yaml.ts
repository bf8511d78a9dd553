/**
 * Reads the text of one file. In: YAML, in one or more documents. Out: the objects in it, checked and with their defaults, and all that is
 * wrong, each with its line. A mistake costs its own object only. No I/O: the caller has read the file. Secrets keep their values as written.
 * What the schema and rules say stands in ../validate; cases are in /test/crds.
 */
import type { CustomResource, LlamaModel, RoutingPolicy } from '../resources/crds.generated.ts'
import { KINDS } from '../resources/schemas.generated.ts'
import { suggestion } from '../validate/nearest.ts'
import { type Fields, isFields, type Problem } from '../validate/problem.ts'
import { validateResource } from '../validate/validate.ts'
import { convertFlatFile, isFlatFile } from './flat-file.ts'
import { type NamespaceManifest, type Read, readNamespace, readSecret, type SecretManifest } from './manifests.ts'
import type { YamlDocument } from './yaml-composer.ts'
import { parseYaml } from './yaml-text.ts'

interface Loaded<Kind extends string, T> {
  readonly kind: Kind
  /** `default` unless the object says otherwise; empty for kinds that are in no namespace. */
  readonly namespace: string
  readonly name: string
  readonly object: T
  /** Where a field of the object stands in the file, or the nearest field around it. */
  lineOf(path: string): number
}

export type LoadedDocument =
  | Loaded<'LlamaModel', LlamaModel>
  | Loaded<'RoutingPolicy', RoutingPolicy>
  | Loaded<'Secret', SecretManifest>
  | Loaded<'Namespace', NamespaceManifest>

export interface LoadProblem {
  readonly file: string
  /** 1-based. */
  readonly line: number
  /** Field of the object, or of the flat file; empty when the document as a whole is meant. */
  readonly path: string
  readonly message: string
  /** "LlamaModel default/llama-70b"; absent when it cannot be told which object it is. */
  readonly object?: string
}

export interface LoadResult {
  readonly documents: readonly LoadedDocument[]
  readonly problems: readonly LoadProblem[]
}

const OTHER_KINDS = ['Secret', 'Namespace']
const DEFAULT_NAMESPACE = 'default'

export function loadDocuments(file: string, text: string): LoadResult {
  const { documents, problems } = parseYaml(text)
  const results = documents.flatMap((document) => manifestsIn(document).map(readManifest))
  return {
    documents: results.flatMap((result) => result.documents),
    problems: [...problems, ...results.flatMap((result) => result.problems)]
      .map((problem) => ({ file, ...problem }))
      .sort((a, b) => a.line - b.line),
  }
}

type PlacedProblem = Omit<LoadProblem, 'file'>

/** One object as a document, a list or a flat file holds it. */
interface Manifest {
  readonly value: unknown
  readonly lineOf: (path: string) => number
  /** What the user calls the field; the same unless the object was made from a flat file. */
  readonly pathOf: (path: string) => string
  /** What is wrong with the text already. */
  readonly problems: readonly PlacedProblem[]
}

interface ManifestResult {
  readonly documents: readonly LoadedDocument[]
  readonly problems: readonly PlacedProblem[]
}

function manifestsIn(document: YamlDocument): Manifest[] {
  const { value, problems } = document
  const whole: Manifest = { value, problems, lineOf: (path) => document.lineOf(path), pathOf: (path) => path }
  if (problems.length > 0 || !isFields(value)) return [whole]
  if (isFlatFile(value)) return flatManifests(value, whole)
  return isList(value) ? listManifests(value, whole) : [whole]
}

const isList = (document: Fields): document is Fields & { items: unknown[] } =>
  typeof document['kind'] === 'string' && document['kind'].endsWith('List') && Array.isArray(document['items'])

function listManifests({ items }: { items: unknown[] }, whole: Manifest): Manifest[] {
  return items.map((value, index) => ({
    ...whole,
    value,
    lineOf: (path) => whole.lineOf(path === '' ? `items[${index}]` : `items[${index}].${path}`),
  }))
}

function flatManifests(document: Fields, whole: Manifest): Manifest[] {
  const { objects, problems } = convertFlatFile(document)
  const placed = problems.map((problem) => ({ ...problem, line: whole.lineOf(problem.path) }))
  const made = objects.map((object) => ({
    ...whole,
    value: object.document,
    pathOf: object.flatPath,
    lineOf: (path: string) => whole.lineOf(object.flatPath(path)),
  }))
  return placed.length === 0 ? made : [{ ...whole, problems: placed, value: undefined }, ...made]
}

function readManifest(manifest: Manifest): ManifestResult {
  const { value } = manifest
  const object = isFields(value) ? identify(value) : undefined
  const refuse = (problems: readonly PlacedProblem[]): ManifestResult => ({
    documents: [],
    problems: problems.map((problem) => (object === undefined ? problem : { ...problem, object })),
  })
  if (manifest.problems.length > 0) return refuse(manifest.problems)
  const read: Read<LoadedObject> = isFields(value)
    ? readObject(value)
    : { problems: [{ path: '', message: 'must be an object with apiVersion, kind and metadata' }] }
  if ('object' in read) return { documents: [loaded(read.object, manifest)], problems: [] }
  return refuse(read.problems.map(({ path, message }) => ({ line: manifest.lineOf(path), path: manifest.pathOf(path), message })))
}

type LoadedObject = CustomResource | SecretManifest | NamespaceManifest

function readObject(document: Fields): Read<LoadedObject> {
  if (document['kind'] === 'Secret') return readSecret(document)
  if (document['kind'] === 'Namespace') return readNamespace(document)
  if (!KINDS.some((kind) => kind === document['kind'])) return { problems: [kindProblem(document)] }
  const validated = validateResource(document)
  return 'resource' in validated ? { object: validated.resource } : validated
}

function kindProblem({ kind }: Fields): Problem {
  const known = [...KINDS, ...OTHER_KINDS]
  if (typeof kind !== 'string') return { path: 'kind', message: `Required value: one of ${known.join(', ')}` }
  return { path: 'kind', message: `kind ${kind} is not read here; known: ${known.join(', ')}${suggestion(kind, known)}` }
}

function loaded(object: LoadedObject, { lineOf }: Manifest): LoadedDocument {
  const { name, namespace = DEFAULT_NAMESPACE } = object.metadata
  const place = { name, namespace: namespace === '' ? DEFAULT_NAMESPACE : namespace, lineOf }
  switch (object.kind) {
    case 'LlamaModel':
      return { ...place, kind: object.kind, object }
    case 'RoutingPolicy':
      return { ...place, kind: object.kind, object }
    case 'Secret':
      return { ...place, kind: object.kind, object }
    case 'Namespace':
      return { ...place, namespace: '', kind: object.kind, object }
  }
}

/** Which object it is meant to be, also when it is wrong. */
function identify({ kind, metadata }: Fields): string | undefined {
  if (typeof kind !== 'string' || !isFields(metadata) || typeof metadata['name'] !== 'string') return undefined
  const { namespace, name } = metadata
  if (kind === 'Namespace') return `${kind} /${name}`
  return `${kind} ${typeof namespace === 'string' && namespace !== '' ? namespace : DEFAULT_NAMESPACE}/${name}`
}
