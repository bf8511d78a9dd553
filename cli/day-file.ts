import { createHash } from 'node:crypto'
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import type { Logger } from '../proxy/account/log.ts'
import type { Limits } from '../proxy/limits/limits.ts'

export interface DayFileOptions {
  readonly path: string
  readonly limits: Limits
  readonly logger: Logger
  /** Wall clock of the limits. */
  readonly now: () => number
}

interface Saved {
  /** Days since 1970, UTC. */
  readonly day: number
  readonly used: ReadonlyMap<string, number>
}

const EVERY_MS = 30_000
const DAY_MS = 86_400_000
const MAX_KEYS = 50_000

/** One for each configuration, where the system keeps what programs remember. */
export function defaultStateFile(env: Readonly<Record<string, string | undefined>>, config: string): string {
  const home = env['XDG_STATE_HOME'] ?? join(env['HOME'] ?? homedir(), '.local', 'state')
  return join(home, 'llama-swap', `days-${createHash('sha256').update(resolve(config)).digest('hex').slice(0, 12)}.json`)
}

/**
 * What was used of limits a day, kept over a restart: read at the start, written every 30 s and at the end, if it changed. Nothing is written
 * while no limit a day is in use. A file that cannot be read is begun anew. Owner: standalone; `close()` once.
 */
export class DayFile {
  readonly #options: DayFileOptions
  /** As read at the start: of those whose client has not come back, it still counts. */
  #carried: Saved = { day: 0, used: new Map() }
  #timer: NodeJS.Timeout | undefined
  #written = ''
  #writing: Promise<void> = Promise.resolve()

  constructor(options: DayFileOptions) {
    this.#options = options
  }

  async start(): Promise<void> {
    await this.#read()
    this.#timer = setInterval(() => this.#save(), EVERY_MS)
  }

  async close(): Promise<void> {
    clearInterval(this.#timer)
    this.#save()
    await this.#writing
  }

  async #read(): Promise<void> {
    const { path, limits, logger, now } = this.#options
    const text = await readFile(path, 'utf8').catch(() => undefined)
    if (text === undefined) return
    const saved = parse(text)
    if (saved === undefined) return logger.warn('what was used of limits a day cannot be read and is begun anew', { path })
    if (saved.day !== dayOf(now())) return
    this.#carried = saved
    for (const [key, amount] of saved.used) limits.carry(key, amount, now())
  }

  #save(): void {
    const text = this.#text()
    if (text === undefined || text === this.#written) return
    this.#writing = this.#writing.then(() => this.#write(text))
  }

  /** Undefined = no limit a day is in use. */
  #text(): string | undefined {
    const nowMs = this.#options.now()
    const used = new Map(this.#carried.day === dayOf(nowMs) ? this.#carried.used : [])
    for (const reading of this.#options.limits.meters(nowMs))
      if (reading.window === 'day' && (reading.used > 0 || used.has(reading.key))) used.set(reading.key, reading.used)
    return used.size === 0 ? undefined : JSON.stringify({ day: dayOf(nowMs), used: Object.fromEntries(used) })
  }

  async #write(text: string): Promise<void> {
    const { path, logger } = this.#options
    try {
      await mkdir(dirname(path), { recursive: true })
      await writeFile(`${path}.new`, text, { mode: 0o600 })
      await rename(`${path}.new`, path)
      this.#written = text
    } catch (error) {
      logger.warn('what was used of limits a day could not be written; it is tried again', { path, error: String(error) })
    }
  }
}

const dayOf = (wallMs: number): number => Math.floor(wallMs / DAY_MS)

function parse(text: string): Saved | undefined {
  try {
    const value: unknown = JSON.parse(text)
    const { day, used } = isFields(value) ? value : {}
    if (typeof day !== 'number' || !isFields(used)) return undefined
    const entries = Object.entries(used).slice(0, MAX_KEYS)
    const amounts = entries.flatMap(([key, amount]) => (typeof amount === 'number' && amount >= 0 ? [[key, amount] as const] : []))
    return amounts.length === entries.length ? { day, used: new Map(amounts) } : undefined
  } catch {
    return undefined
  }
}

const isFields = (value: unknown): value is { readonly day?: unknown; readonly used?: unknown } =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
