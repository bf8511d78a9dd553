/**
 * Starts a real llama-server for a test or a demo and stops that very process again. In: a model and a size. Out: its address, once
 * `/health` says it is ready. The engine must have been fetched (`node scripts/fetch-engine.ts`).
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { ENGINE_DIR, engineCommand } from '../../../scripts/engine/files.ts'
import { type EngineModel, modelFile } from './models.ts'

export interface EngineOptions {
  model: EngineModel
  /** What the scripted model says. */
  pieces?: readonly string[]
  /** 0 or absent: a free one. */
  port?: number
  /** Requests served at once (`-np`); the context is divided among them. */
  slots?: number
  contextTokens?: number
  /** The model's name in `/v1/models`; absent = the kind of model. */
  alias?: string
  extraArgs?: readonly string[]
}

export interface RunningEngine {
  /** "http://127.0.0.1:PORT", without a path. */
  url: string
  port: number
  pid: number
  /** What it has written so far, at most the last 256 KiB. */
  logs(): string
  /** Ends the process: SIGTERM, SIGKILL after 2 s. Resolves when it is gone. */
  close(): Promise<void>
}

const READY_WITHIN_MS = 60_000
const KILL_AFTER_MS = 2_000
const KEPT_LOG_CHARACTERS = 262_144

/** Rejects, with the engine's own words, when it ends or is not ready within a minute. */
export async function startEngine(options: EngineOptions): Promise<RunningEngine> {
  const command = engineCommand(ENGINE_DIR, process.env['LLAMA_SERVER'])
  if (!existsSync(command.file)) throw new Error('llama-server is missing: run "node scripts/fetch-engine.ts" first.')
  const args = [...command.prefix, ...serverArgs(await modelFile(options.model, options.pieces), options)]
  const child = spawn(command.file, args, { cwd: command.cwd, stdio: ['ignore', 'pipe', 'pipe'] })
  const log = keepLog(child)
  const killWithUs = () => child.kill('SIGKILL')
  process.once('exit', killWithUs)
  child.once('exit', () => process.off('exit', killWithUs))
  const close = () => end(child)
  try {
    const port = await listeningPort(child, log)
    await ready(child, `http://127.0.0.1:${port}/health`, log)
    return { url: `http://127.0.0.1:${port}`, port, pid: child.pid ?? 0, logs: log.text, close }
  } catch (error) {
    await close()
    throw error
  }
}

function serverArgs(model: string, options: EngineOptions): string[] {
  const sizes = ['-t', '1', '-tb', '1', '-np', String(options.slots ?? 2), '-c', String(options.contextTokens ?? 4096)]
  const place = ['--host', '127.0.0.1', '--port', String(options.port ?? 0)]
  const quiet = ['--metrics', '--offline', '--no-warmup', '--no-webui']
  return ['-m', model, ...place, ...sizes, ...quiet, '-a', options.alias ?? options.model, ...(options.extraArgs ?? [])]
}

interface Log {
  text(): string
  /** Resolves at the next output, or when the process has ended. */
  grown(): Promise<void>
}

function keepLog(child: ChildProcess): Log {
  let text = ''
  let wake = Promise.withResolvers<void>()
  const wakeUp = () => {
    wake.resolve()
    wake = Promise.withResolvers<void>()
  }
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', (bytes: Buffer) => {
      text = (text + bytes.toString()).slice(-KEPT_LOG_CHARACTERS)
      wakeUp()
    })
  }
  child.on('close', wakeUp)
  child.on('error', (error) => {
    text += `\n${error.message}`
    wakeUp()
  })
  return { text: () => text, grown: () => wake.promise }
}

/** The engine picks a free port itself and says which. */
async function listeningPort(child: ChildProcess, log: Log): Promise<number> {
  for (;;) {
    const port = /listening on http:\/\/[^\s:]+:(\d+)/.exec(log.text())?.[1]
    if (port !== undefined) return Number(port)
    if (hasEnded(child)) throw new Error(`llama-server ended before it listened:\n${log.text()}`)
    await log.grown()
  }
}

/** While the model loads every route answers 503. */
async function ready(child: ChildProcess, healthUrl: string, log: Log): Promise<void> {
  const deadline = Date.now() + READY_WITHIN_MS
  while (Date.now() < deadline && !hasEnded(child)) {
    const response = await fetch(healthUrl).catch(() => undefined)
    await response?.body?.cancel()
    if (response?.status === 200) return
    await delay(20)
  }
  throw new Error(`llama-server did not become ready:\n${log.text()}`)
}

function hasEnded(child: ChildProcess): boolean {
  return child.pid === undefined || child.exitCode !== null || child.signalCode !== null
}

async function end(child: ChildProcess): Promise<void> {
  if (hasEnded(child)) return
  const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  child.kill('SIGTERM')
  const killer = setTimeout(() => child.kill('SIGKILL'), KILL_AFTER_MS)
  await gone
  clearTimeout(killer)
}
