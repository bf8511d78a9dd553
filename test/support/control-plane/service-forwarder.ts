/**
 * What kube-proxy does, for TCP and by hand: listens on the ClusterIP and ports of every Service and passes each connection on to one of its
 * ready endpoints at random. Only in a private network, where those addresses can be listened on. A Service without ready endpoints refuses
 * connections; terminating ones that still serve are taken when there are no others. `kubernetes` leads to the API server.
 */
import { connect, createServer, type Server, type Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { listAt, textAt, valueAt } from './api.ts'
import type { Cluster } from './cluster.ts'

interface Target {
  readonly host: string
  readonly port: number
}

const AGAIN_MS = 100
/** Ask for all there is, then for what changes. */
const WATCH = 'watch=true&sendInitialEvents=true&allowWatchBookmarks=true&resourceVersionMatch=NotOlderThan&resourceVersion='
const SERVICES = `/api/v1/services?${WATCH}`
const SLICES = `/apis/discovery.k8s.io/v1/endpointslices?${WATCH}`
const SERVICE_LABEL = 'kubernetes.io/service-name'

export interface ServiceForwarder {
  close(): Promise<void>
}

export function startServiceForwarder(cluster: Cluster): ServiceForwarder {
  const ending = new AbortController()
  const doors = new Doors(cluster.url)
  const ended = Promise.all([
    follow(cluster, SERVICES, ending.signal, (services) => doors.setServices(services)),
    follow(cluster, SLICES, ending.signal, (slices) => doors.setSlices(slices)),
  ])
  return {
    close: async () => {
      ending.abort()
      await ended
      doors.close()
    },
  }
}

/** Tells all objects of a collection after each change. Begins anew when a watch ends; until it is complete, what was told stands. */
async function follow(cluster: Cluster, path: string, signal: AbortSignal, tell: (all: readonly unknown[]) => void): Promise<void> {
  while (!signal.aborted) {
    const objects = new Map<string, unknown>()
    let complete = false
    try {
      for await (const event of cluster.lines(path, signal)) {
        const object = valueAt(event, 'object')
        const type = valueAt(event, 'type')
        if (type === 'ERROR') break
        if (type === 'BOOKMARK') complete = true
        else if (type === 'DELETED') objects.delete(textAt(object, 'metadata', 'uid'))
        else objects.set(textAt(object, 'metadata', 'uid'), object)
        if (complete) tell([...objects.values()])
      }
    } catch {
      // the API server is away: what was told stands
    }
    await delay(AGAIN_MS, undefined, { signal }).catch(() => undefined)
  }
}

/** The listeners, one for each address and port of a Service that has somewhere to lead. */
class Doors {
  readonly #apiServer: Target
  readonly #open = new Map<string, { readonly server: Server; targets: readonly Target[] }>()
  readonly #sockets = new Set<Socket>()
  #services: readonly unknown[] = []
  #slices: readonly unknown[] = []

  constructor(apiServerUrl: string) {
    const { hostname, port } = new URL(apiServerUrl)
    this.#apiServer = { host: hostname, port: Number(port) }
  }

  setServices(services: readonly unknown[]): void {
    this.#services = services
    this.#settle()
  }

  setSlices(slices: readonly unknown[]): void {
    this.#slices = slices
    this.#settle()
  }

  close(): void {
    for (const { server } of this.#open.values()) server.close()
    for (const socket of this.#sockets) socket.destroy()
  }

  #settle(): void {
    const wanted = new Map(this.#services.flatMap((service) => this.#doorsOf(service)))
    for (const [key, { server }] of this.#open) {
      if (wanted.has(key)) continue
      server.close()
      this.#open.delete(key)
    }
    for (const [key, { at, targets }] of wanted) {
      const door = this.#open.get(key)
      if (door === undefined) this.#listen(key, at, targets)
      else door.targets = targets
    }
  }

  #doorsOf(service: unknown): [string, { at: Target; targets: readonly Target[] }][] {
    const host = valueAt(service, 'spec', 'clusterIP')
    if (typeof host !== 'string' || host === 'None' || host === '') return []
    return listAt(service, 'spec', 'ports').flatMap((port) => {
      const at = { host, port: Number(valueAt(port, 'port')) }
      const targets = this.#targets(service, valueAt(port, 'name'))
      return targets.length === 0 || valueAt(port, 'protocol') !== 'TCP' ? [] : [[`${host}:${at.port}`, { at, targets }]]
    })
  }

  #targets(service: unknown, portName: unknown): readonly Target[] {
    const namespace = textAt(service, 'metadata', 'namespace')
    const name = textAt(service, 'metadata', 'name')
    if (namespace === 'default' && name === 'kubernetes') return [this.#apiServer]
    const slices = this.#slices.filter(
      (slice) => valueAt(slice, 'metadata', 'namespace') === namespace && valueAt(slice, 'metadata', 'labels', SERVICE_LABEL) === name,
    )
    const ready = slices.flatMap((slice) => targetsIn(slice, portName, (endpoint) => valueAt(endpoint, 'conditions', 'ready') !== false))
    return ready.length > 0
      ? ready
      : slices.flatMap((slice) => targetsIn(slice, portName, (endpoint) => valueAt(endpoint, 'conditions', 'serving') === true))
  }

  #listen(key: string, at: Target, targets: readonly Target[]): void {
    const server = createServer((near) => {
      const { targets: now = [] } = this.#open.get(key) ?? {}
      const target = now[Math.floor(Math.random() * now.length)]
      if (target === undefined) near.resetAndDestroy()
      else this.#join(near, connect({ ...target, allowHalfOpen: true }))
    })
    server.on('error', (error) => console.error(`service-forwarder: ${key}: ${error.message}`))
    this.#open.set(key, { server, targets })
    server.listen({ ...at, allowHalfOpen: true })
  }

  /** Bytes both ways; an end or a reset of one side is one of the other. */
  #join(near: Socket, far: Socket): void {
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      this.#sockets.add(one)
      one.setNoDelay(true)
      one.pipe(other)
      one.on('error', () => other.resetAndDestroy())
      one.on('close', () => {
        this.#sockets.delete(one)
        other.destroySoon()
      })
    }
  }
}

/** Endpoint and port names are matched as kube-proxy does: a port without a name is "" in the slice, or absent. */
function targetsIn(slice: unknown, portName: unknown, fits: (endpoint: unknown) => boolean): Target[] {
  const ports = listAt(slice, 'ports').filter((port) => (valueAt(port, 'name') ?? '') === (portName ?? ''))
  const hosts = listAt(slice, 'endpoints')
    .filter(fits)
    .map((endpoint) => textAt(endpoint, 'addresses', 0))
  return ports.flatMap((port) => hosts.map((host) => ({ host, port: Number(valueAt(port, 'port')) })))
}
