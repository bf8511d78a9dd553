import type { Query } from '../kube/client.ts'

/** One list of the API server that is kept up to date: a kind in one namespace or in all, all of it or what a selector picks. */
export interface Collection {
  /** "" for the core group. */
  readonly group: string
  readonly version: string
  /** Plural, as in paths: "pods". */
  readonly resource: string
  /** Absent = all namespaces, or a kind without them. */
  readonly namespace?: string
  readonly labelSelector?: string
  readonly fieldSelector?: string
}

export function pathOf({ group, version, resource, namespace }: Collection): string {
  const api = group === '' ? `/api/${version}` : `/apis/${group}/${version}`
  return namespace === undefined ? `${api}/${resource}` : `${api}/namespaces/${namespace}/${resource}`
}

export const selectorsOf = ({ labelSelector, fieldSelector }: Collection): Query => ({ labelSelector, fieldSelector })

/** "pods in all namespaces", "secrets key-a in namespace x" */
export function describe({ resource, namespace, fieldSelector }: Collection): string {
  const name = fieldSelector?.replace('metadata.name=', ' ') ?? ''
  return `${resource}${name} in ${namespace === undefined ? 'all namespaces' : `namespace ${namespace}`}`
}
