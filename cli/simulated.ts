/** Starts two simulated engines, each a process of its own, for a machine on which no real one is found. */
import { type ChildProcess, spawn } from 'node:child_process'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { FoundEngine } from './discover.ts'

const PROGRAM = join(import.meta.dirname, 'simulated-engine.ts')
/** One answers fast, the other slowly, so that routing between them can be seen. */
const ENGINES = [
  { name: 'simulated-fast', delayMs: 10 },
  { name: 'simulated-slow', delayMs: 40 },
] as const
const ENDS_WITHIN_MS = 2_000

export interface SimulatedEngines {
  /** Address and only model of each, as `toLlamaModels` takes them. */
  engines: readonly FoundEngine[]
  /** Resolves when both processes are gone. */
  close(): Promise<void>
}

/** Rejects when one does not start; then none is left running. They end with this process, however it ends. */
export async function startSimulatedEngines(): Promise<SimulatedEngines> {
  const children = ENGINES.map(({ name, delayMs }) => ({ name, child: start(name, delayMs) }))
  const close = async () => {
    await Promise.all(children.map(({ child }) => end(child)))
  }
  try {
    const engines = await Promise.all(
      children.map(async ({ name, child }) => ({ url: `http://127.0.0.1:${await portOf(child)}`, models: [name] })),
    )
    return { engines, close }
  } catch (error) {
    await close()
    throw error
  }
}

function start(name: string, delayMs: number): ChildProcess {
  const args = [PROGRAM, '--port', '0', '--name', name, '--delay-ms', String(delayMs)]
  return spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'] })
}

/** The first line of its output. */
function portOf(child: ChildProcess): Promise<number> {
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('exit', (code) => reject(new Error(`A simulated engine ended with code ${code} before it listened.`)))
    if (child.stdout === null) return reject(new Error('A simulated engine has no output.'))
    createInterface({ input: child.stdout }).once('line', (line) => {
      const said: unknown = JSON.parse(line)
      if (typeof said === 'object' && said !== null && 'port' in said && typeof said.port === 'number') resolve(said.port)
      else reject(new Error('A simulated engine did not say its port.'))
    })
  })
}

/** Closing its stdin is enough; a signal helps one that hangs. */
async function end(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return
  const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  child.stdin?.end()
  const killer = setTimeout(() => child.kill('SIGKILL'), ENDS_WITHIN_MS)
  await gone
  clearTimeout(killer)
}
