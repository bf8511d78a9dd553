/** Runs other programs for the fetch tools. Their output is shown as it comes, or kept; a failure carries the end of what they said. */
import { spawn } from 'node:child_process'

/** Characters of a failed program's output that an error keeps. */
const KEPT_CHARACTERS = 2000

interface RunOptions {
  cwd?: string
  /** Show the program's output as it comes (for progress). Default: keep it. */
  show?: boolean
}

/** Resolves with what the program wrote on stdout ('' with `show`); rejects when it cannot start or its exit code is not 0. */
export function run(file: string, args: readonly string[], options: RunOptions = {}): Promise<string> {
  return new Promise((resolve, reject) => {
    const output = options.show ? 'inherit' : 'pipe'
    const child = spawn(file, args, { stdio: ['ignore', output, output], ...(options.cwd === undefined ? {} : { cwd: options.cwd }) })
    let stdout = ''
    let said = ''
    child.stdout?.on('data', (bytes: Buffer) => {
      stdout += bytes.toString()
      said = (said + bytes.toString()).slice(-KEPT_CHARACTERS)
    })
    child.stderr?.on('data', (bytes: Buffer) => {
      said = (said + bytes.toString()).slice(-KEPT_CHARACTERS)
    })
    child.on('error', (error) => reject(new Error(`${file} cannot be started: ${error.message}`)))
    child.on('close', (code) => (code === 0 ? resolve(stdout) : reject(new Error(`${file} ended with code ${code}\n${said}`))))
  })
}
