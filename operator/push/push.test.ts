import assert from 'node:assert/strict'
import { afterEach, before, test } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import type { RoutingTable } from '../../proxy/routing-table/v1.ts'
import { type DialOptions, ScriptedProxy } from '../../test/support/scripted-proxy.ts'
import { makeTable, type TableLines } from '../../test/support/table.ts'
import { type KeyedCertificate, makeAuthority, signServer } from './certificate-authority.ts'
import { type Identity, refused, type Verdict } from './identity.ts'
import { PushServer, type PushServerOptions } from './server.ts'
import type { PushEvents, PushLimits } from './sessions.ts'

let authority: KeyedCertificate
let certificate: KeyedCertificate
const opened: { close(): unknown }[] = []

before(async () => {
  authority = await makeAuthority(Date.now())
  certificate = await signServer(authority, ['127.0.0.1'], Date.now())
})

afterEach(async () => {
  for (const one of opened.splice(0).toReversed()) await one.close()
})

const GATEWAY: Identity = {
  modes: ['Gateway'],
  namespace: 'llama-swap',
  pod: 'gateway-0',
  podUid: 'u-gateway-0',
  serviceAccount: 'gateway',
  expiresAtMs: Number.POSITIVE_INFINITY,
}

const sidecarOf = (namespace: string): Identity => ({
  ...GATEWAY,
  modes: ['Sidecar'],
  namespace,
  pod: 'app-0',
  podUid: `u-${namespace}`,
  serviceAccount: 'default',
})

/** A token is "gateway", "gateway-1" (another pod), or the namespace of a sidecar. */
async function authenticate(token: string): Promise<Verdict> {
  if (token === 'gateway') return { identity: GATEWAY }
  if (token.startsWith('gateway-')) return { identity: { ...GATEWAY, pod: token, podUid: `u-${token}` } }
  return token.startsWith('team-') ? { identity: sidecarOf(token) } : refused('invalid_token', 'unknown')
}

interface Given {
  readonly table?: RoutingTable
  readonly limits?: Partial<PushLimits>
  readonly events?: Partial<PushEvents>
  readonly options?: Partial<PushServerOptions>
  readonly epoch?: number
  readonly leads?: boolean
}

interface Running {
  readonly server: PushServer
  readonly port: number
  dial(token: string): Promise<ScriptedProxy>
}

async function start({ table, limits = {}, events = {}, options = {}, epoch = 7, leads = true }: Given = {}): Promise<Running> {
  const server = new PushServer({ certificate, authenticate, confirmLeadership: async () => true, limits, events, ...options })
  opened.push(server)
  const port = await server.listen(0, '127.0.0.1')
  if (leads) {
    server.setLeading(true)
    server.setEpoch(epoch)
  }
  if (table !== undefined) server.publish(table, Date.now())
  const dial = async (token: string): Promise<ScriptedProxy> => {
    const proxy = await ScriptedProxy.dial(dialling(port, token))
    opened.push(proxy)
    return proxy
  }
  return { server, port, dial }
}

const dialling = (port: number, token?: string): DialOptions => ({ port, ca: authority.cert, ...(token !== undefined && { token }) })

const LINES: TableLines = {
  models: {
    llama: { backends: [{ url: 'http://10.0.0.1:8000' }] },
    other: { namespace: 'team-b', backends: [{ url: 'http://10.0.0.2:8000' }] },
  },
  policies: { auto: { targets: ['llama'] } },
}

test('a gateway gets the whole table, and its acknowledgement counts', async () => {
  const { server, dial } = await start({ table: makeTable(LINES) })
  const proxy = await dial('gateway')
  proxy.hello()
  assert.deepEqual(await proxy.nextOf('welcome'), {
    type: 'welcome',
    epoch: 7,
    tableVersion: 1,
    mode: 'Gateway',
    namespace: 'llama-swap',
    ignorable: [],
  })
  await proxy.tellHeld()
  const { set, commit } = await proxy.follow()
  assert.deepEqual(
    set.map(({ kind, key }) => `${kind} ${key}`),
    ['endpoints default/llama b0', 'endpoints team-b/other b0', 'model default/llama', 'model team-b/other', 'policy default/auto'],
  )
  assert.equal(commit.seq, 1)
  await until(() => server.programming().get('LlamaModel default/llama')?.acked === 1)
  assert.deepEqual(server.programming().get('RoutingPolicy default/auto'), { gateways: 1, acked: 1, rejected: [] })
})

async function until(holds: () => boolean): Promise<void> {
  const deadline = performance.now() + 5_000
  while (!holds()) {
    if (performance.now() > deadline) throw new Error('it never came true')
    await wait(5)
  }
}
