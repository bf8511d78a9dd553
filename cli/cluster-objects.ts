/** What the API server says of an installation, parsed: its LlamaModels and RoutingPolicies with their status, and its leader Lease. */
import { ApiError } from '../operator/kube/api-error.ts'
import type { KubeClient } from '../operator/kube/client.ts'
import { type LeaseName, type LeaseRecord, leasePath, parseLease } from '../operator/lead/lease.ts'
import { type Fields, isFields } from '../operator/validate/problem.ts'
import { listPages } from '../operator/watch/list-pages.ts'

export type ObjectKind = 'LlamaModel' | 'RoutingPolicy'

export interface Condition {
  readonly type: string
  readonly status: string
  readonly reason: string
  readonly message: string
}

export interface ClusterObject {
  readonly kind: ObjectKind
  /** "namespace/name" */
  readonly ref: string
  readonly generation: number
  /** Undefined = it has no status. */
  readonly observedGeneration: number | undefined
  readonly conditions: readonly Condition[]
  /** Ready and all: endpoints of a LlamaModel, rules of a RoutingPolicy. Undefined while there is no status. */
  readonly parts: { readonly ready: number; readonly total: number } | undefined
  /** Gateways that have its newest version, and all. */
  readonly programmed: { readonly acked: number; readonly proxies: number } | undefined
}

const RESOURCES: readonly { readonly kind: ObjectKind; readonly resource: string }[] = [
  { kind: 'LlamaModel', resource: 'llamamodels' },
  { kind: 'RoutingPolicy', resource: 'routingpolicies' },
]

/** `namespace` absent = of all. Rejects with an ApiError. */
export async function readObjects(
  client: KubeClient,
  namespace: string | undefined,
  signal: AbortSignal,
): Promise<readonly ClusterObject[]> {
  const objects: ClusterObject[] = []
  for (const { kind, resource } of RESOURCES) {
    const collection = { group: 'llamaswap.dev', version: 'v1alpha1', resource, ...(namespace !== undefined && { namespace }) }
    for await (const { items } of listPages(client, collection, signal)) objects.push(...items.map((item) => parseObject(kind, item)))
  }
  return objects
}

export type LeaseSeen =
  | { readonly lease: LeaseName; readonly record: LeaseRecord }
  | { readonly lease: LeaseName; readonly because: string }

/** Never rejects for what the API server answers: who may not read Leases still sees the objects. */
export async function readLease(client: KubeClient, lease: LeaseName, signal: AbortSignal): Promise<LeaseSeen> {
  try {
    return { lease, record: parseLease(await client.get(leasePath(lease), { signal })).record }
  } catch (error) {
    if (!(error instanceof ApiError)) throw error
    return { lease, because: error.status === 404 ? 'there is no such Lease' : error.message }
  }
}

export function parseObject(kind: ObjectKind, raw: Fields): ClusterObject {
  const [metadata, status] = [fieldsOf(raw['metadata']), fieldsOf(raw['status'])]
  const observed = status['observedGeneration']
  const programmed = status['programmed']
  return {
    kind,
    ref: `${textOf(metadata['namespace'])}/${textOf(metadata['name'])}`,
    generation: numberOf(metadata['generation']),
    observedGeneration: typeof observed === 'number' ? observed : undefined,
    conditions: listOf(status['conditions']).map(conditionOf),
    parts: kind === 'LlamaModel' ? endpointsOf(status['endpoints']) : rulesOf(status['rules']),
    programmed: isFields(programmed) ? { acked: numberOf(programmed['acked']), proxies: numberOf(programmed['proxies']) } : undefined,
  }
}

const conditionOf = (raw: Fields): Condition => ({
  type: textOf(raw['type']),
  status: textOf(raw['status']),
  reason: textOf(raw['reason']),
  message: textOf(raw['message']),
})

const endpointsOf = (raw: unknown): ClusterObject['parts'] =>
  isFields(raw) ? { ready: numberOf(raw['ready']), total: numberOf(raw['total']) } : undefined

function rulesOf(raw: unknown): ClusterObject['parts'] {
  const rules = listOf(raw)
  return Array.isArray(raw) ? { ready: rules.filter(({ ready }) => ready === true).length, total: rules.length } : undefined
}

const fieldsOf = (value: unknown): Fields => (isFields(value) ? value : {})
const listOf = (value: unknown): readonly Fields[] => (Array.isArray(value) ? value.filter(isFields) : [])
const textOf = (value: unknown): string => (typeof value === 'string' ? value : '')
const numberOf = (value: unknown): number => (typeof value === 'number' ? value : 0)
