import { checkPair, type Pair, type PairFiles, type PairText, readPair } from './tls-pair.ts'

/** Kubelets take about a minute to bring a new Secret; this adds nothing to that. */
const POLL_MS = 2000

export interface CertificateEvents {
  /** At the start too. What throws here is refused. */
  readonly use: (pair: Pair) => void
  /** A new pair is in use. */
  readonly renewed: (pair: Pair) => void
  /** Once for each thing that is wrong. */
  readonly refused: (reason: string) => void
}

export interface CertificateReadings {
  /** Of the certificate in use, in milliseconds since the epoch. */
  readonly expiresAtMs: number | undefined
  readonly applied: number
  readonly refused: number
}

/**
 * The certificate of the inference port, read again for as long as it lives. In: two files. Out: each new pair that is good; of a bad one the
 * reason, and the last good one stays. Owner of the timer: `close()`.
 */
export class Certificate {
  readonly #files: PairFiles
  readonly #events: CertificateEvents
  #timer: NodeJS.Timeout | undefined
  #pair: Pair | undefined
  /** Of the pair that is refused at the moment. */
  #wrong: string | undefined
  #applied = 0
  #refused = 0
  #closed = false

  constructor(files: PairFiles, events: CertificateEvents) {
    this.#files = files
    this.#events = events
  }

  get readings(): CertificateReadings {
    return { expiresAtMs: this.#pair?.expiresAtMs, applied: this.#applied, refused: this.#refused }
  }

  /** Rejects if there is no good pair now. */
  async start(): Promise<void> {
    this.#take(await readPair(this.#files))
    this.#lookLater()
  }

  close(): void {
    this.#closed = true
    clearTimeout(this.#timer)
  }

  #lookLater(): void {
    if (!this.#closed) this.#timer = setTimeout(() => void this.#look(), POLL_MS)
  }

  async #look(): Promise<void> {
    try {
      const text = await readPair(this.#files)
      if (!this.#closed) this.#renew(text)
    } catch (error) {
      this.#refuse(error)
    }
    this.#lookLater()
  }

  /** Throws what is wrong with it. */
  #renew(text: PairText): void {
    const isInUse = text.cert === this.#pair?.cert && text.key === this.#pair.key
    const pair = isInUse ? undefined : this.#take(text)
    this.#wrong = undefined
    if (pair === undefined) return
    this.#applied++
    this.#events.renewed(pair)
  }

  /** Throws what is wrong with it. One that has run out is no better than the one in use. */
  #take(text: PairText): Pair {
    const pair = checkPair(text, this.#files)
    if (this.#pair !== undefined && pair.expiresAtMs <= Date.now())
      throw new Error(`the certificate in ${this.#files.certFile} ran out on ${new Date(pair.expiresAtMs).toISOString()}`)
    this.#events.use(pair)
    this.#pair = pair
    return pair
  }

  #refuse(error: unknown): void {
    const reason = error instanceof Error ? error.message : String(error)
    if (reason === this.#wrong) return
    this.#wrong = reason
    this.#refused++
    this.#events.refused(reason)
  }
}
