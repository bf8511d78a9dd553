import { connect, createServer, type Socket } from 'node:net'
import { listenOn } from './ports.ts'

export interface Recorded {
  /** Latin1. */
  readonly request: string
  readonly response: string
}

export interface RecordingRelay {
  readonly url: string
  /** One entry a connection, in order. */
  readonly connections: readonly Recorded[]
  close(): void
}

/** A TCP relay to a port of this host that keeps every byte of both directions: what a server really got and really said. */
export async function startRecordingRelay(toPort: number): Promise<RecordingRelay> {
  const connections: { request: string; response: string }[] = []
  const sockets = new Set<Socket>()
  const server = createServer((near) => {
    const far = connect(toPort, '127.0.0.1')
    const recorded = { request: '', response: '' }
    connections.push(recorded)
    near.on('data', (bytes: Buffer) => {
      recorded.request += bytes.toString('latin1')
    })
    far.on('data', (bytes: Buffer) => {
      recorded.response += bytes.toString('latin1')
    })
    near.pipe(far).pipe(near)
    for (const socket of [near, far]) {
      sockets.add(socket)
      socket.setNoDelay(true)
      socket.on('error', () => {})
      socket.on('close', () => {
        near.destroy()
        far.destroy()
      })
    }
  })
  const port = await listenOn(server)
  return {
    url: `http://127.0.0.1:${port}`,
    connections,
    close: () => {
      server.close()
      for (const socket of sockets) socket.destroy()
    },
  }
}
