import { connect, type Socket } from 'node:net'
import { startProgram } from '../program.ts'

export interface DeafBackend {
  readonly url: string
  close(): Promise<void>
}

/** More than the queue of a backlog of 1 holds. */
const QUEUE = 8

/** A backend to which connections hang while they are being made. */
export async function startDeafBackend(): Promise<DeafBackend> {
  const program = startProgram({ file: 'test/support/model-server/deaf.ts' })
  const { port } = await program.line(({ port: said }) => typeof said === 'number')
  const sockets = Array.from({ length: QUEUE }, () => connect(Number(port), '127.0.0.1').on('error', () => {}))
  await queueFull(sockets)
  return {
    url: `http://127.0.0.1:${String(port)}`,
    close: async () => {
      for (const socket of sockets) socket.destroy()
      await program.close(1)
    },
  }
}

/** The kernel completes the first few; the queue is full once two have been. */
function queueFull(sockets: readonly Socket[]): Promise<void> {
  return new Promise((resolve) => {
    let connected = 0
    for (const socket of sockets) {
      socket.on('connect', () => {
        connected++
        if (connected === 2) resolve()
      })
    }
  })
}
