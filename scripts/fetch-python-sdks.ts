/**
 * `node scripts/fetch-python-sdks.ts`: puts the official Python SDKs of OpenAI and Anthropic into `.tools/python-sdks/`, an environment of
 * its own, in exact versions. Tests ask with them. Does nothing, at once, when it is there and was made by this very recipe. Needs
 * `python3` with `venv` on the machine.
 */
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { TOOLS_DIR } from './engine/files.ts'

const run = promisify(execFile)
const FOLDER = join(TOOLS_DIR, 'python-sdks')
const REQUIREMENTS = join(import.meta.dirname, '../test/support/python-sdks/requirements.txt')
const STAMP = join(FOLDER, 'recipe.txt')

/** Its interpreter. */
export const PYTHON = join(FOLDER, 'bin/python')

/** Resolves once they are there. `say` gets one line a step. Rejects with a text that says what to do. */
export async function fetchPythonSdks(say: (line: string) => void): Promise<void> {
  const recipe = await readFile(REQUIREMENTS, 'utf8')
  if (existsSync(PYTHON) && (await readFile(STAMP, 'utf8').catch(() => '')) === recipe) return
  await rm(FOLDER, { recursive: true, force: true })
  say('making an environment for the Python SDKs')
  await run('python3', ['-m', 'venv', FOLDER]).catch((error: unknown) => {
    throw new Error('The tests with Python SDKs need python3 with its module venv (Debian: python3-venv).', { cause: error })
  })
  await run(PYTHON, ['-m', 'pip', 'install', '--quiet', '--no-deps', '--only-binary', ':all:', '--requirement', REQUIREMENTS])
  await writeFile(STAMP, recipe)
  say('the Python SDKs are ready')
}

if (import.meta.main) {
  try {
    await fetchPythonSdks((line) => console.log(`fetch-python-sdks: ${line}`))
  } catch (error) {
    console.error(`fetch-python-sdks: ${error instanceof Error ? error.message : String(error)}`)
    process.exitCode = 1
  }
}
