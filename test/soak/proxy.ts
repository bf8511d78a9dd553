/** The proxy as a process, from its sources, for hours: its lines are read and not kept, but for errors. */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, readdirSync, readlinkSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { RoutingTable } from '../../proxy/routing-table/v1.ts'
import { ROOT } from '../support/program.ts'

export interface Descriptors {
  readonly all: number
  readonly sockets: number
}

const MAX_ERRORS = 20
const MAX_SAID = 4000
const START_MS = 30_000
const KILL_AFTER_MS = 5000

export class SoakedProxy {
  readonly port: number
  readonly metricsPort: number
  readonly #child: ChildProcess
  readonly #folder: string
  readonly #errors: string[]

  constructor(started: { child: ChildProcess; folder: string; errors: string[]; port: number; metricsPort: number }) {
    this.#child = started.child
    this.#folder = started.folder
    this.#errors = started.errors
    this.port = started.port
    this.metricsPort = started.metricsPort
  }

  /** Lines of level error, and what else it said on its standard error. */
  get errors(): readonly string[] {
    return this.#errors
  }

  get ended(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null
  }

  push(table: RoutingTable): void {
    write(this.#folder, table)
  }

  /** Linux only: zeros elsewhere. */
  descriptors(): Descriptors {
    try {
      const folder = `/proc/${this.#child.pid}/fd`
      const targets = readdirSync(folder).map((fd) => targetOf(join(folder, fd)))
      return { all: targets.length, sockets: targets.filter((target) => target.startsWith('socket:')).length }
    } catch {
      return { all: 0, sockets: 0 }
    }
  }

  async metrics(): Promise<string> {
    const response = await fetch(`http://127.0.0.1:${this.metricsPort}/metrics`)
    return response.text()
  }

  async close(): Promise<void> {
    await ended(this.#child)
    rmSync(this.#folder, { recursive: true, force: true })
  }
}

const ARGS = ['--host', '127.0.0.1', '--port', '0', '--admin-port', '0', '--metrics-port', '0', '--auth', 'Off']

export async function startProxy(table: RoutingTable): Promise<SoakedProxy> {
  const folder = mkdtempSync(join(tmpdir(), 'llama-swap-soak-'))
  write(folder, table)
  const child = start('cli/main.ts', ['proxy', '--table', join(folder, 'table.json'), ...ARGS])
  const errors: string[] = []
  const keep = (line: string): void => void (errors.length < MAX_ERRORS && errors.push(line))
  child.stderr?.on('data', (bytes: Buffer) => keep(bytes.toString()))
  const line = await firstLine(child, '"msg":"listening"', (other) => other.includes('"level":"error"') && keep(other))
  const said: { inference: number; metrics: number } = JSON.parse(line)
  return new SoakedProxy({ child, folder, errors, port: said.inference, metricsPort: said.metrics })
}

export interface Backends {
  readonly ports: readonly number[]
  close(): Promise<void>
}

export async function startBackends(count: number): Promise<Backends> {
  const child = start('test/soak/backends.ts', [String(count)])
  const said: { ports: readonly number[] } = JSON.parse(await firstLine(child, '"ports"', () => {}))
  return { ports: said.ports, close: () => ended(child) }
}

function start(file: string, args: readonly string[]): ChildProcess {
  const child = spawn(process.execPath, [join(ROOT, file), ...args], { stdio: 'pipe' })
  const kill = (): void => void child.kill('SIGKILL')
  process.once('exit', kill)
  child.once('close', () => process.off('exit', kill))
  return child
}

/** The first line with this text; `other` is told of each line from then on as well. */
function firstLine(child: ChildProcess, text: string, other: (line: string) => void): Promise<string> {
  return new Promise((resolve, reject) => {
    const late = setTimeout(() => reject(new Error(`no line with ${text} after ${START_MS} ms`)), START_MS)
    let said = ''
    child.stderr?.on('data', (bytes: Buffer) => {
      if (said.length < MAX_SAID) said += bytes.toString()
    })
    child.once('close', () => reject(new Error(`it ended before it had begun:\n${said}`)))
    if (child.stdout === null) return reject(new Error('it has no output'))
    createInterface({ input: child.stdout }).on('line', (line) => {
      other(line)
      if (!line.includes(text)) return
      clearTimeout(late)
      resolve(line)
    })
  })
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const closed = new Promise<void>((resolve) => child.once('close', () => resolve()))
  child.stdin?.end()
  child.kill('SIGTERM')
  const killer = setTimeout(() => child.kill('SIGKILL'), KILL_AFTER_MS)
  await closed
  clearTimeout(killer)
}

/** As a mounted ConfigMap does it: the new file takes the old one's place. */
function write(folder: string, table: RoutingTable): void {
  const file = join(folder, 'table.json')
  writeFileSync(`${file}.new`, JSON.stringify(table))
  renameSync(`${file}.new`, file)
}

function targetOf(link: string): string {
  try {
    return readlinkSync(link)
  } catch {
    return '' // closed meanwhile
  }
}
