/**
 * `flock LOCK node prepare.ts`: makes all that nodes are brought up from, or finds it in the cache, and prints where it is, as JSON. Our own
 * image is made of the sources as they are now. `containerd` is a folder with all images imported: a node gets a copy, mostly of links.
 */
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, globSync, mkdirSync, readFileSync, statSync } from 'node:fs'
import { cp, mkdir, readdir, rename, rm, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { ENGINE_DIR, TOOLS_DIR } from '../../../scripts/engine/files.ts'
import { run } from '../../../scripts/engine/run.ts'
import { MODEL_SHA256 } from '../../../scripts/engine/small-model.ts'
import { fetchEngine } from '../../../scripts/fetch-engine.ts'
import { fetchKubeTools } from '../../../scripts/fetch-kube-tools.ts'
import { type Blob, digestOf, imageOf, type Layer, layoutOf } from '../../../scripts/image/oci.ts'
import { tarOf } from '../../../scripts/image/tar.ts'
import { clusterProgram } from '../control-plane/build.ts'
import { ROOT } from '../program.ts'
import { type NodeImage, nodeImages } from './images.ts'
import { fetchNodePackages, NODE_PACKAGES } from './packages.ts'

export interface Prepared {
  /** Path of the program that holds etcd and Kubernetes. */
  readonly program: string
  /** Path of a containerd root with all images. Not to be written to. */
  readonly containerd: string
}

const HERE = import.meta.dirname
const CACHE = join(TOOLS_DIR, 'one-node-images')
/** Those of the last quarter of an hour are kept, and so many more: another process may be about to copy one. */
const KEPT = 2
const KEPT_MS = 900_000

async function prepare(say: (line: string) => void): Promise<Prepared> {
  await fetchKubeTools(say)
  await fetchNodePackages(say)
  await fetchEngine(() => undefined)
  const program = await clusterProgram()
  const coredns = (await run('sh', [join(HERE, 'coredns', 'build.sh')])).trim()
  await mkdir(CACHE, { recursive: true })
  const base = await basePrepared(coredns, say)
  return { program, containerd: await withOurs(base, say) }
}

async function basePrepared(coredns: string, say: (line: string) => void): Promise<string> {
  const engine = readFileSync(join(ENGINE_DIR, 'stamp.json'), 'utf8')
  const lock = readFileSync(join(ROOT, 'package-lock.json'), 'utf8')
  const key = keyOf([
    engine,
    MODEL_SHA256,
    coredns,
    lock,
    ...sources(['scripts/image/{elf,fetch,files,oci,parts,tar}.ts', 'test/support/one-node/{images,packages,prepare}.ts']),
  ])
  const folder = join(CACHE, `base-${key}`)
  if (existsSync(folder)) return folder
  await removeAllBut(1, 'base-')
  await making(folder, async (work) => {
    const archives: string[] = []
    for (const image of nodeImages(coredns)) {
      say(`image ${image.name}`)
      archives.push(await archiveOf(image, work, say))
    }
    await importInto(work, archives)
  })
  return folder
}

/** Our own image is the one that changes: the others are linked, not imported again. */
async function withOurs(base: string, say: (line: string) => void): Promise<string> {
  await run(process.execPath, ['scripts/bundle.ts'], { cwd: ROOT })
  const key = keyOf([base, ...sources(['dist/{cli,proxy}.mjs', 'scripts/image/*.ts', 'proxy/version.ts'])])
  const folder = join(CACHE, `all-${key}`)
  if (existsSync(folder)) {
    await utimes(folder, new Date(), new Date())
    return folder
  }
  say('image llama-swap')
  await making(folder, async (work) => {
    await copyRoot(join(base, 'root'), join(work, 'root'))
    await run(
      process.execPath,
      [
        'scripts/image/build.ts',
        '--platform',
        'linux/amd64',
        '--into',
        join(work, 'image').slice(ROOT.length + 1),
        '--kept-layers',
        join(base, 'layers'),
      ],
      { cwd: ROOT },
    )
    await importInto(work, [join(work, 'image', 'llama-swap-amd64.tar')])
    await rm(join(work, 'image'), { recursive: true })
  })
  await removeAllBut(KEPT, 'all-')
  return folder
}

async function archiveOf(image: NodeImage, folder: string, say: (line: string) => void): Promise<string> {
  const layers = await image.layers(say)
  const made = imageOf({ architecture: 'amd64', layers, settings: image.settings, annotations: {} })
  if (image.sharesLayers === true) await keepLayers(join(folder, 'layers'), layers, made.layers)
  const files = layoutOf(made.manifest, [made.config, ...made.layers], image.name)
  const path = join(folder, `${image.name.replaceAll(/\W/g, '-')}.tar`)
  await writeFile(path, tarOf([...files].map(([name, bytes]) => ({ path: name, kind: 'file', bytes }))))
  return path
}

/** For our own image, which has the same Node. */
async function keepLayers(folder: string, layers: readonly Layer[], compressed: readonly Blob[]): Promise<void> {
  await mkdir(folder, { recursive: true })
  for (const [at, { archive }] of layers.entries()) await writeFile(join(folder, digestOf(archive)), compressed[at]?.bytes ?? '')
}

async function importInto(work: string, archives: readonly string[]): Promise<void> {
  await mkdir(join(work, 'root'), { recursive: true })
  await mkdir(join(work, 'packages'))
  const namespaces = ['--mount', '--net', '--pid', '--fork', '--kill-child=KILL', '--propagation', 'private', '--mount-proc']
  await run('unshare', [...namespaces, 'bash', join(HERE, 'import.sh'), work, NODE_PACKAGES, ...archives])
  for (const archive of archives) await rm(archive)
  await rm(join(work, 'packages'), { recursive: true })
}

/** A containerd root: what never changes is linked, its two databases are copied. */
export async function copyRoot(from: string, to: string): Promise<void> {
  await run('cp', ['-al', from, to])
  for (const path of globSync('*/*.db', { cwd: from })) {
    await rm(join(to, path))
    await cp(join(from, path), join(to, path))
  }
}

/** Appears at once and whole, or not at all. */
async function making(folder: string, make: (work: string) => Promise<void>): Promise<void> {
  const work = `${folder}.part-${process.pid}`
  await mkdir(work)
  await make(work)
  await rename(work, folder)
}

async function removeAllBut(kept: number, prefix: string): Promise<void> {
  const found = (await readdir(CACHE)).filter((name) => name.startsWith(prefix)).map((name) => join(CACHE, name))
  const byAge = found.toSorted((a, b) => statSync(b).mtimeMs - statSync(a).mtimeMs)
  for (const folder of byAge.slice(kept)) if (Date.now() - statSync(folder).mtimeMs > KEPT_MS) await rm(folder, { recursive: true })
}

const keyOf = (parts: readonly string[]): string => createHash('sha256').update(parts.join('\0')).digest('hex').slice(0, 16)

const sources = (patterns: readonly string[]): string[] =>
  globSync([...patterns], { cwd: ROOT })
    .toSorted()
    .map((file) => readFileSync(join(ROOT, file), 'latin1'))

/** One at a time on a machine: the others wait, and find it done. */
export function prepared(): Prepared {
  mkdirSync(TOOLS_DIR, { recursive: true })
  const lock = join(TOOLS_DIR, 'one-node.lock')
  const locked = ['--pdeathsig', 'KILL', 'flock', '--no-fork', lock, process.execPath, fileURLToPath(import.meta.url)]
  const text = execFileSync('setpriv', locked, {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  return JSON.parse(text.trimEnd().split('\n').at(-1) ?? '') // pip shows its progress before
}

if (import.meta.main) console.log(JSON.stringify(await prepare((line) => console.error(`one-node: ${line}`))))
