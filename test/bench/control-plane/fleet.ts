/** Many proxies in a few processes. In: where the operator is, whose tokens they have. Out: when something has reached all of them. */
import { type ChildProcess, fork } from 'node:child_process'
import { join } from 'node:path'
import { type Effect, type FromProxies, type ProxyFiles, parseFromProxies, type ToProxies } from './messages.ts'

export interface FleetOptions {
  readonly operator: string
  readonly caFile: string
  readonly proxies: readonly ProxyFiles[]
  /** Of the whole table. */
  readonly models: number
  readonly endpoints: number
}

const PROCESSES = 4
const SYNCED_WITHIN_MS = 120_000
const EFFECTIVE_WITHIN_MS = 30_000
const PROGRAM = join(import.meta.dirname, 'proxies.ts')

/** Owner: who starts it; `stop()` once. */
export class Fleet {
  readonly #children: readonly ChildProcess[]
  readonly #count: number
  /** Change → when it had reached the last proxy of each process that has told so far. */
  readonly #effective = new Map<number, number[]>()
  #awake: () => void = () => undefined
  #expecting = 0
  readonly #synced: number[] = []

  constructor({ proxies, ...rest }: FleetOptions) {
    const parts = Array.from({ length: PROCESSES }, (_, part) => proxies.filter((_proxy, index) => index % PROCESSES === part))
    this.#count = proxies.length
    this.#children = parts.map((part) => {
      const child = fork(PROGRAM, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
      child.on('message', (message) => this.#told(parseFromProxies(message)))
      send(child, { what: 'start', proxies: part, ...rest })
      return child
    })
    process.once('exit', () => this.#kill())
  }

  get size(): number {
    return this.#count
  }

  /** When the last proxy had the whole table, by `nowMs`. */
  async synced(): Promise<number> {
    await this.#until(() => this.#synced.length === PROCESSES, SYNCED_WITHIN_MS, 'not all proxies got the table')
    return Math.max(...this.#synced)
  }

  /** Resolves when all processes look out for these changes; those before are forgotten. */
  async expect(effects: readonly Effect[]): Promise<void> {
    this.#expecting = 0
    this.#effective.clear()
    for (const child of this.#children) send(child, { what: 'expect', effects })
    await this.#until(() => this.#expecting === PROCESSES, EFFECTIVE_WITHIN_MS, 'a process of proxies does not answer')
  }

  /** Change → when the last proxy had it. */
  async effective(count: number): Promise<ReadonlyMap<number, number>> {
    const isThere = (): boolean => [...this.#effective.values()].filter((times) => times.length === PROCESSES).length === count
    await this.#until(isThere, EFFECTIVE_WITHIN_MS, 'a change never reached all proxies')
    return new Map([...this.#effective].map(([id, times]) => [id, Math.max(...times)]))
  }

  async stop(): Promise<void> {
    const ended = this.#children.map((child) => new Promise((resolve) => child.once('exit', resolve)))
    this.#kill()
    await Promise.all(ended)
  }

  #kill(): void {
    for (const child of this.#children) child.kill('SIGKILL')
  }

  #told(message: FromProxies): void {
    if (message.what === 'synced') this.#synced.push(message.atMs)
    else if (message.what === 'expecting') this.#expecting++
    else this.#effective.set(message.id, [...(this.#effective.get(message.id) ?? []), message.atMs])
    this.#awake()
  }

  #until(holds: () => boolean, withinMs: number, otherwise: string): Promise<void> {
    if (holds()) return Promise.resolve()
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`${otherwise} within ${withinMs / 1000} s`)), withinMs)
      this.#awake = () => {
        if (!holds()) return
        clearTimeout(timer)
        resolve()
      }
    })
  }
}

const send = (child: ChildProcess, message: ToProxies): void => void child.send(JSON.stringify(message))
