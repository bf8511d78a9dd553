/**
 * Unpacks Debian packages into a folder, from the mirror this machine already uses: llama-server for the demo and the tests, and (by
 * `scripts/fetch-tools.ts`) tools. Nothing is installed, root is not needed. apt checks the signatures; a suite moves on, so the versions
 * found are returned and printed, not pinned.
 */
import { existsSync } from 'node:fs'
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { debianMirror, type Mirror, type SourceFile } from './apt-mirror.ts'
import { run } from './run.ts'

export const SUITE = 'sid'
/** llama-server and all it loads, the C library included: the machine's own may be too old. */
export const PACKAGES: readonly string[] = [
  'libc6',
  'libgcc-s1',
  'libgomp1',
  'libstdc++6',
  'libssl3t64',
  'libzstd1',
  'zlib1g',
  'libggml0',
  'libllama0',
  'llama.cpp-tools',
]

const KEYRINGS = ['/usr/share/keyrings/debian-archive-keyring.gpg', '/usr/share/keyrings/debian-archive-keyring.pgp']

interface Unpacked {
  /** Package name → version. */
  versions: Record<string, string>
}

interface Wanted {
  /** Debian's name of a release, such as "sid". */
  suite: string
  packages: readonly string[]
  /** Receives a freshly unpacked tree in place of what it holds. */
  folder: string
  /** Scratch space; removed at the end. */
  workDir: string
  /** What to do when they cannot be had. */
  otherwise: string
}

export function unpackEngine(engineDir: string, workDir: string, say: (line: string) => void): Promise<Unpacked> {
  return unpackPackages({ suite: SUITE, packages: PACKAGES, folder: engineDir, workDir, otherwise: OTHERWISE }, say)
}

const OTHERWISE =
  'On another system install llama.cpp and set LLAMA_SERVER to its llama-server. If a package is gone or renamed, change PACKAGES in ' +
  'scripts/engine/packages.ts (the name of the new one stands in "Depends:" of llama.cpp-tools).'

/** Rejects with a text that says what to do. `say` gets one line a step. */
export async function unpackPackages(wanted: Wanted, say: (line: string) => void): Promise<Unpacked> {
  const { suite, packages, folder, workDir, otherwise } = wanted
  try {
    const apt = await privateApt(workDir, [suite])
    say(`package list of ${suite}, from the mirror in this machine's apt sources`)
    await run('apt-get', [...apt, '-qq', 'update'])
    say(`${packages.length} packages`)
    await run('apt-get', [...apt, '-qq', 'download', ...packages], { cwd: join(workDir, 'debs') })
    const versions = await unpackAll(join(workDir, 'debs'), join(workDir, 'tree'), say)
    await rm(folder, { recursive: true, force: true })
    await rename(join(workDir, 'tree'), folder)
    return { versions }
  } catch (error) {
    throw new Error(`Packages of Debian ${suite} cannot be had. ${otherwise}\n${error instanceof Error ? error.message : String(error)}`)
  } finally {
    await rm(workDir, { recursive: true, force: true })
  }
}

async function aptSources(): Promise<SourceFile[]> {
  const folder = '/etc/apt/sources.list.d'
  const names = existsSync(folder) ? (await readdir(folder)).sort().map((name) => join(folder, name)) : []
  const found = ['/etc/apt/sources.list', ...names].filter((name) => existsSync(name))
  return Promise.all(found.map(async (name) => ({ name, text: await readFile(name, 'utf8') })))
}

/**
 * Options that make apt a private one: own lists, own cache, an empty status file, all in `workDir`. The machine's proxy settings stay in
 * force. A suite "…-security" comes from the security archive beside the mirror. `architectures`: absent = this machine's.
 */
export async function privateApt(workDir: string, suites: readonly string[], architectures: readonly string[] = []): Promise<string[]> {
  const mirror = debianMirror(await aptSources())
  if (mirror === undefined) throw new Error('No Debian mirror in /etc/apt (sources.list, sources.list.d).')
  for (const folder of ['lists/partial', 'cache/archives/partial', 'debs', 'tree']) await mkdir(join(workDir, folder), { recursive: true })
  await writeFile(join(workDir, 'sources.list'), suites.map((suite) => sourceLine(mirror, suite)).join(''))
  await writeFile(join(workDir, 'status'), '')
  const settings = [
    `Dir::Etc::sourcelist=${join(workDir, 'sources.list')}`,
    'Dir::Etc::sourceparts=/dev/null',
    `Dir::State::lists=${join(workDir, 'lists')}`,
    `Dir::Cache=${join(workDir, 'cache')}`,
    `Dir::State::status=${join(workDir, 'status')}`,
    'Acquire::Languages=none',
    'Acquire::Retries=3',
    ...architectures.map((architecture) => `APT::Architectures::=${architecture}`),
    ...(process.getuid?.() === 0 ? ['APT::Sandbox::User=root'] : []),
  ]
  return settings.flatMap((setting) => ['-o', setting])
}

function sourceLine({ uri, signedBy }: Mirror, suite: string): string {
  const keyring = signedBy ?? KEYRINGS.find((path) => existsSync(path))
  const signed = keyring === undefined ? '' : `[signed-by=${keyring}] `
  const archive = suite.endsWith('-security') ? `${uri.replace(/\/+$/, '')}-security` : uri
  return `deb ${signed}${archive} ${suite} main\n`
}

async function unpackAll(folder: string, tree: string, say: (line: string) => void): Promise<Record<string, string>> {
  const versions: Record<string, string> = {}
  for (const file of (await readdir(folder)).sort()) {
    const deb = join(folder, file)
    const fields = await run('dpkg-deb', ['-f', deb, 'Package', 'Version'])
    const [name = file, version = '?'] = fields.split('\n').map((line) => line.replace(/^\w+: /, ''))
    await run('dpkg-deb', ['-x', deb, tree])
    versions[name] = version
    say(`  ${name} ${version}`)
  }
  return versions
}
