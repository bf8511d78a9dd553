import { type Labels, type ObjectKey, objectKey, type PodResource, type ServiceResource } from '../resources/snapshot.ts'
import type { Changed } from './changes.ts'
import { byText } from './precedence.ts'

/** Pods and Services by what models ask for. Kept up to date at the cost of what changed, not of what there is. */
export interface ClusterIndex {
  /** Whether a pod has the address; the key is `addressKey`'s. */
  isPod(key: string): boolean
  /** The Services that have the address. */
  servicesAt(key: string): readonly ObjectKey[]
  podsWith(namespace: string, labels: Labels): readonly PodResource[]
  /** Takes over what changed. Gives the keys of addresses that came, went or changed hands. */
  apply(pods: Changed<PodResource>, services: Changed<ServiceResource>): ReadonlySet<string>
}

export const addressKey = (namespace: string, address: string): string => `${namespace} ${address}`

export const hasLabels = ({ metadata }: PodResource, labels: Labels): boolean =>
  Object.entries(labels).every(([name, value]) => metadata.labels[name] === value)

export function makeClusterIndex(): ClusterIndex {
  /** Pods on one host's network share its address. */
  const podCounts = new Map<string, number>()
  const services = new Map<string, Set<ObjectKey>>()
  const byLabel: ByLabel = new Map()
  const servicesAt = (key: string): readonly ObjectKey[] => [...(services.get(key) ?? [])].sort(byText)
  const ownerOf = (key: string): string => `${podCounts.has(key)} ${servicesAt(key).join(' ')}`
  const count = (key: string, by: 1 | -1): void => {
    const left = (podCounts.get(key) ?? 0) + by
    if (left === 0) podCounts.delete(key)
    else podCounts.set(key, left)
  }
  return {
    isPod: (key) => podCounts.has(key),
    servicesAt,
    podsWith: (namespace, labels) => select(byLabel, namespace, labels),
    apply(changedPods, changedServices) {
      const pods = [...changedPods.values()].map((pod) => ({ ...pod, gone: podAddresses(pod.before), come: podAddresses(pod.after) }))
      const moved = [...changedServices].map(([name, { before, after }]) => ({ name, gone: addressesOf(before), come: addressesOf(after) }))
      const owners = new Map([...pods, ...moved].flatMap(({ gone, come }) => [...gone, ...come]).map((key) => [key, ownerOf(key)]))
      for (const { before, gone } of pods) {
        for (const key of gone) count(key, -1)
        if (before !== undefined) unlist(byLabel, before)
      }
      for (const { after, come } of pods) {
        for (const key of come) count(key, 1)
        if (after !== undefined) list(byLabel, after)
      }
      for (const { name, gone } of moved) for (const key of gone) removeFrom(services, key, name)
      for (const { name, come } of moved) for (const key of come) addTo(services, key, name)
      return new Set([...owners].flatMap(([key, owner]) => (owner === ownerOf(key) ? [] : [key])))
    },
  }
}

function addTo(sets: Map<string, Set<string>>, key: string, item: string): void {
  sets.set(key, (sets.get(key) ?? new Set<string>()).add(item))
}

function removeFrom(sets: Map<string, Set<string>>, key: string, item: string): void {
  const set = sets.get(key)
  set?.delete(item)
  if (set?.size === 0) sets.delete(key)
}

/** A pod that has ended keeps its address in its status while another pod may have it already. */
function podAddresses(pod: PodResource | undefined): readonly string[] {
  if (pod === undefined || pod.phase === 'Succeeded' || pod.phase === 'Failed') return []
  return pod.ips.map((address) => addressKey(pod.metadata.namespace, address))
}

const addressesOf = (service: ServiceResource | undefined): readonly string[] =>
  (service?.clusterIPs ?? []).map((address) => addressKey(service?.metadata.namespace ?? '', address))

type ByLabel = Map<string, Map<ObjectKey, PodResource>>

const labelKey = (namespace: string, name: string, value: string): string => `${namespace} ${name}=${value}`

const labelKeys = ({ metadata: { namespace, labels } }: PodResource): readonly string[] =>
  Object.entries(labels).map(([name, value]) => labelKey(namespace, name, value))

function list(byLabel: ByLabel, pod: PodResource): void {
  for (const key of labelKeys(pod)) {
    const pods = byLabel.get(key) ?? new Map<ObjectKey, PodResource>()
    byLabel.set(key, pods.set(objectKey(pod.metadata), pod))
  }
}

function unlist(byLabel: ByLabel, pod: PodResource): void {
  for (const key of labelKeys(pod)) {
    const pods = byLabel.get(key)
    pods?.delete(objectKey(pod.metadata))
    if (pods?.size === 0) byLabel.delete(key)
  }
}

/** By the rarest of the labels; the schema asks for one at least. */
function select(byLabel: ByLabel, namespace: string, labels: Labels): readonly PodResource[] {
  const sets = Object.entries(labels).map(([name, value]) => byLabel.get(labelKey(namespace, name, value)))
  const [rarest] = sets.sort((a, b) => (a?.size ?? 0) - (b?.size ?? 0))
  const found = [...(rarest?.values() ?? [])].filter((pod) => hasLabels(pod, labels))
  return found.sort((a, b) => byText(a.metadata.name, b.metadata.name))
}
