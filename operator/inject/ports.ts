import type { Fields } from '../validate/problem.ts'
import { fieldsOf, listOf } from '../validate/raw-fields.ts'

export interface SidecarPorts {
  /** On 127.0.0.1, as `admin`. */
  readonly inference: number
  readonly admin: number
  /** At the Pod's address. */
  readonly metrics: number
}

/** Annotation and default of each. Few programs listen there by themselves. */
export const PORTS = {
  inference: { annotation: 'llamaswap.dev/sidecar-port', fallback: 18080 },
  admin: { annotation: 'llamaswap.dev/sidecar-admin-port', fallback: 18081 },
  metrics: { annotation: 'llamaswap.dev/sidecar-metrics-port', fallback: 19090 },
} as const

/** As a restricted Pod may open them. */
const MIN_PORT = 1024
const MAX_PORT = 65_535

export function portsOf(annotations: Readonly<Record<string, string>>, warn: (message: string) => void): SidecarPorts {
  const read = ({ annotation, fallback }: { readonly annotation: string; readonly fallback: number }): number => {
    const text = annotations[annotation]
    if (text === undefined) return fallback
    const port = /^\d{1,5}$/.test(text) ? Number(text) : 0
    if (port >= MIN_PORT && port <= MAX_PORT) return port
    warn(`${annotation}: "${text.slice(0, 40)}" is no port of ${MIN_PORT} to ${MAX_PORT}; the sidecar has ${fallback}.`)
    return fallback
  }
  return { inference: read(PORTS.inference), admin: read(PORTS.admin), metrics: read(PORTS.metrics) }
}

/** The first port of ours that is another's, by what containers declare and what their probes ask; or that two of ours share. */
export function conflictOf(ports: SidecarPorts, containers: readonly Fields[]): string | undefined {
  const mine = [ports.inference, ports.admin, ports.metrics]
  const twice = mine.find((port, index) => mine.indexOf(port) !== index)
  if (twice !== undefined) return `${twice} is given to two ports of the sidecar`
  for (const container of containers) {
    const taken = mine.find((port) => portsIn(container).has(port))
    if (taken !== undefined) return `${taken} is a port of container ${String(container['name'])}`
  }
  return undefined
}

const PROBES = ['startupProbe', 'readinessProbe', 'livenessProbe']

function portsIn(container: Fields): ReadonlySet<unknown> {
  const declared = listOf(container['ports']).filter(({ protocol = 'TCP' }) => protocol === 'TCP')
  const asked = PROBES.flatMap((name) => {
    const { httpGet, tcpSocket, grpc } = fieldsOf(container[name])
    return [httpGet, tcpSocket, grpc].map((handler) => fieldsOf(handler)['port'])
  })
  return new Set([...declared.map(({ containerPort }) => containerPort), ...asked])
}
