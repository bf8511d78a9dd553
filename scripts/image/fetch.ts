/**
 * Fetches the image's parts into `.tools/image/`, each checked against its pinned hash before anything is taken out of it: Node by npm, from
 * the registry this machine uses, libraries by apt, from its Debian mirror. What is there already is not fetched again.
 */
import { createHash } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { mkdir, readdir, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { TOOLS_DIR } from '../engine/files.ts'
import { privateApt } from '../engine/packages.ts'
import { run } from '../engine/run.ts'
import { DEBIAN, DEBIAN_PARTS, type DebianPart, NAMES, type Names, type Platform } from './parts.ts'

const ROOT = join(import.meta.dirname, '..', '..')
const FOLDER = join(TOOLS_DIR, 'image')

export interface Parts {
  /** Holds `bin/node` and `LICENSE`. */
  readonly node: string
  /** Name of a Debian package → its unpacked tree. */
  readonly trees: ReadonlyMap<string, string>
  /** Name of a Debian package → its description, as dpkg's status has it. */
  readonly controls: ReadonlyMap<string, string>
}

/** Of one npm package, as package-lock.json pins it. */
export interface LockedNode {
  readonly version: string
  /** "sha512-…" in base64. */
  readonly integrity: string
}

export function lockedNode({ nodePackage }: Names): LockedNode {
  const lock: unknown = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8'))
  const found = readPath(lock, ['packages', `node_modules/${nodePackage}`])
  const [version, integrity] = ['version', 'integrity'].map((field) => readPath(found, [field]))
  if (typeof version !== 'string' || typeof integrity !== 'string') throw new Error(`package-lock.json does not pin ${nodePackage}`)
  return { version, integrity }
}

export function readPath(value: unknown, path: readonly string[]): unknown {
  return path.reduce((at: unknown, key) => (typeof at === 'object' && at !== null ? Reflect.get(at, key) : undefined), value)
}

/** `say` gets one line a step. Rejects with a text that says what to do. */
export async function fetchParts(platform: Platform, say: (line: string) => void): Promise<Parts> {
  const names = NAMES[platform]
  await mkdir(FOLDER, { recursive: true })
  const node = await fetchNode(names, say)
  const missing = DEBIAN_PARTS.filter((part) => !existsSync(archiveOf(part, names)))
  if (missing.length > 0) await fetchDebs(missing, names, say)
  const trees = new Map<string, string>()
  const controls = new Map<string, string>()
  for (const part of DEBIAN_PARTS) {
    trees.set(part.name, await unpackDeb(part, names))
    controls.set(part.name, await run('dpkg-deb', ['-f', archiveOf(part, names)]))
  }
  return { node, trees, controls }
}

async function fetchNode(names: Names, say: (line: string) => void): Promise<string> {
  const { version, integrity } = lockedNode(names)
  const folder = join(FOLDER, `${names.nodePackage}-${version}-${integrity.slice(7, 19).replaceAll(/\W/g, '_')}`)
  if (existsSync(folder)) return folder
  say(`Node ${version} for ${names.architecture}, 57 MB, by npm pack`)
  await inScratch(async (scratch) => {
    await run('npm', ['pack', `${names.nodePackage}@${version}`, '--pack-destination', scratch, '--silent'])
    const [name = ''] = (await readdir(scratch)).filter((file) => file.endsWith('.tgz'))
    const archive = join(scratch, name)
    const found = `sha512-${createHash('sha512')
      .update(await readFile(archive))
      .digest('base64')}`
    if (found !== integrity) throw new Error(`${names.nodePackage}@${version} is not what package-lock.json pins: ${found}`)
    await run('tar', ['xzf', archive, '-C', scratch, 'package/bin/node', 'package/LICENSE'])
    await rename(join(scratch, 'package'), folder)
  })
  return folder
}

const archiveOf = ({ name, version }: DebianPart, { architecture }: Names): string => join(FOLDER, `${name}_${version}_${architecture}.deb`)

async function fetchDebs(parts: readonly DebianPart[], names: Names, say: (line: string) => void): Promise<void> {
  const { architecture } = names
  say(`${parts.length} packages of Debian ${DEBIAN.suite} for ${architecture}`)
  await inScratch(async (scratch) => {
    const apt = await privateApt(scratch, [DEBIAN.suite, `${DEBIAN.suite}-security`], [architecture])
    await run('apt-get', [...apt, '-qq', 'update'])
    for (const part of parts) {
      const debs = join(scratch, 'debs', part.name)
      await mkdir(debs, { recursive: true })
      await run('apt-get', [...apt, '-qq', 'download', `${part.name}:${architecture}=${part.version}`], { cwd: debs }).catch(gone(part))
      const [file = ''] = await readdir(debs)
      const sha256 = createHash('sha256')
        .update(await readFile(join(debs, file)))
        .digest('hex')
      if (sha256 !== part.sha256[architecture])
        throw new Error(`${part.name} ${part.version} for ${architecture} is not what is pinned: sha256 ${sha256}`)
      await rename(join(debs, file), archiveOf(part, names))
    }
  })
}

const gone =
  ({ name, version }: DebianPart) =>
  (error: unknown): never => {
    throw new Error(`Debian ${DEBIAN.suite} has no ${name} ${version} any more: \`node scripts/image/pin.ts\` prints what to pin.`, {
      cause: error,
    })
  }

/** Kept between runs; a tree's name says what it was unpacked from. */
async function unpackDeb(part: DebianPart, names: Names): Promise<string> {
  const tree = join(FOLDER, `${part.name}_${names.architecture}_${part.sha256[names.architecture].slice(0, 12)}`)
  if (existsSync(tree)) return tree
  await inScratch(async (scratch) => {
    await run('dpkg-deb', ['-x', archiveOf(part, names), join(scratch, 'tree')])
    await rename(join(scratch, 'tree'), tree)
  })
  return tree
}

async function inScratch(use: (folder: string) => Promise<void>): Promise<void> {
  const scratch = join(TOOLS_DIR, `fetch-image-${process.pid}`)
  await mkdir(scratch, { recursive: true })
  try {
    await use(scratch)
  } finally {
    await rm(scratch, { recursive: true, force: true })
  }
}
