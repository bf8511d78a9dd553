import type { BackendPort, BackendService } from '../resources/crds.generated.ts'
import { type EndpointSliceResource, objectKey, type ServicePort, type ServiceResource } from '../resources/snapshot.ts'
import { type Found, leftOut, placeAt } from './found.ts'
import { isOwn, isOwnPod, type Seeker, strayAddress } from './hosts.ts'
import { type Problem, problem } from './problems.ts'
import { readUrl } from './url-places.ts'

interface Question {
  readonly spec: BackendService
  readonly object: string
  /** Path of `service`. */
  readonly at: string
  readonly seeker: Seeker
}

/** A backend's `service`: its ready pods, one by one, or its own address. A Service without a ready pod is no mistake: it has no place now. */
export function findService(question: Question): Found {
  const { spec, object, at, seeker } = question
  const service = seeker.lookups.service(`${seeker.namespace}/${spec.name}`)
  if (service === undefined) return leftOut(problem('ServiceNotFound', object, `${at}.name`, spec.name))
  if (service.type === 'ExternalName') return findExternal(service, question)
  const port = service.ports.find(({ name, port: number }) =>
    spec.port.name === undefined ? number === spec.port.number : name === spec.port.name,
  )
  if (port === undefined) return leftOut(problem('ServicePortNotFound', object, `${at}.port`, spec.name, spelled(spec.port)))
  return spec.resolution === 'ClusterIP' ? findOwnAddress(service, port, question) : findPods(service, port, question)
}

export const spelled = ({ number, name }: BackendPort): string => name ?? String(number)

function findExternal({ externalName = '', ports }: ServiceResource, { spec, object, at, seeker }: Question): Found {
  // The ports of an ExternalName do nothing in the cluster and are often left out: a number stands for itself.
  const port = spec.port.number ?? ports.find(({ name }) => name === spec.port.name)?.port
  if (port === undefined) return leftOut(problem('ServicePortNotFound', object, `${at}.port`, spec.name, spelled(spec.port)))
  const place = readUrl(`${spec.scheme.toLowerCase()}://${externalName}:${port}${spec.basePath}`, object, at, seeker)
  return 'code' in place ? leftOut(place) : { places: [place], problems: [] }
}

function findOwnAddress(service: ServiceResource, port: ServicePort, { spec, object, at, seeker }: Question): Found {
  const [address] = service.clusterIPs
  if (address === undefined) return leftOut(problem('ServiceHeadless', object, `${at}.resolution`, spec.name))
  const forbidden = forbiddenAddress(service, address, seeker)
  if (forbidden !== undefined) return leftOut(problem('AddressForbidden', object, at, forbidden))
  return { places: [placeAt(address, port.port, spec)], problems: [] }
}

/** Of a Service's own address: itself, or one that the cluster would send its requests to. */
function forbiddenAddress({ metadata }: ServiceResource, address: string, seeker: Seeker): string | undefined {
  if (!seeker.policy.permits(address, isOwn(seeker))) return strayAddress(objectKey(metadata), seeker) ?? address
  return strayAddress(objectKey(metadata), seeker)
}

/** The Service's own address is the last resort: it still works when pods have moved and nobody told the proxy. */
function findPods(service: ServiceResource, port: ServicePort, { spec, object, at, seeker }: Question): Found {
  const slices = seeker.lookups.slices(`${seeker.namespace}/${spec.name}`)
  const all = targetsIn(ofOneFamily(slices, service), port.name)
  const permitted = all.filter(({ address }) => seeker.policy.permits(address, isOwnPod(seeker)))
  const [address] = service.clusterIPs
  return {
    places: taking(permitted).map((target) => placeAt(target.address, target.port, spec)),
    lastResort:
      address === undefined || forbiddenAddress(service, address, seeker) !== undefined ? undefined : placeAt(address, port.port, spec),
    problems: [...forbidden(all, permitted, object, at), ...byName(slices, spec, object, at)],
  }
}

/** A Service of two families has a slice of each with the same pods: one of them says all. */
function ofOneFamily(slices: readonly EndpointSliceResource[], { clusterIPs: [first] }: ServiceResource): readonly EndpointSliceResource[] {
  const [primary, other] = first?.includes(':') === true ? (['IPv6', 'IPv4'] as const) : (['IPv4', 'IPv6'] as const)
  const of = (family: string): readonly EndpointSliceResource[] => slices.filter(({ addressType }) => addressType === family)
  return of(primary).length > 0 ? of(primary) : of(other)
}

interface Target {
  readonly address: string
  readonly port: number
  readonly draining: boolean
}

/** Endpoints that take requests, or do while they end. Of the addresses of one any will do. */
function targetsIn(slices: readonly EndpointSliceResource[], portName: string): readonly Target[] {
  return slices.flatMap(({ ports, endpoints }) => {
    const port = ports.find(({ name }) => name === portName)?.port
    if (port === undefined) return []
    return endpoints.flatMap(({ addresses: [address], ready, serving, terminating }) => {
      if (address === undefined || !(ready || (serving && terminating))) return []
      return [{ address, port, draining: terminating }]
    })
  })
}

/** Those that end take new requests only when there are no others. */
function taking(targets: readonly Target[]): readonly Target[] {
  const open = targets.filter(({ draining }) => !draining)
  return open.length > 0 ? open : targets
}

function forbidden(all: readonly Target[], permitted: readonly Target[], object: string, at: string): readonly Problem[] {
  const [first, ...more] = new Set(all.filter((target) => !permitted.includes(target)).map(({ address }) => address))
  if (first === undefined) return []
  return [problem('AddressForbidden', object, at, first, more.length === 0 ? '' : String(more.length))]
}

const byName = (slices: readonly EndpointSliceResource[], { name }: BackendService, object: string, at: string): readonly Problem[] =>
  slices.some(({ addressType }) => addressType === 'FQDN') ? [problem('EndpointsByName', object, at, name)] : []
