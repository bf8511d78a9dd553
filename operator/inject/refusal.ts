import type { Fields } from '../validate/problem.ts'
import { fieldsOf, listOf, textMapOf } from '../validate/raw-fields.ts'
import {
  CONTAINER_NAME,
  EXCLUDED_NAMESPACES,
  INJECT,
  INJECTED,
  PUSH_VOLUME,
  QUITS,
  type Refusal,
  type RefusalReason,
  SIDECAR_LABEL,
  type SidecarSettings,
  TABLE_VOLUME,
} from './names.ts'
import { conflictOf, PORTS, type SidecarPorts } from './ports.ts'

/** A Pod as the API server sends it, taken apart. */
export interface PodParts {
  readonly namespace: string
  readonly labels: Readonly<Record<string, string>>
  readonly annotations: Readonly<Record<string, string>>
  readonly spec: Fields
  readonly containers: readonly Fields[]
  readonly initContainers: readonly Fields[]
  readonly volumes: readonly Fields[]
}

export function partsOf(pod: Fields, namespace: string): PodParts {
  const { labels, annotations } = fieldsOf(pod['metadata'])
  const spec = fieldsOf(pod['spec'])
  return {
    namespace,
    labels: textMapOf(labels),
    annotations: textMapOf(annotations),
    spec,
    containers: listOf(spec['containers']),
    initContainers: listOf(spec['initContainers']),
    volumes: listOf(spec['volumes']),
  }
}

export const isOurs = ({ name }: Fields): boolean => name === CONTAINER_NAME

/** All but ours. */
export const othersOf = ({ containers, initContainers }: PodParts): readonly Fields[] =>
  [...initContainers, ...containers].filter((container) => !isOurs(container))

/** It was injected before: what another webhook has added since is still to be looked at. */
export const isInjected = ({ annotations, containers, initContainers }: PodParts): boolean =>
  annotations[INJECTED] !== undefined && [...initContainers, ...containers].some(isOurs)

/** Why a Pod is left as it is; undefined = it gets a sidecar. */
export function refusalOf(parts: PodParts, settings: SidecarSettings, ports: SidecarPorts): Refusal | undefined {
  const { spec, annotations, namespace } = parts
  const says = (reason: RefusalReason, message: string): Refusal => ({ reason, message })
  if (annotations[INJECT] !== 'true') return says('NotAsked', `The Pod has no annotation ${INJECT}: "true".`)
  if (namespace === settings.namespace || EXCLUDED_NAMESPACES.includes(namespace))
    return says('NamespaceExcluded', `Pods of namespace ${namespace} get no sidecar.`)
  if (isInjected(parts)) return undefined
  if (hasOwn(parts)) return says('HasOwn', 'The Pod has a sidecar of its own.')
  if (spec['hostNetwork'] === true)
    return says('HostNetwork', "A Pod on the network of its node gets no sidecar: its ports are the node's.")
  if (annotations['kubernetes.io/config.mirror'] !== undefined) return says('StaticPod', 'A static Pod gets no sidecar.')
  if (isWindows(spec)) return says('Windows', 'There is no sidecar for Windows.')
  if (settings.mode === 'Classic' && (spec['restartPolicy'] ?? 'Always') !== 'Always' && annotations[QUITS] !== 'true')
    return says('NeedsNative', `A Pod that is to end gets a classic sidecar only if its app ends it: ${QUITS}.`)
  const volume = parts.volumes.find(({ name }) => name === PUSH_VOLUME || name === TABLE_VOLUME)
  if (volume !== undefined) return says('NameTaken', `The sidecar needs the volume name ${String(volume['name'])}; choose another.`)
  const conflict = conflictOf(ports, othersOf(parts))
  if (conflict === undefined) return undefined
  const annotation = [PORTS.inference, PORTS.admin, PORTS.metrics].map((port) => port.annotation).join(', ')
  return says('PortConflict', `Port ${conflict}. Choose another for the sidecar: ${annotation}.`)
}

const hasOwn = ({ labels, annotations, containers, initContainers }: PodParts): boolean =>
  (labels[SIDECAR_LABEL] === 'true' && annotations[INJECTED] === undefined) || [...initContainers, ...containers].some(isOurs)

function isWindows(spec: Fields): boolean {
  return fieldsOf(spec['os'])['name'] === 'windows' || fieldsOf(spec['nodeSelector'])['kubernetes.io/os'] === 'windows'
}
