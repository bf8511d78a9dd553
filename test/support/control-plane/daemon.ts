import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync, readFileSync } from 'node:fs'

const LOG_LINES = 5

/**
 * A program that runs until it is stopped; its output is added to a file. The kernel kills it when this process ends, however that ends.
 * It has a session of its own: Ctrl-C reaches only us, who stop things in order. It does not keep this process alive.
 */
export class Daemon {
  readonly #child: ChildProcess
  readonly #logFile: string

  constructor(command: string, args: readonly string[], logFile: string) {
    const log = openSync(logFile, 'a')
    this.#child = spawn('setpriv', ['--pdeathsig', 'KILL', command, ...args], { detached: true, stdio: ['ignore', log, log] })
    closeSync(log)
    this.#child.on('error', () => undefined) // told by `running`
    this.#child.unref()
    this.#logFile = logFile
  }

  get running(): boolean {
    return this.#child.pid !== undefined && this.#child.exitCode === null && this.#child.signalCode === null
  }

  get pid(): number | undefined {
    return this.#child.pid
  }

  /** The end of what it wrote. */
  lastWords(): string {
    return readFileSync(this.#logFile, 'utf8').trimEnd().split('\n').slice(-LOG_LINES).join('\n')
  }

  /** SIGTERM, and SIGKILL after `graceMs`; 0 = SIGKILL at once. Resolves when it is gone. */
  async stop(graceMs: number): Promise<void> {
    if (!this.running) return
    this.#child.ref()
    const gone = once(this.#child, 'exit')
    this.#child.kill(graceMs === 0 ? 'SIGKILL' : 'SIGTERM')
    const killer = setTimeout(() => this.#child.kill('SIGKILL'), graceMs)
    await gone
    clearTimeout(killer)
  }
}
