/**
 * A real node with a control plane of its own: etcd, Kubernetes, containerd, CoreDNS, in namespaces for network, mounts and processes. In: a
 * name, and what prepare.ts made. Out: a cluster that answers, in its own network only. Root is needed. Nothing of the machine is changed
 * but for a folder and cgroups, and those go with the node, however it ends.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, openSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { HELMS, KUBECTL } from '../../../scripts/fetch-kube-tools.ts'
import { writeAuthority } from '../control-plane/authority.ts'
import { writeKubeconfig } from '../control-plane/tokens.ts'
import { eventually } from '../eventually.ts'
import { type Layout, layoutOf, NODE_ADDRESS } from './layout.ts'
import { NODE_PACKAGES } from './packages.ts'
import { copyRoot, type Prepared } from './prepare.ts'

const HERE = import.meta.dirname
const GONE_WITHIN_MS = 15_000
const UP_WITHIN_MS = 120_000

/** Who the programs of a node are to its API server; each has a token that is its name. */
const ACCOUNTS: readonly (readonly [name: string, user: string, group: string])[] = [
  ['admin', 'admin', 'system:masters'],
  ['controller-manager', 'system:kube-controller-manager', ''],
  ['scheduler', 'system:kube-scheduler', ''],
  ['kube-proxy', 'system:kube-proxy', ''],
  ['kubelet', 'system:node:node1', 'system:nodes'],
]

/**
 * Resolves when the node is Ready and DNS answers. "tied": it ends with this process; "free": it stays until `removeNode`. One of that name
 * that is there already is removed first.
 */
export async function startNode(name: string, { program, containerd }: Prepared, life: 'tied' | 'free'): Promise<Layout> {
  if (process.getuid?.() !== 0) throw new Error('A node needs root.')
  await removeNode(name)
  const layout = layoutOf(name)
  await writeState(layout, program, containerd)
  const outer = runOuter(layout, life)
  try {
    await eventually(async () => readFileSync(layout.firstFile), 5000)
    await settled(layout, outer)
  } catch (error) {
    const why = new Error(
      `The node "${name}" did not come up: ${error instanceof Error ? error.message : String(error)}\n${lastWords(layout)}`,
    )
    await removeNode(name)
    throw why
  }
  return layout
}

/** Ends it and removes what is left of it; well too when there is none. */
export async function removeNode(name: string): Promise<void> {
  const { state, cgroup, firstFile } = layoutOf(name)
  if (!existsSync(state)) return
  const first = existsSync(firstFile) ? Number(readFileSync(firstFile, 'utf8')) : 0
  if (isFirstOf(first, state)) process.kill(first, 'SIGKILL')
  await eventually(
    async () => {
      if (existsSync(state)) throw new Error(`${state} is still there`)
    },
    first === 0 ? 0 : GONE_WITHIN_MS,
  ).catch(() => spawnSync('sh', [join(HERE, 'clean.sh'), state, cgroup], { stdio: 'inherit' }))
  await rm(state, { recursive: true, force: true })
}

/** Process ids are given again. */
function isFirstOf(pid: number, state: string): boolean {
  try {
    const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')
    return pid > 1 && command.includes(state) && command.some((part) => part.endsWith('inner.sh'))
  } catch {
    return false
  }
}

async function writeState({ state, cgroup, access, accessFile }: Layout, program: string, containerd: string): Promise<void> {
  for (const folder of ['bin', 'config', 'etcd', 'home', 'kubelet', 'links', 'log/pods', 'packages'])
    mkdirSync(join(state, folder), { recursive: true })
  cpSync(join(HERE, 'config'), join(state, 'config'), { recursive: true })
  const kubelet = join(state, 'config', 'kubelet.yaml')
  writeFileSync(kubelet, readFileSync(kubelet, 'utf8').replace('@CGROUP@', cgroup))
  await copyRoot(join(containerd, 'root'), join(state, 'containerd'))
  symlinkSync(program, join(state, 'links', 'program'))
  symlinkSync(NODE_PACKAGES, join(state, 'links', 'packages'))
  writeFileSync(join(state, 'program'), '')
  for (const [tool, path] of [
    ['kubectl', KUBECTL],
    ['helm', HELMS[4]],
    ['helm3', HELMS[3]],
  ] as const)
    symlinkSync(path, join(state, 'bin', tool))
  await writeAuthority(state, [NODE_ADDRESS, '10.96.0.1'])
  const tokens = ACCOUNTS.map(([name, user, group]) => [`${name}-token`, user, name, ...(group === '' ? [] : [group])].join(','))
  writeFileSync(join(state, 'tokens.csv'), `${tokens.join('\n')}\n`, { mode: 0o600 })
  for (const [name] of ACCOUNTS.slice(1))
    writeKubeconfig(join(state, `${name}.kubeconfig`), { url: access.url, caFile: '/mnt/ca.crt' }, { token: `${name}-token` })
  writeKubeconfig(access.kubeconfig, access, { token: access.adminToken })
  writeFileSync(accessFile, JSON.stringify(access), { mode: 0o600 })
}

function runOuter({ state, cgroup }: Layout, life: 'tied' | 'free'): ChildProcess {
  const log = openSync(join(state, 'log', 'outer.log'), 'a')
  const outer = spawn('sh', [join(HERE, 'outer.sh'), state, cgroup, life], {
    cwd: '/',
    detached: true,
    stdio: [life === 'tied' ? 'pipe' : 'ignore', log, log],
  })
  outer.unref()
  return outer
}

/** settle.ts does the rest, from inside its network. */
async function settled(layout: Layout, outer: ChildProcess): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const child = spawn('sh', [join(HERE, 'in.sh'), layout.state, process.execPath, join(HERE, 'settle.ts')], {
    stdio: ['ignore', 'inherit', 'pipe'],
    timeout: UP_WITHIN_MS,
  })
  let said = ''
  child.stderr.on('data', (bytes: Buffer) => {
    said += bytes.toString()
  })
  child.once('error', reject).once('close', (code) => (code === 0 ? resolve() : reject(new Error(said))))
  outer.once('close', (code) => reject(new Error(`it ended with ${code}`)))
  await promise
}

function lastWords({ state, access }: Layout): string {
  const { stdout } = spawnSync('sh', ['-c', 'tail -n 5 -- "$1"/*.log', 'sh', access.logs], { encoding: 'utf8', cwd: state })
  return stdout
}
