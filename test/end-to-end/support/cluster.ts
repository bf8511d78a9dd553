/**
 * What the stories of this folder share. A story finds a fresh cluster of one real node, whose network its process is in, and never cleans it
 * up: `test/support/one-node/run-suite.ts` brings one up for each file. This file hands out the cluster and runs programs on it.
 */
import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { text } from 'node:stream/consumers'
import { after } from 'node:test'
import { HELMS, KUBECTL } from '../../../scripts/fetch-kube-tools.ts'
import { textAt } from '../../support/control-plane/api.ts'
import { type Access, type Cluster, openCluster, SHARED_VARIABLE } from '../../support/control-plane/cluster.ts'
import type { Ended } from '../../support/control-plane/kubectl.ts'
import { ROOT } from '../../support/program.ts'

let opened: Cluster | undefined

/** Closed at the end of the file that asks. Throws where no cluster was given. */
export function clusterHere(): Cluster {
  if (opened !== undefined) return opened
  const file = process.env[SHARED_VARIABLE]
  if (file === undefined) throw new Error('No cluster: run stories by "node test/support/one-node/run-suite.ts FILE…".')
  const cluster = openCluster(parseAccess(readFileSync(file, 'utf8')))
  after(() => cluster.close())
  opened = cluster
  return cluster
}

/** Written by `JSON.stringify` of one. */
function parseAccess(written: string): Access {
  return JSON.parse(written)
}

export interface ProgramOptions {
  readonly stdin?: string
  readonly cwd?: string
  readonly env?: Readonly<Record<string, string>>
  /** Until it and what it started are killed; two minutes if absent. */
  readonly timeoutMs?: number
}

const WITHIN_MS = 120_000

/** Runs a program as the cluster's administrator, kubectl and helm (4) on its PATH, to its end, whatever its exit code is. */
export async function runProgram(cluster: Access, file: string, args: readonly string[], options: ProgramOptions = {}): Promise<Ended> {
  const { stdin = '', cwd = ROOT, env = {}, timeoutMs = WITHIN_MS } = options
  const child = spawn(file, args, { cwd, env: { ...environment(cluster), ...env }, detached: true })
  const kill = (): void => endGroup(child.pid)
  const timer = setTimeout(kill, timeoutMs)
  process.once('exit', kill)
  child.stdin.on('error', () => undefined) // it may end without reading
  child.stdin.end(stdin)
  const ended = new Promise<number>((resolve, reject) => child.once('error', reject).once('exit', (code) => resolve(code ?? -1)))
  const gone = ended.finally(() => {
    clearTimeout(timer)
    process.off('exit', kill)
    kill() // what it left in the background, which would keep its output open
  })
  const [stdout, stderr, code] = await Promise.all([text(child.stdout), text(child.stderr), gone])
  return { stdout, stderr, code }
}

/** The program's own group: itself, and all it has started. */
export function endGroup(pid: number | undefined): void {
  try {
    if (pid !== undefined) process.kill(-pid, 'SIGKILL')
  } catch {
    // gone already
  }
}

/** Of programs that act as the cluster's administrator. */
export function environment(cluster: Access): Record<string, string> {
  const home = cluster.folder
  const path = [dirname(HELMS[4]), dirname(KUBECTL), dirname(process.execPath), process.env['PATH'] ?? '/usr/bin:/bin']
  const helm = { HELM_CACHE_HOME: join(home, 'helm'), HELM_CONFIG_HOME: join(home, 'helm'), HELM_DATA_HOME: join(home, 'helm') }
  return { PATH: path.join(':'), HOME: home, KUBECONFIG: cluster.kubeconfig, ...helm }
}

/** kubectl's standard output, without its last line end. Rejects with its words when it fails. */
export async function kubectl(
  cluster: Cluster,
  args: readonly string[],
  options: { readonly stdin?: string; readonly timeoutMs?: number } = {},
): Promise<string> {
  const { stdout, stderr, code } = await cluster.kubectl(args, options)
  if (code !== 0) throw new Error(`kubectl ${args.join(' ')} ended with ${code}\n${stderr}${stdout}`)
  return stdout.replace(/\n$/, '')
}

/** "http://10.96.0.17:80": the address of a Service, for the story's own process, which is on the node and has no DNS of the cluster. */
export async function serviceUrl(cluster: Cluster, namespace: string, name: string): Promise<string> {
  const address = await kubectl(cluster, [
    '-n',
    namespace,
    'get',
    'service',
    name,
    '-o',
    'jsonpath={.spec.clusterIP}:{.spec.ports[0].port}',
  ])
  return `http://${address}`
}

/** Creates it, with restricted Pod Security enforced, unless it is there; ready for Pods when this resolves. */
export async function restrictedNamespace(cluster: Cluster, name: string, labels: Readonly<Record<string, string>> = {}): Promise<void> {
  const enforced = { 'pod-security.kubernetes.io/enforce': 'restricted', ...labels }
  await cluster.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels: enforced } })
  await kubectl(cluster, ['-n', name, 'wait', '--for=create', '--timeout=30s', 'serviceaccount/default', 'configmap/kube-root-ca.crt'])
}

/** For the text of a failure: Pods, what happened last, and the ends of the logs, of a namespace. Never rejects. */
export async function stateOf(cluster: Cluster, namespace: string): Promise<string> {
  const ask = async (...args: readonly string[]): Promise<string> => {
    const { stdout, stderr } = await cluster.kubectl(['-n', namespace, ...args])
    return `$ kubectl ${args.join(' ')}\n${stdout}${stderr}`
  }
  const pods = await cluster.request('GET', `/api/v1/namespaces/${namespace}/pods`)
  const names = itemsOf(pods.body).map((pod) => textAt(pod, 'metadata', 'name'))
  const logs = names.slice(0, 10).map((name) => ask('logs', name, '--all-containers', '--tail=15'))
  const said = [ask('get', 'pods', '-o', 'wide'), ask('get', 'events', '--sort-by=.lastTimestamp'), ...logs]
  return (await Promise.all(said)).join('\n')
}

function itemsOf(list: unknown): readonly unknown[] {
  return typeof list === 'object' && list !== null && 'items' in list && Array.isArray(list.items) ? list.items : []
}
