/**
 * A real control plane: etcd, kube-apiserver and kube-controller-manager of one Kubernetes release, on loopback and on ports that were free.
 * In: nothing but a machine with Go (build.sh). Out: a cluster without nodes, and ways to hurt its API server. All it writes lies in one
 * folder below the system's temporary one. It ends with this process, however that ends.
 */
import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { eventually } from '../eventually.ts'
import { writeAuthority } from './authority.ts'
import { clusterProgram } from './build.ts'
import { type Access, type Cluster, openCluster, usable } from './cluster.ts'
import { freePorts } from './free-ports.ts'
import { serviceCidr } from './network.ts'
import { API_SERVER_GRACE_MS, Processes, type SavedState } from './processes.ts'
import { CONTROLLERS, type Layout } from './programs.ts'
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
  /** As an upgrade does: watches are ended, then the process. Its etcd stays. */
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
    stopApiServer: () => processes.stopApiServer(API_SERVER_GRACE_MS),
    startApiServer: () => processes.startApiServer(),
    restartApiServer: async () => {
      await processes.stopApiServer(API_SERVER_GRACE_MS)
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
