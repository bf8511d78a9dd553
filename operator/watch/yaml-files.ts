import { readdir, readFile, realpath, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'

export interface YamlFile {
  /** As users see it: under the path they gave. */
  readonly path: string
  readonly sizeBytes: number
  /** Differs after every edit, replacement or swapped symlink. */
  readonly stamp: string
}

export interface Listing {
  /** In the order of their paths. */
  readonly files: readonly YamlFile[]
  /** The folders whose change can change the list. */
  readonly folders: readonly string[]
}

/** A folder with more is taken for a mistake, such as the root of a disk: the listing throws. */
const MAX_FILES = 1000
const MAX_ENTRIES = 20_000
const MAX_FILE_BYTES = 4 * 1024 * 1024

/**
 * The file itself, or every *.yaml and *.yml below the folder. Symlinks are followed, each folder once. Names that begin with a dot are passed over:
 * in a mounted ConfigMap these are the hidden versions behind the visible links. Throws what `stat` throws if the path is not there.
 */
export async function listYamlFiles(path: string): Promise<Listing> {
  const root = await stat(path, { bigint: true })
  if (!root.isDirectory()) return { files: [yamlFile(path, root)], folders: [dirname(path)] }
  const found: YamlFile[] = []
  const folders: string[] = []
  const seen = new Set<string>()
  const queue = [path]
  let entries = 0
  for (let folder = queue.shift(); folder !== undefined; folder = queue.shift()) {
    const real = await realpath(folder).catch(whenGone(folder))
    if (seen.has(real)) continue
    seen.add(real)
    folders.push(folder)
    const names = await readdir(folder).catch(whenGone<string[]>([]))
    entries += names.length
    for (const name of names.filter((one) => !one.startsWith('.'))) {
      const child = join(folder, name)
      const entry = await stat(child, { bigint: true }).catch(whenGone(undefined))
      if (entry?.isDirectory()) queue.push(child)
      else if (entry !== undefined && /\.ya?ml$/.test(name)) found.push(yamlFile(child, entry))
    }
    if (entries > MAX_ENTRIES || found.length > MAX_FILES)
      throw new Error(`${path} has more than ${MAX_FILES} YAML files or ${MAX_ENTRIES} entries: name a smaller folder`)
  }
  return { files: found.sort((a, b) => (a.path < b.path ? -1 : 1)), folders }
}

/** Text of the file, or why it cannot be had; `gone` when it was there a moment ago and is no more. */
export async function readYamlFile({ path, sizeBytes }: YamlFile): Promise<{ text: string } | { error: string; gone: boolean }> {
  if (sizeBytes > MAX_FILE_BYTES) return { error: `has ${sizeBytes} bytes; at most ${MAX_FILE_BYTES} are read`, gone: false }
  try {
    return { text: await readFile(path, 'utf8') }
  } catch (error) {
    return { error: `cannot be read: ${error instanceof Error ? error.message : String(error)}`, gone: isGone(error) }
  }
}

interface Stats {
  readonly ino: bigint
  readonly size: bigint
  readonly mtimeNs: bigint
  readonly ctimeNs: bigint
}

function yamlFile(path: string, { ino, size, mtimeNs, ctimeNs }: Stats): YamlFile {
  return { path, sizeBytes: Number(size), stamp: `${ino} ${size} ${mtimeNs} ${ctimeNs}` }
}

/** What vanishes between two calls, or is a link to nothing, was not there; anything else is an error. */
function whenGone<T>(value: T): (error: unknown) => T {
  return (error) => {
    if (isGone(error)) return value
    throw error
  }
}

function isGone(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ELOOP' || error.code === 'ENOTDIR')
}
