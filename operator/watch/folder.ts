/**
 * The operator's source in standalone mode: a file or a folder of YAML. In: the path, the environment for `${NAME}` in Secrets, the
 * installation's settings. Out: `Resources`, whole, first before `start()` resolves and then after each edit that changes something, within a
 * second. EFFECT: reads and watches files; it decides nothing about what objects mean, and writes nothing.
 * A mistake is told with file and line, and the last good version of its object goes on holding.
 */
import type { Resources, Settings } from '../resources/snapshot.ts'
import { type FileLoad, type Held, type HeldObject, type HeldObjects, holdObjects } from './held-objects.ts'
import { type Installation, type Made, makeResources } from './make-resources.ts'
import { PathChanges } from './path-changes.ts'
import type { Environment } from './secret-values.ts'
import { Settle } from './settle.ts'
import { fingerprint } from './snapshot-fingerprint.ts'
import { type LoadProblem, loadDocuments } from './yaml.ts'
import { listYamlFiles, readYamlFile, type YamlFile } from './yaml-files.ts'

export interface FolderSourceOptions {
  /** A YAML file, or a folder that is searched for *.yaml and *.yml. */
  readonly path: string
  readonly env: Environment
  readonly settings: Settings
  /** All objects that hold now, and all that is wrong in the files now. Not called when neither changed. */
  readonly onSnapshot: (resources: Resources, problems: readonly LoadProblem[]) => void
  /** The path cannot be read any more (what it said last goes on holding), or `onSnapshot` threw. */
  readonly onError: (error: unknown) => void
}

export interface Location {
  readonly file: string
  readonly line: number
}

/** Reads once, without watching: what `check` and `explain` need. Throws if the path is not there. */
export async function readFolder({
  path,
  env,
  settings,
}: Pick<FolderSourceOptions, 'path' | 'env' | 'settings'>): Promise<Made & { readonly objects: HeldObjects }> {
  const { files } = await listYamlFiles(path)
  return readFiles(files, new Map(), { env, settings })
}

/** Where the field `at` of `object` ("LlamaModel namespace/name") stands, so that a Problem can be told with file and line. */
function locate(objects: HeldObjects, object: string, at: string): Location | undefined {
  const held = objects.get(object)
  return held === undefined ? undefined : { file: held.file, line: held.document.lineOf(pathInFile(held, at)) }
}

/** A cluster knows entries of a Secret as `data.NAME`; the file may have them under `stringData`. */
function pathInFile({ document }: HeldObject, at: string): string {
  const entry = at.startsWith('data.') ? at.slice('data.'.length) : undefined
  if (document.kind !== 'Secret' || entry === undefined) return at
  return Object.hasOwn(document.object.stringData ?? {}, entry) ? `stringData.${entry}` : at
}

const QUIET_MS = 50
const MAX_WAIT_MS = 500

/** Owner: who creates it; call `start()` once, then `close()` once. */
export class FolderSource {
  readonly #options: FolderSourceOptions
  readonly #changes: PathChanges
  readonly #settle: Settle
  #objects: HeldObjects = new Map()
  #fingerprint = ''
  #reading = false
  #again = false
  #closed = false

  constructor(options: FolderSourceOptions) {
    this.#options = options
    this.#settle = new Settle({ quietMs: QUIET_MS, maxMs: MAX_WAIT_MS, act: () => void this.#reload() })
    this.#changes = new PathChanges({ path: options.path, onChange: () => this.#settle.poke() })
  }

  /** Rejects if the path cannot be read at all. Mistakes in files do not: they are problems of the first snapshot. */
  async start(): Promise<void> {
    const listing = await listYamlFiles(this.#options.path)
    if (this.#closed) return
    this.#changes.start(listing)
    await this.#read(listing.files)
  }

  close(): void {
    this.#closed = true
    this.#changes.close()
    this.#settle.close()
  }

  /** As `locate`, in what holds now. */
  whereIs(object: string, at: string): Location | undefined {
    return locate(this.#objects, object, at)
  }

  /** One at a time: a change during a reading makes one more after it. */
  async #reload(): Promise<void> {
    this.#again = true
    if (this.#reading) return
    this.#reading = true
    while (this.#again && !this.#closed) {
      this.#again = false
      await this.#readNow().catch(this.#options.onError)
    }
    this.#reading = false
  }

  async #readNow(): Promise<void> {
    const { files } = await listYamlFiles(this.#options.path)
    await this.#read(files)
  }

  async #read(files: readonly YamlFile[]): Promise<void> {
    const { objects, resources, problems } = await readFiles(files, this.#objects, this.#options)
    if (this.#closed) return
    this.#objects = objects
    const now = fingerprint(resources, problems)
    if (now === this.#fingerprint) return
    this.#fingerprint = now
    this.#options.onSnapshot(resources, problems)
  }
}

async function readFiles(files: readonly YamlFile[], previous: HeldObjects, installation: Installation): Promise<Made & Held> {
  const loads = await Promise.all(files.map(loadFile))
  const held = holdObjects(previous, loads.flat())
  const { resources, problems } = makeResources(held.objects, installation)
  return { objects: held.objects, resources, problems: [...held.problems, ...problems] }
}

/** None for a file that has gone since it was listed. */
async function loadFile(entry: YamlFile): Promise<readonly FileLoad[]> {
  const file = entry.path
  const read = await readYamlFile(entry)
  if ('text' in read) return [{ file, ...loadDocuments(file, read.text) }]
  return read.gone ? [] : [{ file, documents: [], problems: [{ file, line: 1, path: '', message: `The file ${read.error}.` }] }]
}
