/** Where a node lies and how it is reached, by its name. Outside its own namespaces it is a folder below `.tools/`, and cgroups. */
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { TOOLS_DIR } from '../../../scripts/engine/files.ts'
import type { Access } from '../control-plane/cluster.ts'

export interface Layout {
  readonly state: string
  /** Its Pods' cgroups lie below this name. */
  readonly cgroup: string
  /** Holds its first process's id once there is one. */
  readonly firstFile: string
  readonly access: Access
  readonly accessFile: string
}

/** Of the node in its network, where it is the API server's too. */
export const NODE_ADDRESS = '10.99.0.1'
export const DNS_ADDRESS = '10.96.0.10'

/** Throws on a name that would not do as one of a folder. */
export function layoutOf(name: string): Layout {
  if (!/^[a-z0-9][a-z0-9-]{0,30}$/.test(name)) throw new Error(`"${name}" is no name for a node: lower-case letters, digits and "-"`)
  const state = join(TOOLS_DIR, 'one-node', name)
  return {
    state,
    // The same name in another checkout is another node.
    cgroup: `one-node-${name}-${createHash('sha256').update(state).digest('hex').slice(0, 6)}`,
    firstFile: join(state, 'first'),
    accessFile: join(state, 'access.json'),
    access: {
      url: `https://${NODE_ADDRESS}:6443`,
      caFile: join(state, 'ca.crt'),
      adminToken: 'admin-token',
      kubeconfig: join(state, 'admin.kubeconfig'),
      logs: join(state, 'log'),
      folder: join(state, 'home'),
      serviceCidr: '10.96.0.0/24',
    },
  }
}
