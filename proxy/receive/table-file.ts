import { unwatchFile, watchFile } from 'node:fs'
import { readFile } from 'node:fs/promises'
import type { Receiver } from './receiver.ts'

const POLL_MS = 300
const MAX_TABLE_BYTES = 256 * 1024 * 1024

/** Reads a routing table from a file and again whenever the file changes (replaced and linked files too). */
export class TableFile {
  readonly #path: string
  readonly #receiver: Receiver
  readonly #onChange = (): void => {
    this.#reading = this.#reading
      .then(() => this.#read())
      .catch((error: unknown) => this.#receiver.refuse(`${this.#path}: ${error instanceof Error ? error.message : String(error)}`))
  }
  #reading: Promise<void> = Promise.resolve()

  constructor(path: string, receiver: Receiver) {
    this.#path = path
    this.#receiver = receiver
  }

  /** Rejects if the file cannot be read now; what is wrong inside it is told to the receiver. */
  async start(): Promise<void> {
    await this.#read()
    watchFile(this.#path, { interval: POLL_MS }, this.#onChange)
  }

  async close(): Promise<void> {
    unwatchFile(this.#path, this.#onChange)
    await this.#reading
  }

  async #read(): Promise<void> {
    const text = await readFile(this.#path, 'utf8')
    if (text.length > MAX_TABLE_BYTES) return this.#receiver.refuse(`${this.#path} is larger than ${MAX_TABLE_BYTES} bytes`)
    let value: unknown
    try {
      value = JSON.parse(text)
    } catch (error) {
      return this.#receiver.refuse(`${this.#path} is not JSON: ${error instanceof Error ? error.message : String(error)}`)
    }
    this.#receiver.take(value)
  }
}
