import type { EndpointSliceResource, SliceEndpoint } from '../resources/snapshot.ts'
import type { Fields } from '../validate/problem.ts'
import { fieldsOf, listOf, oneOf, textMapOf, textOf, textsOf } from '../validate/raw-fields.ts'
import { projectName } from './project-metadata.ts'

const SERVICE_LABEL = 'kubernetes.io/service-name'
const ADDRESS_TYPES = ['IPv4', 'IPv6', 'FQDN'] as const

/** Undefined for a slice that belongs to no Service: nothing can ask for it. */
export function projectSlice(raw: Fields): EndpointSliceResource | undefined {
  const service = textMapOf(fieldsOf(raw['metadata'])['labels'])[SERVICE_LABEL]
  const addressType = oneOf(ADDRESS_TYPES, raw['addressType'])
  if (service === undefined || addressType === undefined) return undefined
  return {
    metadata: projectName(raw),
    service,
    addressType,
    ports: listOf(raw['ports']).map(({ name, port }) => ({ name: textOf(name), ...(typeof port === 'number' ? { port } : {}) })),
    endpoints: listOf(raw['endpoints']).map(projectEndpoint),
  }
}

/** An absent `ready` means true, an absent `serving` the same as `ready`. */
function projectEndpoint({ addresses, conditions }: Fields): SliceEndpoint {
  const { ready = true, serving = ready, terminating = false } = fieldsOf(conditions)
  return { addresses: textsOf(addresses), ready: ready === true, serving: serving === true, terminating: terminating === true }
}
