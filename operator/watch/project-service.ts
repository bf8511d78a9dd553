import type { ServicePort, ServiceResource } from '../resources/snapshot.ts'
import type { Fields } from '../validate/problem.ts'
import { fieldsOf, listOf, oneOf, textOf, textsOf } from '../validate/raw-fields.ts'
import { projectName } from './project-metadata.ts'

const TYPES = ['ClusterIP', 'NodePort', 'LoadBalancer', 'ExternalName'] as const
const HEADLESS = 'None'

export function projectService(raw: Fields): ServiceResource {
  const { type, clusterIPs, externalName, ports } = fieldsOf(raw['spec'])
  return {
    metadata: projectName(raw),
    type: oneOf(TYPES, type) ?? 'ClusterIP',
    clusterIPs: textsOf(clusterIPs).filter((address) => address !== '' && address !== HEADLESS),
    ...(textOf(externalName) === '' ? {} : { externalName: textOf(externalName) }),
    ports: listOf(ports).flatMap(projectPort),
  }
}

function projectPort({ name, port }: Fields): readonly ServicePort[] {
  return typeof port === 'number' ? [{ name: textOf(name), port }] : []
}
