/** Ends the process of a container as the kernel's out-of-memory killer does. The kubelet starts another in the same Pod, with its volumes. */
import { readdirSync, readFileSync } from 'node:fs'
import { textAt, valueAt } from '../../support/control-plane/api.ts'
import type { Cluster } from '../../support/control-plane/cluster.ts'
import { eventually } from '../../support/eventually.ts'

/** Of the Pod's only container; resolves when the next one is ready. */
export async function crashContainer(cluster: Cluster, namespace: string, pod: string): Promise<void> {
  const status = async (): Promise<unknown> =>
    valueAt(await cluster.ask('GET', `/api/v1/namespaces/${namespace}/pods/${pod}`), 'status', 'containerStatuses', 0)
  const id = textAt(await status(), 'containerID').replace('containerd://', '')
  const processes = processesOf(id)
  if (processes.length === 0) throw new Error(`no process of ${pod} (${id}) can be seen from here`)
  for (const pid of processes) process.kill(pid, 'SIGKILL')
  await eventually(async () => {
    const now = await status()
    if (valueAt(now, 'ready') !== true || textAt(now, 'containerID').includes(id)) throw new Error(`${pod}: ${JSON.stringify(now)}`)
  }, 30_000)
}

/** By their control group, which the runtime names after the container. Pods' processes are seen from the process namespace of the node's parent. */
function processesOf(container: string): readonly number[] {
  const pids = readdirSync('/proc').map(Number).filter(Number.isInteger)
  return pids.filter((pid) => cgroupsOf(pid).includes(container))
}

function cgroupsOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cgroup`, 'utf8')
  } catch {
    return '' // has ended
  }
}
