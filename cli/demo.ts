/**
 * `make demo`: llama-swap in front of a real llama-server with a real small model. Fetches both on the first run (about 110 MB), starts
 * them, prints what to try, and ends both at Ctrl-C. Arguments are handed on to `standalone`, such as `--port 9000`.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { TOOLS_DIR } from '../scripts/engine/files.ts'
import { fetchEngine } from '../scripts/fetch-engine.ts'
import { startEngine } from '../test/support/engine/engine.ts'

/** The one of `standalone`. */
const DEFAULT_PORT = '8080'
const READY_WITHIN_MS = 15_000

async function demo(args: readonly string[]): Promise<number> {
  await fetchEngine((line) => console.log(`demo: ${line}`))
  const engine = await startEngine({ model: 'smollm2', slots: 2, contextTokens: 4096 })
  console.log(`demo: llama-server answers at ${engine.url}`)
  try {
    const port = portOf(args)
    const standalone = startStandalone(await writeConfig(engine.url), args)
    if (await listening(standalone, port)) console.log(whatToTry(port))
    return await exitCode(standalone)
  } finally {
    await engine.close()
  }
}

/** Ctrl-C reaches the whole process group: the child drains and ends, then so do we. SIGTERM reaches only us and is handed on. */
function startStandalone(config: string, args: readonly string[]): ChildProcess {
  const program = [join(import.meta.dirname, 'main.ts'), 'standalone', '--config', config, ...args]
  const child = spawn(process.execPath, program, { stdio: 'inherit' })
  process.on('SIGINT', () => {})
  process.on('SIGTERM', () => child.kill('SIGTERM'))
  return child
}

async function writeConfig(engineUrl: string): Promise<string> {
  const folder = join(TOOLS_DIR, 'demo')
  await mkdir(folder, { recursive: true })
  const file = join(folder, 'models.yaml')
  await writeFile(file, manifest(engineUrl))
  return file
}

function manifest(engineUrl: string): string {
  return `apiVersion: llamaswap.dev/v1alpha1
kind: LlamaModel
metadata:
  name: smollm2
spec:
  modelName: smollm2
  backends:
    - name: local
      url: ${engineUrl}/v1
`
}

/** False when the child ends first. */
async function listening(child: ChildProcess, port: string): Promise<boolean> {
  const deadline = Date.now() + READY_WITHIN_MS
  while (child.exitCode === null && child.signalCode === null && Date.now() < deadline) {
    const response = await fetch(`http://127.0.0.1:${port}/v1/models`).catch(() => undefined)
    await response?.body?.cancel()
    if (response?.ok) return true
    await delay(50)
  }
  return false
}

async function exitCode(child: ChildProcess): Promise<number> {
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
  return child.exitCode ?? 0
}

function portOf(args: readonly string[]): string {
  const { values } = parseArgs({ args: [...args], options: { port: { type: 'string' } }, strict: false })
  return typeof values.port === 'string' ? values.port : (process.env['LLAMA_SWAP_PORT'] ?? DEFAULT_PORT)
}

function whatToTry(port: string): string {
  return `
Try it in another terminal (Ctrl-C here ends everything):

  curl -N http://127.0.0.1:${port}/v1/chat/completions -H 'content-type: application/json' \\
    -d '{"model": "auto", "stream": true, "max_tokens": 60, "messages": [{"role": "user", "content": "Write one sentence about llamas."}]}'
`
}

if (import.meta.main) process.exitCode = await demo(process.argv.slice(2))
