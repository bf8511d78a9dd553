import { setTimeout as sleep } from 'node:timers/promises'
import { isDeepStrictEqual } from 'node:util'
import type { KubeClient } from '../kube/client.ts'
import { readTokenIssuer } from '../kube/token-issuer.ts'
import type { TokenIssuer } from '../resources/snapshot.ts'
import { backoffMs } from './backoff.ts'

const EVERY_MS = 300_000
const TIMEOUT_MS = 10_000
const BACKOFF = { baseMs: 1000, maxMs: 60_000 }

export interface IssuerKeysOptions {
  readonly client: KubeClient
  /** The first answer or failure, other keys, another problem. */
  readonly onChange: () => void
}

/** The keys of the cluster's token issuer, asked for every 5 minutes. Owner: who creates it; `start()` once, `close()` once. */
export class IssuerKeys {
  readonly #options: IssuerKeysOptions
  readonly #closing = new AbortController()
  #running: Promise<void> = Promise.resolve()
  #issuers: readonly TokenIssuer[] = []
  #asked = false
  #problem: string | undefined

  constructor(options: IssuerKeysOptions) {
    this.#options = options
  }

  start(): void {
    this.#running = this.#run()
  }

  async close(): Promise<void> {
    this.#closing.abort()
    await this.#running
  }

  /** Whether there was an answer or a failure: tokens of clients are not worth waiting for when the cluster does not tell its keys. */
  get asked(): boolean {
    return this.#asked
  }

  /** The same list until the keys change; the last known while the server does not answer. */
  get issuers(): readonly TokenIssuer[] {
    return this.#issuers
  }

  get problem(): string | undefined {
    return this.#problem
  }

  async #run(): Promise<void> {
    const { signal } = this.#closing
    let failures = 0
    while (!signal.aborted) {
      failures = (await this.#ask(signal)) ? 0 : failures + 1
      const waitMs = failures === 0 ? EVERY_MS : backoffMs(failures, Math.random(), BACKOFF)
      await sleep(waitMs, undefined, { signal }).catch(() => undefined)
    }
  }

  async #ask(signal: AbortSignal): Promise<boolean> {
    try {
      const issuer = await readTokenIssuer(this.#options.client, { signal, timeoutMs: TIMEOUT_MS })
      this.#take(isDeepStrictEqual([issuer], this.#issuers) ? this.#issuers : [issuer], undefined)
      return true
    } catch (error) {
      if (!signal.aborted) this.#take(this.#issuers, error instanceof Error ? error.message : String(error))
      return false
    }
  }

  #take(issuers: readonly TokenIssuer[], problem: string | undefined): void {
    const same = this.#asked && issuers === this.#issuers && problem === this.#problem
    this.#asked = true
    this.#issuers = issuers
    this.#problem = problem
    if (!same) this.#options.onChange()
  }
}
