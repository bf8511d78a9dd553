import type { RequestRecord } from '../serve/lifecycle.ts'
import { accessLine, levelOf } from './access-line.ts'

import { type LogLevel, reaches } from './log.ts'

const FLUSH_AFTER_MS = 100
const FLUSH_CHARACTERS = 64 * 1024
const MAX_CHARACTERS = 4 * 1024 * 1024

export interface AccessLogOptions {
  /** Where lines go. When it is full (`write` returns false) lines wait until it has drained. */
  readonly output: NodeJS.WritableStream
  /** Lines below it are not written; see `levelOf`. */
  readonly level: LogLevel
  /** How much may wait for a slow reader, in characters; then the oldest lines are dropped and counted. */
  readonly maxCharacters?: number
}

interface Block {
  text: string
  lines: number
}

/**
 * One JSON line a settled request, written in blocks: after 100 ms or 64 KiB, whichever is first. Never makes a request wait. Owner of its
 * timer; `flush()` writes what is left, and belongs into the shutdown.
 */
export class AccessLog {
  readonly #options: AccessLogOptions
  readonly #waiting: Block[] = []
  #waitingCharacters = 0
  #block: Block = { text: '', lines: 0 }
  #timer: NodeJS.Timeout | undefined
  #isFull = false
  #dropped = 0

  constructor(options: AccessLogOptions) {
    this.#options = options
  }

  /** Lines dropped so far, as the output did not take them. */
  get dropped(): number {
    return this.#dropped
  }

  write(record: RequestRecord): void {
    const level = levelOf(record)
    if (!reaches(level, this.#options.level)) return
    this.#block.text += accessLine(record, level)
    this.#block.lines++
    if (this.#block.text.length >= FLUSH_CHARACTERS) this.#send()
    else this.#timer ??= setTimeout(() => this.#send(), FLUSH_AFTER_MS).unref()
  }

  /** Resolves when the output has taken every line, or has failed. */
  async flush(): Promise<void> {
    this.#close()
    const rest = this.#take()
    if (rest === '') return
    await new Promise<void>((resolve) => this.#options.output.write(rest, () => resolve()))
  }

  #send(): void {
    this.#close()
    if (this.#isFull) this.#dropOldest()
    else this.#hand(this.#take())
  }

  #hand(text: string): void {
    if (text === '' || this.#options.output.write(text)) return
    this.#isFull = true
    this.#options.output.once('drain', () => {
      this.#isFull = false
      this.#send()
    })
  }

  /** Ends the block in hand. */
  #close(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    if (this.#block.lines === 0) return
    this.#waiting.push(this.#block)
    this.#waitingCharacters += this.#block.text.length
    this.#block = { text: '', lines: 0 }
  }

  #take(): string {
    const text = this.#waiting.map((block) => block.text).join('')
    this.#waiting.length = 0
    this.#waitingCharacters = 0
    return text
  }

  #dropOldest(): void {
    const { maxCharacters = MAX_CHARACTERS } = this.#options
    while (this.#waitingCharacters > maxCharacters) {
      const oldest = this.#waiting.shift()
      if (oldest === undefined) return
      this.#waitingCharacters -= oldest.text.length
      this.#dropped += oldest.lines
    }
  }
}
