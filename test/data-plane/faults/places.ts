/** Addresses at which no connection comes to be as it should. Made at first use; `closePlaces` ends what was made. */
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { connect, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createServer as createTlsServer } from 'node:tls'
import { makeServerCertificate, type ServerCertificate } from '../../support/control-plane/relay-certificate.ts'
import { type DeafBackend, startDeafBackend } from '../../support/model-server/deaf-backend.ts'
import type { ScriptedBackend } from '../../support/model-server/model-server.ts'
import { closedPort } from '../../support/ports.ts'

const atFirstUse = <T>(make: () => Promise<T>): (() => Promise<T>) => {
  let made: Promise<T> | undefined
  return () => (made ??= make())
}

const servers: Server[] = []
const sockets = new Set<Socket>()
const ends: (() => Promise<void>)[] = []

const trusted = atFirstUse(makeServerCertificate)
const unknown = atFirstUse(makeServerCertificate)

/** A PEM file with the authority that the program shall trust. */
export const trustedFile = atFirstUse(async () => {
  const folder = await mkdtemp(join(tmpdir(), 'llama-swap-places-'))
  ends.push(() => rm(folder, { recursive: true, force: true }))
  const file = join(folder, 'ca.pem')
  await writeFile(file, (await trusted()).ca)
  return file
})

export const refused = async (): Promise<string> => `http://127.0.0.1:${await closedPort()}`

const deaf = atFirstUse(async (): Promise<DeafBackend> => {
  const backend = await startDeafBackend()
  ends.push(() => backend.close())
  return backend
})
/** Nobody accepts there, as behind a firewall that drops. */
export const blackhole = async (): Promise<string> => (await deaf()).url

export const unresolved = (): string => 'http://does-not-exist.invalid:80'

/** The backend behind TLS, with a certificate for 127.0.0.1 of an authority that the program trusts. */
export const overTls = (backend: ScriptedBackend): Promise<string> => tlsFor(backend, trusted)
export const selfSigned = (backend: ScriptedBackend): Promise<string> => tlsFor(backend, unknown)
export const wrongName = async (backend: ScriptedBackend): Promise<string> =>
  (await tlsFor(backend, trusted)).replace('127.0.0.1', '127.0.0.2')
export const plainAtTls = async (backend: ScriptedBackend): Promise<string> => (await tlsFor(backend, trusted)).replace('https', 'http')
export const tlsAtPlain = ({ url }: ScriptedBackend): string => url.replace('http:', 'https:')

async function tlsFor({ port }: ScriptedBackend, certificate: () => Promise<ServerCertificate>): Promise<string> {
  const { cert, key } = await certificate()
  const server = createTlsServer({ cert, key }, (socket) => relay(socket, connect(port, '127.0.0.1')))
  server.on('connection', (socket: Socket) => note(socket))
  server.on('tlsClientError', () => {})
  servers.push(server)
  server.listen(0, '0.0.0.0')
  await once(server, 'listening')
  const address = server.address()
  return `https://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`
}

function relay(one: Socket, other: Socket): void {
  note(other)
  for (const [from, to] of [
    [one, other],
    [other, one],
  ] as const) {
    from.on('error', () => to.destroy())
    from.on('close', () => to.destroy())
    from.pipe(to)
  }
}

function note(socket: Socket): void {
  sockets.add(socket)
  socket.on('error', () => {})
  socket.once('close', () => sockets.delete(socket))
}

export async function closePlaces(): Promise<void> {
  for (const server of servers) server.close()
  for (const socket of sockets) socket.destroy()
  await Promise.all(ends.map((end) => end()))
}
