/**
 * A real control plane: etcd, kube-apiserver and kube-controller-manager of one Kubernetes release, on loopback and on ports that were free.
 * In: nothing but a machine with Go (build.sh). Out: a cluster without nodes, and ways to hurt its API server. All it writes lies in one
 * folder below the system's temporary one. It ends with this process, however that ends.
 */
import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Agent, request } from 'undici'
import { eventually } from '../eventually.ts'
import { writeAuthority } from './authority.ts'
import { clusterProgram } from './build.ts'
import { type Access, type Cluster, openCluster, usable } from './cluster.ts'
import { Daemon } from './daemon.ts'
import { freePorts } from './free-ports.ts'
import { serviceCidr } from './network.ts'
import { apiServerArgs, CONTROLLERS, controllerManagerArgs, etcdArgs, type Layout } from './programs.ts'
import { writeKubeconfig } from './tokens.ts'

export interface ControlPlaneOptions {
  /** Added to the API server's. */
  readonly apiServerFlags?: readonly string[]
  /** Instead of those of programs.ts. */
  readonly controllers?: readonly string[]
}

export interface ControlPlane extends Cluster {
  /** As a crash does: connections break, nothing is said. */
  killApiServer(): Promise<void>
  /** In order: watches end well. Its etcd stays. */
  stopApiServer(): Promise<void>
  /** On the same address. Resolves when it is ready. Its watch cache begins anew: older resourceVersions are gone (410). */
  startApiServer(): Promise<void>
  restartApiServer(): Promise<void>
  /** A copy of etcd as it is now; the API server is away meanwhile. */
  saveState(): Promise<SavedState>
  /** What administrators do after a disaster: etcd is set back to the copy; all that was written since never was. Uids and versions too. */
  restoreState(state: SavedState): Promise<void>
  /** Ends all of it and removes its folder. */
  stop(): Promise<void>
}

export interface SavedState {
  readonly folder: string
}

const READY_WITHIN_MS = 60_000
const GRACE_MS = 3000

/** About 4 s once the program is built. Rejects with the end of a program's log when it does not come up. */
export async function startControlPlane(options: ControlPlaneOptions = {}): Promise<ControlPlane> {
  const program = await clusterProgram()
  const folder = mkdtempSync(join(tmpdir(), 'llama-swap-control-plane-'))
  const forget = removeWithUs(folder)
  const [apiPort = 0, etcdPort = 0, etcdPeerPort = 0] = await freePorts(3)
  const { apiServerFlags = [], controllers = CONTROLLERS } = options
  const layout: Layout = { folder, apiPort, etcdPort, etcdPeerPort, serviceCidr: serviceCidr(), apiServerFlags, controllers }
  const access = await prepare(layout)
  const processes = new Processes(program, layout)
  const cluster = openCluster(access)
  const stop = async (): Promise<void> => {
    await cluster.close()
    await processes.stop()
    rmSync(folder, { recursive: true, force: true })
    forget()
  }
  try {
    await processes.start()
    await eventually(() => usable(cluster, 'default'))
  } catch (error) {
    await stop()
    throw error
  }
  return {
    ...cluster,
    killApiServer: () => processes.stopApiServer(0),
    stopApiServer: () => processes.stopApiServer(GRACE_MS),
    startApiServer: () => processes.startApiServer(),
    restartApiServer: async () => {
      await processes.stopApiServer(GRACE_MS)
      await processes.startApiServer()
    },
    saveState: () => processes.saveState(),
    restoreState: (state) => processes.restoreState(state),
    stop,
  }
}

/** Certificates, tokens and kubeconfigs. */
async function prepare({ folder, apiPort, serviceCidr }: Layout): Promise<Access> {
  await writeAuthority(folder, [serviceCidr.replace(/0[/]\d+$/, '1')])
  const [adminToken, managerToken] = [randomUUID(), randomUUID()]
  const tokens = `${adminToken},admin,admin,system:masters\n${managerToken},system:kube-controller-manager,manager\n`
  writeFileSync(join(folder, 'tokens.csv'), tokens, { mode: 0o600 })
  const server = { url: `https://127.0.0.1:${apiPort}`, caFile: join(folder, 'ca.crt') }
  const kubeconfig = writeKubeconfig(join(folder, 'admin.kubeconfig'), server, { token: adminToken })
  writeKubeconfig(join(folder, 'controller-manager.kubeconfig'), server, { token: managerToken })
  const logs = join(folder, 'log')
  mkdirSync(logs)
  return { ...server, adminToken, kubeconfig, logs, folder, serviceCidr }
}

/** Removes the folder a second after this process ended, should it end without `stop`. Returns what calls that off. */
function removeWithUs(folder: string): () => void {
  const command = ['-c', 'cat >/dev/null; sleep 1; rm -rf -- "$1"', 'sh', folder]
  const watcher = spawn('sh', command, { detached: true, stdio: ['pipe', 'ignore', 'ignore'] })
  watcher.unref()
  return () => void watcher.kill('SIGKILL')
}

class Processes {
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
    await this.#apiServer?.stop(GRACE_MS)
    await this.#etcd?.stop(GRACE_MS)
  }

  async #withoutEtcd(change: (data: string) => void): Promise<void> {
    await this.stopApiServer(GRACE_MS)
    await this.#etcd?.stop(GRACE_MS)
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
