/**
 * A Service as kube-proxy makes one, by hand: each new connection goes to the next target, and stays there whatever becomes of the target.
 * In: ports of this host, changed at any time. Out: one port.
 */
import { connect, createServer, type Socket } from 'node:net'
import { pipeBoth } from './piped.ts'
import { listenOn } from './ports.ts'

export interface RoundRobin {
  readonly port: number
  add(target: number): void
  /** No new connections go there; those that are there stay. */
  remove(target: number): void
  /** Connections so far. */
  readonly connections: number
  close(): void
}

export async function startRoundRobin(targets: readonly number[]): Promise<RoundRobin> {
  const now = [...targets]
  const sockets = new Set<Socket>()
  let connections = 0
  const server = createServer({ allowHalfOpen: true }, (near) => {
    const target = now[connections++ % now.length]
    if (target === undefined) return near.resetAndDestroy()
    const far = connect({ port: target, host: '127.0.0.1', allowHalfOpen: true })
    for (const one of [near, far]) one.setNoDelay(true)
    pipeBoth(near, far, sockets, (other) => other.resetAndDestroy())
  })
  const port = await listenOn(server)
  return {
    port,
    add: (target) => void now.push(target),
    remove: (target) => void now.splice(now.indexOf(target), 1),
    get connections() {
      return connections
    },
    close: () => {
      server.close()
      for (const socket of sockets) socket.destroy()
    },
  }
}
