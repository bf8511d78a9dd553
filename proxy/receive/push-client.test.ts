import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, type TestContext, test } from 'node:test'
import { eventually } from '../../test/support/eventually.ts'
import { type Authority, ScriptedOperator, testAuthority } from '../../test/support/scripted-operator.ts'
import { makeTable } from '../../test/support/table.ts'
import { createLogger } from '../account/log.ts'
import { isNamed, resolveOperators, shownAddress } from './operator-address.ts'
import { PushClient } from './push-client.ts'
import { PushedTable } from './pushed-table.ts'
import { Receiver } from './receiver.ts'

let authority: Authority
let folder: string
before(async () => {
  authority = await testAuthority()
  folder = await mkdtemp(join(tmpdir(), 'llama-swap-client-'))
  await writeFile(join(folder, 'ca.pem'), authority.cert)
})
after(() => rm(folder, { recursive: true, force: true }))

const LOGGER = createLogger({ write: () => {}, level: 'error', now: Date.now })

function client(t: TestContext, url: string, ips: readonly string[], random = 0.01): { push: PushClient; receiver: Receiver } {
  const receiver = new Receiver({ swap: () => {}, refused: () => {} })
  const table = new PushedTable({
    mode: 'Gateway',
    program: 'test/1',
    instance: 'i-1',
    receiver,
    lastKnownGood: undefined,
    keysGoodForMs: 1,
    logger: LOGGER,
    now: Date.now,
  })
  const push = new PushClient({
    operators: [new URL(url)],
    caFile: join(folder, 'ca.pem'),
    tokenFile: undefined,
    mode: 'Gateway',
    table,
    reports: () => [],
    resolve: async () => ips.map((address) => ({ address, family: 4 })),
    random: () => random,
    logger: LOGGER,
  })
  t.after(() => push.close())
  push.start()
  return { push, receiver }
}

async function operatorAt(t: TestContext, host: string, port: number, standby?: { leader?: string }): Promise<ScriptedOperator> {
  const operator = await ScriptedOperator.start(authority, { host, port, ...(standby !== undefined && { standby }) })
  t.after(() => operator.close())
  return operator
}

test('a name stands for all its addresses: the certificate is checked for the name, a standby is passed at once', async (t) => {
  const standby = await operatorAt(t, '127.0.0.1', 0, {})
  const leader = await operatorAt(t, '127.0.0.2', standby.port)
  leader.give(makeTable({ models: { m: { backends: [{ url: 'http://127.0.0.1:1' }] } } }))
  const { push, receiver } = client(t, `wss://localhost:${standby.port}/push`, ['127.0.0.1', '127.0.0.2'])
  await (await leader.stream()).next('ack')
  assert.equal(receiver.current.models.size, 1)
  assert.equal(push.state.operator, `wss://localhost:${standby.port} (127.0.0.2)`)
})

test('a certificate without the name is not accepted', async (t) => {
  const operator = await operatorAt(t, '127.0.0.1', 0)
  const { push } = client(t, `wss://elsewhere.example:${operator.port}/push`, ['127.0.0.1'])
  await eventually(async () => assert.match(push.state.problem ?? '', /elsewhere\.example.*(altnames|does not match)/i))
  assert.equal(operator.dialled, 0)
})

test('whom a standby names is tried next, where it is one of the addresses', async (t) => {
  const standby = await operatorAt(t, '127.0.0.1', 0, { leader: '127.0.0.3' })
  const other = await operatorAt(t, '127.0.0.2', standby.port, {})
  const leader = await operatorAt(t, '127.0.0.3', standby.port)
  client(t, `wss://localhost:${standby.port}/push`, ['127.0.0.1', '127.0.0.2', '127.0.0.3'])
  await (await leader.stream()).next('ack')
  assert.equal(other.dialled, 0)
})

test('a standby is asked again within 2 s, and not kept waiting for another address that lets dials time out', async (t) => {
  const standby = await operatorAt(t, '127.0.0.1', 0, {})
  const frozen = createServer((socket) => sockets.push(socket))
  const sockets: Socket[] = []
  t.after(() => {
    frozen.close()
    for (const socket of sockets) socket.destroy()
  })
  await once(frozen.listen(standby.port, '127.0.0.2'), 'listening')
  client(t, `wss://localhost:${standby.port}/push`, ['127.0.0.1', '127.0.0.2'], 1)
  const asked = (times: number): Promise<void> => eventually(async () => assert.ok(standby.dialled >= times), 8_000)
  await asked(2)
  const sinceMs = performance.now()
  await asked(5)
  const tookMs = performance.now() - sinceMs
  assert.ok(tookMs < 4_500, `three more times took ${Math.round(tookMs)} ms`)
  assert.equal(sockets.length, 1)
})

test('addresses are found by name, and names that cannot be resolved are told', async () => {
  const urls = ['wss://10.0.0.7:8443/push', 'wss://[fd00::1]:8443/push', 'wss://two:8443/push', 'wss://none:8443/push'].map(
    (url) => new URL(url),
  )
  const { addresses, failures } = await resolveOperators(urls, async (host) => {
    if (host !== 'two') throw new Error(`getaddrinfo ENOTFOUND ${host}`)
    return [
      { address: '10.0.0.1', family: 4 },
      { address: 'fd00::2', family: 6 },
    ]
  })
  assert.deepEqual(addresses.map(shownAddress), [
    'wss://10.0.0.7:8443',
    'wss://[fd00::1]:8443',
    'wss://two:8443 (10.0.0.1)',
    'wss://two:8443 (fd00::2)',
  ])
  assert.deepEqual(
    failures.map(({ message }) => message),
    ['getaddrinfo ENOTFOUND none'],
  )
  const [first, , third, fourth] = addresses
  assert.ok(first !== undefined && third !== undefined && fourth !== undefined)
  assert.deepEqual(
    [
      isNamed(third, '10.0.0.1'),
      isNamed(third, '10.0.0.1:8443'),
      isNamed(fourth, '[fd00::2]:8443'),
      isNamed(first, 'wss://10.0.0.7:8443/push'),
    ],
    [true, true, true, true],
  )
  assert.deepEqual([isNamed(third, '10.0.0.11'), isNamed(third, '10.0.0.1:9443'), isNamed(third, 'two:8443')], [false, false, false])
})
