import { cpSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { Agent, request } from 'undici'
import { eventually } from '../eventually.ts'
import { Daemon } from './daemon.ts'
import { apiServerArgs, controllerManagerArgs, etcdArgs, type Layout } from './programs.ts'

export interface SavedState {
  readonly folder: string
}

/** Connections are closed within a fifth of that; then it waits for a minute, as clients come back. */
export const API_SERVER_GRACE_MS = 1000
const ETCD_GRACE_MS = 3000
const READY_WITHIN_MS = 60_000

/** Owner: a control plane; `stop()` once. */
export class Processes {
  readonly #program: string
  readonly #layout: Layout
  #etcd: Daemon | undefined
  #apiServer: Daemon | undefined
  #controllerManager: Daemon | undefined
  #copies = 0

  constructor(program: string, layout: Layout) {
    this.#program = program
    this.#layout = layout
  }

  async start(): Promise<void> {
    this.#etcd = this.#run(etcdArgs(this.#layout))
    await this.startApiServer()
    this.#controllerManager = this.#run(controllerManagerArgs(this.#layout))
  }

  async startApiServer(): Promise<void> {
    const daemon = this.#run(apiServerArgs(this.#layout))
    this.#apiServer = daemon
    await isReady(daemon, `https://127.0.0.1:${this.#layout.apiPort}/readyz`)
  }

  async stopApiServer(graceMs: number): Promise<void> {
    await this.#apiServer?.stop(graceMs)
  }

  async saveState(): Promise<SavedState> {
    this.#copies += 1
    const folder = join(this.#layout.folder, `etcd-copy-${this.#copies}`)
    await this.#withoutEtcd((data) => cpSync(data, folder, { recursive: true }))
    return { folder }
  }

  async restoreState(state: SavedState): Promise<void> {
    await this.#controllerManager?.stop(0)
    await this.#withoutEtcd((data) => {
      rmSync(data, { recursive: true })
      cpSync(state.folder, data, { recursive: true })
    })
    this.#controllerManager = this.#run(controllerManagerArgs(this.#layout)) // one that knew the future would wait for it
  }

  /** In this order: an API server whose etcd is gone first never ends by itself. */
  async stop(): Promise<void> {
    await this.#controllerManager?.stop(0)
    await this.#apiServer?.stop(API_SERVER_GRACE_MS)
    await this.#etcd?.stop(ETCD_GRACE_MS)
  }

  async #withoutEtcd(change: (data: string) => void): Promise<void> {
    await this.stopApiServer(API_SERVER_GRACE_MS)
    await this.#etcd?.stop(ETCD_GRACE_MS)
    change(join(this.#layout.folder, 'etcd'))
    this.#etcd = this.#run(etcdArgs(this.#layout))
    await this.startApiServer()
  }

  #run(args: readonly string[]): Daemon {
    return new Daemon(this.#program, args, join(this.#layout.folder, 'log', `${args[0]}.log`))
  }
}

/** No certificate is checked: who answers on that port now is looked at by every later call. */
async function isReady(daemon: Daemon, url: string): Promise<void> {
  const dispatcher = new Agent({ connect: { rejectUnauthorized: false } })
  const deadlineMs = performance.now() + READY_WITHIN_MS
  try {
    await eventually(async () => {
      if (!daemon.running) return
      const { statusCode, body } = await request(url, { dispatcher, signal: AbortSignal.timeout(2000) })
      await body.dump()
      if (statusCode !== 200) throw new Error(`${url} says ${statusCode}`)
    }, deadlineMs - performance.now())
  } finally {
    await dispatcher.destroy()
  }
  if (!daemon.running) throw new Error(`kube-apiserver ended at once:\n${daemon.lastWords()}`)
}
