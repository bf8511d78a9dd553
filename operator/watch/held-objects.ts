import { canonicalText } from './canonical-text.ts'
import type { LoadedDocument, LoadProblem } from './yaml.ts'

/** What one file gave. A file that is gone is not among the loads. */
export interface FileLoad {
  readonly file: string
  readonly documents: readonly LoadedDocument[]
  readonly problems: readonly LoadProblem[]
}

/** An object as it holds now: the newest version that was right. */
export interface HeldObject {
  readonly file: string
  readonly document: LoadedDocument
  /** 1, and one more with each change of its spec. */
  readonly generation: number
}

/** By "Kind namespace/name", in the order of files and of documents within them. */
export type HeldObjects = ReadonlyMap<string, HeldObject>

export interface Held {
  readonly objects: HeldObjects
  readonly problems: readonly LoadProblem[]
}

/**
 * Takes over what the files say now. An object whose new version is wrong keeps the last that was right, and so do all objects of a file that
 * cannot be read as a whole; an object that is gone, or whose file is gone, is dropped. One that two files define is taken from the first. PURE.
 */
export function holdObjects(previous: HeldObjects, loads: readonly FileLoad[]): Held {
  const objects = new Map<string, HeldObject>()
  const problems = loads.flatMap((load) => load.problems)
  for (const { file, documents } of loads) {
    for (const document of documents) {
      const key = objectKey(document)
      const first = objects.get(key)
      if (first === undefined) objects.set(key, { file, document, generation: nextGeneration(previous.get(key), document) })
      else problems.push(definedTwice(key, file, document, first))
    }
  }
  const keep = keeper(loads)
  for (const [key, held] of previous) if (!objects.has(key) && keep(key, held)) objects.set(key, held)
  return { objects, problems }
}

const objectKey = ({ kind, namespace, name }: LoadedDocument): string => `${kind} ${namespace}/${name}`

function nextGeneration(before: HeldObject | undefined, document: LoadedDocument): number {
  if (before === undefined) return 1
  return specText(before.document) === specText(document) ? before.generation : before.generation + 1
}

const specText = ({ object }: LoadedDocument): string => canonicalText('spec' in object ? object.spec : undefined)

function definedTwice(key: string, file: string, document: LoadedDocument, first: HeldObject): LoadProblem {
  const where = `${first.file}:${first.document.lineOf('metadata.name')}`
  const message = `${key} is defined in ${where} already, and this one is ignored. Remove one of the two or rename it.`
  return { file, line: document.lineOf('metadata.name'), path: 'metadata.name', message, object: key }
}

/** Whether an object that no file gives a right version of is broken (keep it) or removed (drop it). */
function keeper(loads: readonly FileLoad[]): (key: string, held: HeldObject) => boolean {
  const broken = new Set(loads.flatMap(({ problems }) => problems.flatMap(({ object }) => object ?? [])))
  const unreadable = new Set(loads.filter(({ problems }) => problems.some(({ object }) => object === undefined)).map(({ file }) => file))
  return (key, { file }) => broken.has(key) || unreadable.has(file)
}
