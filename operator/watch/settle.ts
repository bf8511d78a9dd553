export interface SettleOptions {
  /** Acts after this much quiet, … */
  readonly quietMs: number
  /** … and at the latest this long after the first change, however busy it stays. */
  readonly maxMs: number
  readonly act: () => void
}

/** Makes one act out of a burst of changes. Owner: who creates it; `close()` forgets what is pending. */
export class Settle {
  readonly #options: SettleOptions
  #quiet: NodeJS.Timeout | undefined
  #limit: NodeJS.Timeout | undefined

  constructor(options: SettleOptions) {
    this.#options = options
  }

  poke(): void {
    const { quietMs, maxMs } = this.#options
    clearTimeout(this.#quiet)
    this.#quiet = setTimeout(this.#act, quietMs)
    this.#limit ??= setTimeout(this.#act, maxMs)
  }

  close(): void {
    clearTimeout(this.#quiet)
    clearTimeout(this.#limit)
    this.#quiet = undefined
    this.#limit = undefined
  }

  readonly #act = (): void => {
    this.close()
    this.#options.act()
  }
}
