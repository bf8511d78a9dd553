/**
 * A program of ours as a child process. In: its file and arguments. Out: what it writes, line by line, and its exit code. It never outlives
 * the test process; `close()` ends that very process, by its id.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

export const ROOT = join(import.meta.dirname, '..', '..')

/** A line of its standard output that is a JSON object. */
export type Line = Readonly<Record<string, unknown>>

export interface Program {
  readonly pid: number
  readonly child: ChildProcess
  /** All of its output so far, standard error included. */
  output(): string
  lines(): readonly Line[]
  /** The first line that fits, seen already or still to come. Rejects when the program ends first, or after 30 s. */
  line(fits: (line: Line) => boolean): Promise<Line>
  /** The exit code, once it has ended and all of its output is here; −1 when a signal ended it. */
  readonly ended: Promise<number>
  signal(name: 'SIGTERM' | 'SIGINT'): void
  /** SIGTERM, then SIGKILL after `killAfterMs`. Resolves when it is gone. */
  close(killAfterMs?: number): Promise<void>
}

export interface ProgramOptions {
  /** Relative to the project's root. */
  readonly file: string
  readonly args?: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  readonly nodeArgs?: readonly string[]
}

const LINE_WITHIN_MS = 30_000
const KILL_AFTER_MS = 3000

export function startProgram({ file, args = [], env = {}, nodeArgs = [] }: ProgramOptions): Program {
  const child = spawn(process.execPath, [...nodeArgs, join(ROOT, file), ...args], { stdio: 'pipe', env: { ...cleanEnv(), ...env } })
  const killWithUs = (): void => void child.kill('SIGKILL')
  process.once('exit', killWithUs)
  const seen = collect(child)
  const ended = new Promise<number>((resolve) => child.once('close', (code) => resolve(code ?? -1)))
  void ended.then(() => process.off('exit', killWithUs))
  return {
    pid: child.pid ?? 0,
    child,
    output: seen.output,
    lines: () => seen.lines,
    line: (fits) => awaitLine(seen, fits, ended),
    ended,
    signal: (name) => void child.kill(name),
    close: (killAfterMs = KILL_AFTER_MS) => end(child, ended, killAfterMs),
  }
}

/** The tester's own settings of llama-swap must not change a test. */
function cleanEnv(): Record<string, string> {
  const kept = Object.entries(process.env).filter(([name]) => !name.startsWith('LLAMA_SWAP_') && name !== 'NODE_TEST_CONTEXT')
  return Object.fromEntries(kept.flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])))
}

interface Seen {
  readonly lines: Line[]
  readonly waiting: Set<() => void>
  output(): string
}

function collect(child: ChildProcess): Seen {
  let text = ''
  const seen: Seen = { lines: [], waiting: new Set(), output: () => text }
  child.stderr?.on('data', (bytes: Buffer) => {
    text += bytes.toString()
  })
  if (child.stdout === null) return seen
  createInterface({ input: child.stdout, crlfDelay: Number.POSITIVE_INFINITY }).on('line', (line) => {
    text += `${line}\n`
    const parsed = parseLine(line)
    if (parsed === undefined) return
    seen.lines.push(parsed)
    for (const wake of seen.waiting) wake()
  })
  return seen
}

function parseLine(line: string): Line | undefined {
  if (!line.startsWith('{')) return undefined
  try {
    const value: unknown = JSON.parse(line)
    return typeof value === 'object' && value !== null ? { ...value } : undefined
  } catch {
    return undefined // plain text
  }
}

function awaitLine(seen: Seen, fits: (line: Line) => boolean, ended: Promise<number>): Promise<Line> {
  return new Promise((resolve, reject) => {
    let from = 0
    const look = (): void => {
      const found = seen.lines.slice(from).find(fits)
      from = seen.lines.length
      if (found !== undefined) settle(() => resolve(found))
    }
    const fail = (why: string): void => settle(() => reject(new Error(`${why} before the expected line:\n${seen.output()}`)))
    const timer = setTimeout(() => fail('30 s passed'), LINE_WITHIN_MS)
    const settle = (then: () => void): void => {
      clearTimeout(timer)
      seen.waiting.delete(look)
      then()
    }
    seen.waiting.add(look)
    void ended.then((code) => fail(`The program ended with ${code}`))
    look()
  })
}

async function end(child: ChildProcess, ended: Promise<number>, killAfterMs: number): Promise<void> {
  child.kill('SIGTERM')
  const killer = setTimeout(() => child.kill('SIGKILL'), killAfterMs)
  await ended
  clearTimeout(killer)
}
