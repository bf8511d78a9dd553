/**
 * Names for a private network, in which no name server is reachable: a server at the address that this machine asks, and addresses outside
 * 10.0.0.0/8 that can be listened on there. In: names and addresses. Out: what the system's resolver finds, for all programs of the network.
 */
import { spawnSync } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { readFileSync } from 'node:fs'
import type { TestContext } from 'node:test'
import { requirePrivateNetwork } from '../support/control-plane/network.ts'

const DNS_PORT = 53
const NO_SUCH_NAME = 3
const TYPES: Readonly<Record<number, (address: string) => Buffer | undefined>> = {
  1: (address) => (address.includes(':') ? undefined : Buffer.from(address.split('.').map(Number))),
}

/** Each name's addresses, IPv4, to be changed at will; answers are good for no time at all. Ends with the test. */
export async function startNames(t: TestContext, names: ReadonlyMap<string, readonly string[]>): Promise<void> {
  requirePrivateNetwork()
  const address = /^nameserver\s+(\d+\.\d+\.\d+\.\d+)$/m.exec(readFileSync('/etc/resolv.conf', 'utf8'))?.[1] ?? '127.0.0.1'
  addAddress(address)
  const socket = createSocket('udp4')
  socket.on('message', (question, { port, address: from }) => socket.send(answerTo(question, names), port, from))
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  socket.once('error', reject)
  socket.bind(DNS_PORT, address, resolve)
  await promise
  t.after(() => void socket.close())
}

/** From now on it can be listened on, as long as the network lasts. */
export function addAddress(address: string): void {
  requirePrivateNetwork()
  if (address.startsWith('127.') || address.startsWith('10.')) return
  const bits = address.includes(':') ? 128 : 32
  const { status, stderr } = spawnSync('ip', ['addr', 'replace', `${address}/${bits}`, 'dev', 'lo'], { encoding: 'utf8' })
  if (status !== 0) throw new Error(`ip addr replace ${address}: ${stderr}`)
}

/** RFC 1035 §4.1, of one question. */
function answerTo(question: Buffer, names: ReadonlyMap<string, readonly string[]>): Buffer {
  const labels: string[] = []
  let at = 12
  for (let length = question[at] ?? 0; length > 0; length = question[at] ?? 0) {
    labels.push(question.toString('latin1', at + 1, at + 1 + length))
    at += 1 + length
  }
  const type = question.readUInt16BE(at + 1)
  const addresses = names.get(labels.join('.').toLowerCase())
  const found = (addresses ?? []).flatMap((address) => TYPES[type]?.(address) ?? [])
  const head = Buffer.from(question.subarray(0, at + 5))
  head.writeUInt16BE(0x8580 | (addresses === undefined ? NO_SUCH_NAME : 0), 2)
  head.writeUInt16BE(found.length, 6)
  head.writeUInt32BE(0, 8)
  return Buffer.concat([head, ...found.flatMap((bytes) => [record(type, bytes.length), bytes])])
}

/** Its name is the question's; class IN, no time to live. */
function record(type: number, length: number): Buffer {
  const bytes = Buffer.alloc(12)
  bytes.writeUInt16BE(0xc00c, 0)
  bytes.writeUInt16BE(type, 2)
  bytes.writeUInt16BE(1, 4)
  bytes.writeUInt16BE(length, 10)
  return bytes
}
