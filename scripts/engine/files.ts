/**
 * Where the real engine and its models lie once `scripts/fetch-engine.ts` has run. Everything is below `.tools/`, which git ignores;
 * nothing is installed on the machine. Read by the fetch program, the engine starter of the tests and `make demo`.
 */
import { join } from 'node:path'

export const TOOLS_DIR = join(import.meta.dirname, '..', '..', '.tools')
/** An unpacked tree of Debian packages: its own C library, its own loader, `llama-server`. */
export const ENGINE_DIR = join(TOOLS_DIR, 'engine')
export const MODELS_DIR = join(TOOLS_DIR, 'models')
/** SmolLM2-135M-Instruct, Q4_1, 98 MB, Apache-2.0. */
export const SMALL_MODEL_FILE = join(MODELS_DIR, 'smollm2.gguf')

/** Debian's names for a processor, by Node's. Others have no packaged engine here. */
const ARCHITECTURES: Readonly<Record<string, { triplet: string; loader: string }>> = {
  x64: { triplet: 'x86_64-linux-gnu', loader: 'usr/lib64/ld-linux-x86-64.so.2' },
  arm64: { triplet: 'aarch64-linux-gnu', loader: 'usr/lib/ld-linux-aarch64.so.1' },
}

/** How a program of the unpacked tree is started: with the tree's loader and libraries, never the machine's. */
export interface EngineCommand {
  file: string
  /** To be put before llama-server's own arguments. */
  prefix: readonly string[]
  /** llama-server looks for its CPU backends in the current directory. */
  cwd: string
}

/**
 * The command that starts `llama-server`: the one named by the environment variable LLAMA_SERVER if `own` is given, else the fetched one.
 * Throws on a processor or system for which there is no packaged engine.
 */
export function engineCommand(engineDir: string, own: string | undefined): EngineCommand {
  if (own !== undefined && own !== '') return { file: own, prefix: [], cwd: process.cwd() }
  const architecture = process.platform === 'linux' ? ARCHITECTURES[process.arch] : undefined
  if (architecture === undefined) {
    throw new Error(
      `No packaged llama-server for ${process.platform}/${process.arch}: install llama.cpp and set LLAMA_SERVER to its llama-server.`,
    )
  }
  const libraries = join(engineDir, 'usr/lib', architecture.triplet)
  return {
    file: join(engineDir, architecture.loader),
    prefix: ['--library-path', `${libraries}:${join(libraries, 'llama')}`, join(engineDir, 'usr/bin/llama-server')],
    cwd: join(libraries, 'ggml/backends0'),
  }
}
