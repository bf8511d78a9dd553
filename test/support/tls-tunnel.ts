/**
 * Clients that know no TLS, at a server that speaks nothing else: each connection to the tunnel is one of TLS to the server. In: a port of this
 * host and how to connect. Out: a port in the clear. A handshake that fails is a reset.
 */
import { createServer, type Socket } from 'node:net'
import { type ConnectionOptions, connect } from 'node:tls'
import { pipeBoth } from './piped.ts'
import { listenOn } from './ports.ts'

export interface TlsTunnel {
  readonly port: number
  readonly url: string
  close(): void
}

export async function startTlsTunnel(toPort: number, options: ConnectionOptions): Promise<TlsTunnel> {
  const sockets = new Set<Socket>()
  const server = createServer({ allowHalfOpen: true }, (near) => {
    const far = connect({ ...options, port: toPort, host: '127.0.0.1', ALPNProtocols: ['http/1.1'] })
    pipeBoth(near, far, sockets, () => near.resetAndDestroy())
  })
  const port = await listenOn(server)
  return {
    port,
    url: `http://127.0.0.1:${port}`,
    close: () => {
      server.close()
      for (const socket of sockets) socket.destroy()
    },
  }
}
