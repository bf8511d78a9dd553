/** What the suites of leadership and reports stand on: clients of an API server that count what they ask, and waits that end. */
import { KubeConfig } from '@kubernetes/client-node'
import { KubeClient, type RequestRecord } from '../../operator/kube/client.ts'
import type { Fields } from '../../operator/validate/problem.ts'
import type { Cluster } from '../support/control-plane/cluster.ts'

export type Server = Pick<Cluster, 'url' | 'ca' | 'adminToken'>

const kubeConfigOf = ({ url, ca, adminToken: token }: Server): KubeConfig => {
  const config = new KubeConfig()
  const cluster = { name: 'c', server: url, caData: Buffer.from(ca).toString('base64'), skipTLSVerify: false }
  config.loadFromClusterAndUser(cluster, { name: 'u', token })
  return config
}

/** A client, and what it has asked so far. */
export class Counted {
  readonly records: RequestRecord[] = []
  readonly client: KubeClient

  constructor(server: Server) {
    this.client = new KubeClient({ load: () => kubeConfigOf(server), onRequest: (record) => void this.records.push(record) })
  }

  get writes(): number {
    return this.records.filter(({ method }) => method !== 'GET').length
  }

  get(path: string): Promise<Fields> {
    return this.client.get(path, within())
  }

  async create(path: string, object: Fields): Promise<Fields> {
    return this.client.create(path, object, within())
  }
}

export const within = (ms = 10_000): { readonly signal: AbortSignal } => ({ signal: AbortSignal.timeout(ms) })

/** Resolves once `holds` says so, asked again after each `poke`. */
export class Waiter {
  readonly #waiting = new Set<() => void>()

  readonly poke = (): void => {
    for (const look of this.#waiting) look()
  }

  until(holds: () => boolean, withinMs: number, what: string): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiting.delete(look)
        reject(new Error(`not within ${withinMs} ms: ${what}`))
      }, withinMs)
      const look = (): void => {
        if (!holds()) return
        clearTimeout(timer)
        this.#waiting.delete(look)
        resolve()
      }
      this.#waiting.add(look)
      look()
    })
  }
}
