import { createWriteStream } from 'node:fs'
import { readFile, rename, rm } from 'node:fs/promises'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { Logger } from '../account/log.ts'
import type { ProxyMode } from '../routing-table/frames.ts'
import { type GoodTable, readGood, writeGood } from './good-file.ts'

/** Between two writes at least. */
const WRITE_EVERY_MS = 5_000

export interface LastKnownGoodState {
  readonly path: string
  /** Undefined = never by this process. */
  readonly savedAtMs: number | undefined
  /** What went wrong last, until something goes right. */
  readonly problem: string | undefined
  /** Files that were set aside, and writes that failed. */
  readonly corrupt: number
  readonly failedWrites: number
}

export interface LastKnownGoodOptions {
  readonly path: string
  readonly mode: ProxyMode
  readonly logger: Logger
  /** Milliseconds since the epoch. */
  readonly now: () => number
}

/**
 * The last good table on disk, so that a proxy that restarts while no operator is there still serves. Readable by its owner only, replaced
 * whole, written at most once in 5 s, with a checksum: a file that does not fit is set aside as FILE.corrupt and said so, never used.
 * Owner of its timer: `close()` writes what is still due.
 */
export class LastKnownGood {
  readonly #options: LastKnownGoodOptions
  #due: (() => GoodTable) | undefined
  #timer: NodeJS.Timeout | undefined
  #writing: Promise<void> = Promise.resolve()
  #wroteAtMs = Number.NEGATIVE_INFINITY
  #closed = false
  #state: Omit<LastKnownGoodState, 'path'> = { savedAtMs: undefined, problem: undefined, corrupt: 0, failedWrites: 0 }

  constructor(options: LastKnownGoodOptions) {
    this.#options = options
  }

  get state(): LastKnownGoodState {
    return { path: this.#options.path, ...this.#state }
  }

  /** Undefined = there is none to be used. Never rejects. */
  async load(): Promise<GoodTable | undefined> {
    const { path, mode, logger } = this.#options
    const file = await this.#read()
    if (file === undefined) return undefined
    const read = readGood(file)
    if (read.kind === 'bad') return this.#setAside(read.why)
    if (read.good.mode !== mode) return this.#setAside(`it is of a proxy in mode ${read.good.mode}`)
    if (read.unread > 0) logger.warn('entries of the last known good table are not read by this version', { path, entries: read.unread })
    return read.good
  }

  /** Asks for a write, now or as soon as it may be; `make` is called then. */
  save(make: () => GoodTable): void {
    this.#due = make
    if (this.#timer !== undefined || this.#closed) return
    const waitMs = Math.max(0, this.#wroteAtMs + WRITE_EVERY_MS - performance.now())
    this.#timer = setTimeout(() => {
      this.#writing = this.#write()
    }, waitMs)
  }

  async close(): Promise<void> {
    this.#closed = true
    clearTimeout(this.#timer)
    await this.#writing
    if (this.#due !== undefined) await this.#write()
  }

  async #read(): Promise<string | undefined> {
    try {
      return await readFile(this.#options.path, 'utf8')
    } catch (error) {
      const why = messageOf(error)
      if (!why.startsWith('ENOENT')) this.#problem('the last known good table cannot be read', why)
      return undefined
    }
  }

  async #setAside(why: string): Promise<undefined> {
    const { path } = this.#options
    this.#state = { ...this.#state, corrupt: this.#state.corrupt + 1 }
    this.#problem(`the last known good table is not used and set aside as ${path}.corrupt`, why)
    await rename(path, `${path}.corrupt`).catch((error: unknown) => this.#problem('it cannot be set aside', messageOf(error)))
  }

  /** Never rejects. */
  async #write(): Promise<void> {
    const { path, now } = this.#options
    const make = this.#due
    if (make === undefined) return
    this.#due = undefined
    try {
      await rm(`${path}.new`, { force: true })
      await pipeline(Readable.from(writeGood(make())), createWriteStream(`${path}.new`, { mode: 0o600, flags: 'wx' }))
      await rename(`${path}.new`, path)
      this.#state = { ...this.#state, savedAtMs: now(), problem: undefined }
    } catch (error) {
      this.#state = { ...this.#state, failedWrites: this.#state.failedWrites + 1 }
      this.#problem('the last known good table cannot be written', messageOf(error))
    }
    this.#wroteAtMs = performance.now()
    this.#timer = undefined
    if (this.#due !== undefined) this.save(this.#due)
  }

  /** Logged when it is another than before. */
  #problem(what: string, why: string): void {
    const problem = `${what}: ${why}`
    if (problem !== this.#state.problem) this.#options.logger.warn(what, { path: this.#options.path, error: why })
    this.#state = { ...this.#state, problem }
  }
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))
