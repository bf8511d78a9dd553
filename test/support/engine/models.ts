/** Model files for the engine: the fetched small one, and generated ones, written to `.tools/models` when they are missing. */
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { MODELS_DIR, SMALL_MODEL_FILE } from '../../../scripts/engine/files.ts'
import { run } from '../../../scripts/engine/run.ts'

/**
 * `smollm2`: a real small chat model. `random`: 210 KB, readable words that never end. `scripted`: says the given pieces, then ends.
 */
export type EngineModel = 'smollm2' | 'random' | 'scripted'

const GENERATOR = join(import.meta.dirname, 'gguf.mjs')
const DEFAULT_PIECES: readonly string[] = ['Hello', ' from', ' a', ' real', ' engine.']

/** Path of the model's file. Rejects with what to do when the small model has not been fetched. */
export async function modelFile(model: EngineModel, pieces: readonly string[] = DEFAULT_PIECES): Promise<string> {
  if (model === 'smollm2') {
    if (!existsSync(SMALL_MODEL_FILE)) throw new Error('The small model is missing: run "node scripts/fetch-engine.ts" first.')
    return SMALL_MODEL_FILE
  }
  return model === 'random' ? generated('random', []) : generated('scripted', pieces)
}

/** The name carries the arguments' hash: the same arguments give the same bytes. Written aside first, as test processes run side by side. */
async function generated(mode: string, args: readonly string[]): Promise<string> {
  const hash = createHash('sha256').update(JSON.stringify(args)).digest('hex').slice(0, 12)
  const file = join(MODELS_DIR, `${mode}-${hash}.gguf`)
  if (existsSync(file)) return file
  await mkdir(MODELS_DIR, { recursive: true })
  const aside = `${file}.${process.pid}`
  await run(process.execPath, [GENERATOR, mode, aside, ...args])
  await rename(aside, file)
  return file
}
