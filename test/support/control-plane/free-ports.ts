import { once } from 'node:events'
import { createServer } from 'node:net'

/** Below the range from which Linux takes the ports of outgoing connections, so that none of those takes them before their owner listens. */
const FIRST = 20_000
const COUNT = 12_000
const TRIES = 200

/** So many ports of loopback on which nothing listens now. */
export async function freePorts(count: number): Promise<number[]> {
  const found = new Set<number>()
  for (let i = 0; i < TRIES && found.size < count; i++) {
    const port = FIRST + Math.floor(Math.random() * COUNT)
    if (await isFree(port)) found.add(port)
  }
  if (found.size < count) throw new Error(`no ${count} free ports between ${FIRST} and ${FIRST + COUNT}`)
  return [...found]
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer()
  try {
    server.listen(port, '127.0.0.1')
    await once(server, 'listening')
  } catch {
    return false
  }
  server.close()
  await once(server, 'close')
  return true
}
