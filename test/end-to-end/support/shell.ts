/** A bash that lives as long as a reader's terminal: variables and processes in the background stay from one piece of commands to the next. */
import { type ChildProcess, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Writable } from 'node:stream'
import type { Access } from '../../support/control-plane/cluster.ts'
import { endGroup, environment } from './cluster.ts'

const WITHIN_MS = 120_000
/** Reads names of files with commands from descriptor 3. */
const LOOP = 'while IFS= read -r -u 3 piece; do . "$piece" </dev/null; printf "%s" "$END_OF_PIECE"; done'

/** Owner: the caller; `close()` once. It ends with the test process at the latest. */
export class Shell {
  readonly folder: string
  readonly #child: ChildProcess
  readonly #endOfPiece = `<${randomUUID()}>`
  readonly #closed: Promise<void>
  #written = ''
  #complained = ''
  #wake: () => void = () => undefined

  constructor(access: Access, folder: string) {
    this.folder = folder
    const env = { ...environment(access), END_OF_PIECE: this.#endOfPiece }
    this.#child = spawn('bash', ['-euo', 'pipefail', '-c', LOOP], {
      cwd: folder,
      env,
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
    })
    this.#input().on('error', () => undefined) // it has ended: `run` says so
    process.once('exit', this.#kill)
    this.#closed = new Promise((resolve) => this.#child.once('exit', () => resolve()))
    this.#child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.#written += text
      this.#wake()
    })
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#complained += text
    })
  }

  /** What the commands write. Rejects with all they wrote when one of them fails, which ends the shell, or after two minutes. */
  async run(commands: string): Promise<string> {
    this.#written = ''
    this.#complained = ''
    const piece = join(this.folder, `.commands-${randomUUID().slice(0, 8)}`)
    writeFileSync(piece, commands)
    this.#input().write(`${piece}\n`)
    const timer = setTimeout(this.#kill, WITHIN_MS)
    const ended = await Promise.race([this.#piece(), this.#closed])
    clearTimeout(timer)
    if (ended === undefined) throw new Error(`these commands failed:\n${commands}\n${this.#written}${this.#complained}`)
    return ended
  }

  #input(): Writable {
    const input = this.#child.stdio[3]
    if (input === null || input === undefined || !('write' in input)) throw new Error('bash has no third descriptor')
    return input
  }

  #piece(): Promise<string> {
    return new Promise((resolve) => {
      this.#wake = (): void => {
        const end = this.#written.indexOf(this.#endOfPiece)
        if (end >= 0) resolve(this.#written.slice(0, end))
      }
    })
  }

  readonly #kill = (): void => endGroup(this.#child.pid)

  /** Ends what runs in the background, too. */
  async close(): Promise<void> {
    this.#kill()
    await this.#closed
    process.off('exit', this.#kill)
  }
}
