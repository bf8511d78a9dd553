/**
 * A backend that never accepts: `node test/support/model-server/deaf.ts`. It says its port, then its only thread stops. Once its short queue is
 * full, connecting to it takes for ever, as to an address behind a firewall. It must be killed.
 */
import { createServer } from 'node:net'

const server = createServer()
server.listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () => {
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  process.stdout.write(`${JSON.stringify({ port })}\n`, () => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0))
})
