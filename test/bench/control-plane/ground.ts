/**
 * The ground the control plane's benchmark stands on: a real API server, a namespace with models, an installation's rights, and pods whose
 * tokens the proxies have. All of it ends with `close()`.
 */
import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Cluster } from '../../support/control-plane/cluster.ts'
import { startControlPlane } from '../../support/control-plane/control-plane.ts'
import { ROOT } from '../../support/program.ts'
import type { ProxyFiles } from './messages.ts'
import { type ModelSize, objectsOf } from './sizes.ts'

export interface Ground {
  readonly cluster: Cluster
  /** The operator's own. */
  readonly own: string
  /** The one it serves. */
  readonly served: string
  readonly operatorKubeconfig: string
  readonly proxies: readonly ProxyFiles[]
  write(models: readonly ModelSize[]): Promise<void>
  close(): Promise<void>
}

export interface GroundOptions {
  readonly gateways: number
  readonly sidecars: number
}

const AT_ONCE = 16
const SERVICE_ACCOUNT = 'llama-swap-operator'

export async function prepareGround({ gateways, sidecars }: GroundOptions): Promise<Ground> {
  const plane = await startControlPlane()
  try {
    await plane.installCrds()
    const [own, served] = [await plane.namespace(), await plane.namespace()]
    await plane.apply(printRights(own, served))
    const { kubeconfig } = await plane.serviceAccountKubeconfig({ namespace: own, name: SERVICE_ACCOUNT })
    const pods = [
      ...Array.from({ length: gateways }, (_, index) => ({ mode: 'Gateway' as const, namespace: own, name: `gateway-${index}` })),
      ...Array.from({ length: sidecars }, (_, index) => ({ mode: 'Sidecar' as const, namespace: served, name: `app-${index}` })),
    ]
    await plane.makeNode('node-a')
    return {
      cluster: plane,
      own,
      served,
      operatorKubeconfig: kubeconfig,
      proxies: await inParallel(pods, (pod) => makeProxy(plane, pod)),
      write: async (models) => {
        await inParallel(models, async (model) => {
          for (const { collection, manifest } of objectsOf(served, model)) await plane.ask('POST', collection, manifest)
        })
      },
      close: () => plane.stop(),
    }
  } catch (error) {
    await plane.stop()
    throw error
  }
}

function printRights(own: string, served: string): string {
  const args = ['operator', '--print-rbac', '--namespace', own, '--namespaces', served]
  return execFileSync(process.execPath, [join(ROOT, 'dist/cli.mjs'), ...args], { encoding: 'utf8' })
}

interface ProxyPod {
  readonly mode: ProxyFiles['mode']
  readonly namespace: string
  readonly name: string
}

async function makeProxy(cluster: Cluster, { mode, namespace, name }: ProxyPod): Promise<ProxyFiles> {
  const serviceAccount = mode === 'Gateway' ? 'llama-swap-gateway' : 'app'
  const pod = await cluster.makePod({ namespace, name, serviceAccount })
  const token = await cluster.token({ namespace, serviceAccount, audience: 'llama-swap-push', pod: name, expirationSeconds: 7200 })
  const tokenFile = join(cluster.folder, `${pod.uid}.token`)
  writeFileSync(tokenFile, token, { mode: 0o600 })
  return { mode, tokenFile }
}

/** In the order of `items`. */
async function inParallel<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = []
  const waiting = [...items.entries()]
  const worker = async (): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) results[next[0]] = await work(next[1])
  }
  await Promise.all(Array.from({ length: AT_ONCE }, worker))
  return results
}
