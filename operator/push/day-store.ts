import { setTimeout as sleep } from 'node:timers/promises'
import { ApiError } from '../kube/api-error.ts'
import type { KubeClient } from '../kube/client.ts'
import { type OwnAccount, ownedBy } from '../kube/own-account.ts'
import { Pause } from '../queue/pause.ts'
import { parseDays, type SavedDays } from '../quota/days.ts'
import { isFields } from '../validate/problem.ts'

export interface DayStoreOptions {
  readonly client: Pick<KubeClient, 'get' | 'serverSideApply'>
  readonly namespace: string
  /** Owns the ConfigMap. */
  readonly account?: OwnAccount
  /** Of the ConfigMap. */
  readonly name: string
  /** Undefined = this operator does not lead. */
  readonly days: () => SavedDays | undefined
  readonly onProblem: (problem: { readonly what: string; readonly error: unknown }) => void
}

const KEY = 'days.json'
const FIELD_MANAGER = 'llama-swap-operator'
const LABELS = { 'app.kubernetes.io/name': 'llama-swap', 'app.kubernetes.io/component': 'operator' }
const EVERY_MS = 30_000
const RETRY_MS = 2_000
const TIMEOUT_MS = 10_000
/** A ConfigMap takes 1 MiB. */
const MAX_CHARACTERS = 900_000

/**
 * What was used of limits a day, in a ConfigMap of the operator's namespace: read when a term begins, written every 30 s while something
 * changes, and soon after a proxy is gone. Without any limit a day nothing is written. Owner: the operator's main; `close()` once.
 */
export class DayStore {
  readonly #options: DayStoreOptions
  readonly #closing = new AbortController()
  readonly #pause = new Pause()
  #written = ''
  readonly #running: Promise<void>

  constructor(options: DayStoreOptions) {
    this.#options = options
    this.#running = this.#run()
  }

  /** Asks until there is an answer; rejects when `signal` or the store ends. Undefined: nothing has been written, or nothing that can be read. */
  async read(signal: AbortSignal): Promise<SavedDays | undefined> {
    const ends = AbortSignal.any([signal, this.#closing.signal])
    for (;;) {
      try {
        return this.#parse((await this.#options.client.get(this.#path, { signal: ends, timeoutMs: TIMEOUT_MS }))['data'])
      } catch (error) {
        if (error instanceof ApiError && error.status === 404) return undefined
        ends.throwIfAborted()
        this.#options.onProblem({ what: 'read what was used of limits a day', error })
        await sleep(RETRY_MS, undefined, { signal: ends })
      }
    }
  }

  #parse(content: unknown): SavedDays | undefined {
    const text = isFields(content) ? content[KEY] : undefined
    if (typeof text !== 'string') return undefined
    const days = parseDays(text)
    if (days === undefined) this.#options.onProblem({ what: 'understand what was used of limits a day', error: 'begun anew' })
    return days
  }

  /** Something worth writing down has happened. */
  soon(): void {
    this.#pause.wake()
  }

  /** Writes what is new, once. */
  async close(): Promise<void> {
    this.#closing.abort()
    await this.#running
  }

  async #run(): Promise<void> {
    const { signal } = this.#closing
    while (!signal.aborted) {
      await this.#pause.wait(EVERY_MS, signal)
      await this.#write()
      await sleep(RETRY_MS, undefined, { signal }).catch(() => undefined)
    }
  }

  async #write(): Promise<void> {
    const days = this.#options.days()
    if (days === undefined || Object.keys(days.meters).length === 0) return
    const text = JSON.stringify(days)
    if (text === this.#written) return
    try {
      if (text.length > MAX_CHARACTERS) throw new RangeError(`${text.length} characters are more than a ConfigMap takes`)
      const { name, namespace, account } = this.#options
      const metadata = { name, namespace, labels: LABELS, ...ownedBy(account, namespace) }
      const body = { apiVersion: 'v1', kind: 'ConfigMap', metadata, data: { [KEY]: text } }
      const signal = AbortSignal.timeout(TIMEOUT_MS)
      await this.#options.client.serverSideApply(this.#path, body, { fieldManager: FIELD_MANAGER, force: true, signal })
      this.#written = text
    } catch (error) {
      this.#options.onProblem({ what: 'write what was used of limits a day', error })
    }
  }

  get #path(): string {
    return `/api/v1/namespaces/${this.#options.namespace}/configmaps/${this.#options.name}`
  }
}
