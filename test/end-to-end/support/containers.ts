/** Containers as the machine sees them: their first process, and the memory that their cgroups count. The node's processes are the machine's. */
import { readdirSync, readFileSync } from 'node:fs'
import { listAt, textAt, valueAt } from '../../support/control-plane/api.ts'
import type { Cluster } from '../../support/control-plane/cluster.ts'

export interface ContainerProcess {
  readonly pid: number
  /** Milliseconds since the epoch, right to 20 ms. */
  readonly startedAtMs: number
  /** Of /proc/PID/status: "NoNewPrivs" → "1". */
  readonly status: Readonly<Record<string, string>>
}

const TICK_MS = 10

/** Of a container that runs, of a Pod as the API server has it. Throws when there is none. */
export function processOf(pod: unknown, container: string): ContainerProcess {
  const id = idOf(pod, container)
  const pid = readdirSync('/proc').find((name) => /^\d+$/.test(name) && fileOf(name, 'cgroup').includes(id))
  if (pid === undefined) throw new Error(`no process of the container ${container} ${id}`)
  const lines = fileOf(pid, 'status').split('\n')
  const status = Object.fromEntries(lines.map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1).trim()]))
  return { pid: Number(pid), startedAtMs: startOf(pid), status }
}

function idOf(pod: unknown, container: string): string {
  const statuses = [...listAt(pod, 'status', 'containerStatuses'), ...listAt(pod, 'status', 'initContainerStatuses')]
  const status = statuses.find((one) => valueAt(one, 'name') === container)
  return textAt(status, 'containerID').replace('containerd://', '')
}

/** '' where the process has gone. */
function fileOf(pid: string, name: string): string {
  try {
    return readFileSync(`/proc/${pid}/${name}`, 'utf8')
  } catch {
    return ''
  }
}

function startOf(pid: string): number {
  const stat = fileOf(pid, 'stat')
  const [ticks = 0] = stat
    .slice(stat.lastIndexOf(')') + 2)
    .split(' ')
    .slice(19)
    .map(Number)
  const [upSeconds = 0] = readFileSync('/proc/uptime', 'utf8').split(' ').map(Number)
  return Date.now() - upSeconds * 1000 + ticks * TICK_MS
}

/** "namespace/pod/container" → MiB that count towards its limit, as the kubelet last looked. */
export async function workingSets(cluster: Cluster): Promise<ReadonlyMap<string, number>> {
  const summary = await cluster.ask('GET', '/api/v1/nodes/node1/proxy/stats/summary')
  const sets = listAt(summary, 'pods').flatMap((pod) =>
    listAt(pod, 'containers').map((container): [string, number] => [
      [textAt(pod, 'podRef', 'namespace'), textAt(pod, 'podRef', 'name'), textAt(container, 'name')].join('/'),
      Number(valueAt(container, 'memory', 'workingSetBytes')) / 2 ** 20,
    ]),
  )
  return new Map(sets)
}
