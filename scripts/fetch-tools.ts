/**
 * `node scripts/fetch-tools.ts`: puts nginx (the benchmark's measure), promtool and Prometheus (check our metrics) into `.tools/debian/`, from
 * Debian's packages, and kubectl and helm beside them (`fetch-kube-tools.ts`). Nothing is installed, no service starts. Does nothing, at
 * once, when all are there and were made by this very recipe.
 * The suite is fixed, so that benchmarks of different machines compare with the same nginx.
 */
import { existsSync } from 'node:fs'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { TOOLS_DIR } from './engine/files.ts'
import { unpackPackages } from './engine/packages.ts'
import { fetchKubeTools } from './fetch-kube-tools.ts'

const SUITE = 'bookworm'
const PACKAGES = ['nginx', 'prometheus']
const FOLDER = join(TOOLS_DIR, 'debian')

export const NGINX = join(FOLDER, 'usr/sbin/nginx')
export const PROMTOOL = join(FOLDER, 'usr/bin/promtool')
export const PROMETHEUS = join(FOLDER, 'usr/bin/prometheus')

/** Resolves once both are there. `say` gets one line a step. Rejects with a text that says what to do. */
export async function fetchTools(say: (line: string) => void): Promise<void> {
  const recipe = [SUITE, process.arch, ...PACKAGES].join(' ')
  const stamp = join(FOLDER, 'recipe.txt')
  if (existsSync(NGINX) && existsSync(PROMTOOL) && (await readText(stamp)) === recipe) return
  await mkdir(TOOLS_DIR, { recursive: true })
  const workDir = join(TOOLS_DIR, `fetch-tools-${process.pid}`)
  const otherwise = 'nginx and promtool are needed by `make bench` and `make promtool-check` only, on Debian.'
  await unpackPackages({ suite: SUITE, packages: PACKAGES, folder: FOLDER, workDir, otherwise }, say)
  await writeFile(stamp, recipe)
}

async function readText(path: string): Promise<string | undefined> {
  return readFile(path, 'utf8').catch(() => undefined)
}

if (import.meta.main) {
  try {
    const say = (line: string): void => console.log(`fetch-tools: ${line}`)
    await fetchTools(say)
    await fetchKubeTools(say)
  } catch (error) {
    console.error(`fetch-tools: ${error instanceof Error ? error.message : String(error)}`)
    process.exitCode = 1
  }
}
