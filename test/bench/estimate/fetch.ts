/** Fetches what the measurement needs beside the engine: Debian packages with texts, and a second tokenizer. Nothing is installed. */
import { existsSync } from 'node:fs'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { TOOLS_DIR } from '../../../scripts/engine/files.ts'
import { unpackPackages } from '../../../scripts/engine/packages.ts'
import { run } from '../../../scripts/engine/run.ts'
import { PACKAGES, SUITE, TEXTS_DIR } from './sources.ts'

const TOKENIZER = 'gpt-tokenizer@4.0.0'
const TOKENIZER_DIR = join(TOOLS_DIR, 'estimate-tokenizer')
const OTHERWISE = 'Change PACKAGES in test/bench/estimate/sources.ts, then write the hashes anew with --rehash.'

/** Does nothing where the packages of this very list lie already. */
export async function fetchTexts(say: (line: string) => void): Promise<void> {
  const stamp = join(TEXTS_DIR, 'stamp.txt')
  const recipe = [SUITE, ...PACKAGES].join('\n')
  if (existsSync(stamp) && (await readFile(stamp, 'utf8')) === recipe) return
  const workDir = join(TOOLS_DIR, `fetch-texts-${process.pid}`)
  await unpackPackages({ suite: SUITE, packages: PACKAGES, folder: TEXTS_DIR, workDir, otherwise: OTHERWISE }, say)
  await writeFile(stamp, recipe)
}

/** Counts the tokens of cl100k, a vocabulary to which no weight was fitted. */
export async function secondTokenizer(): Promise<(text: string) => number> {
  const file = join(TOKENIZER_DIR, 'node_modules/gpt-tokenizer/esm/encoding/cl100k_base.js')
  if (!existsSync(file)) {
    await mkdir(TOKENIZER_DIR, { recursive: true })
    await run('npm', ['install', '--prefix', TOKENIZER_DIR, '--ignore-scripts', '--no-audit', '--no-fund', '--no-save', TOKENIZER])
  }
  const { encode } = await import(pathToFileURL(file).href)
  return (text) => encode(text, { disallowedSpecial: new Set() }).length
}
