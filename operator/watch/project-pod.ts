import { sidecarOf } from '../inject/audit.ts'
import type { PodResource, ServicePort } from '../resources/snapshot.ts'
import type { Fields } from '../validate/problem.ts'
import { fieldsOf, listOf, oneOf, textMapOf, textOf } from '../validate/raw-fields.ts'
import { projectName } from './project-metadata.ts'

const PHASES = ['Pending', 'Running', 'Succeeded', 'Failed', 'Unknown'] as const

export function projectPod(raw: Fields): PodResource {
  const { uid, labels, deletionTimestamp } = fieldsOf(raw['metadata'])
  const spec = fieldsOf(raw['spec'])
  const sidecar = sidecarOf(raw)
  const { phase, conditions, podIP, podIPs } = fieldsOf(raw['status'])
  const ips = listOf(podIPs).flatMap(({ ip }) => (textOf(ip) === '' ? [] : [textOf(ip)]))
  return {
    metadata: { ...projectName(raw), labels: textMapOf(labels) },
    uid: textOf(uid),
    serviceAccount: textOf(spec['serviceAccountName']) || 'default',
    phase: oneOf(PHASES, phase) ?? 'Unknown',
    ready: listOf(conditions).some(({ type, status }) => type === 'Ready' && status === 'True'),
    terminating: deletionTimestamp !== undefined && deletionTimestamp !== null,
    ips: ips.length > 0 || textOf(podIP) === '' ? ips : [textOf(podIP)],
    ports: namedPorts(spec),
    ...(sidecar !== undefined && { sidecar }),
  }
}

function namedPorts({ containers, initContainers }: Fields): readonly ServicePort[] {
  const sidecars = listOf(initContainers).filter(({ restartPolicy }) => restartPolicy === 'Always')
  return [...sidecars, ...listOf(containers)].flatMap(({ ports }) =>
    listOf(ports).flatMap(({ name, containerPort }) =>
      textOf(name) === '' || typeof containerPort !== 'number' ? [] : [{ name: textOf(name), port: containerPort }],
    ),
  )
}
