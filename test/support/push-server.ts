/** A real push server with made-up proxies' identities, and scripted proxies that dial it. */
import type { TestContext } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import { makeAuthority, signServer } from '../../operator/push/certificate-authority.ts'
import { type Identity, refused, type Verdict } from '../../operator/push/identity.ts'
import { PushServer, type PushServerOptions } from '../../operator/push/server.ts'
import type { PushEvents, PushLimits } from '../../operator/push/sessions.ts'
import type { RoutingTable } from '../../proxy/routing-table/v1.ts'
import { type DialOptions, ScriptedProxy } from './scripted-proxy.ts'

const IDENTITY: Identity = {
  modes: ['Gateway'],
  namespace: 'llama-swap',
  pod: 'gateway',
  podUid: 'u-gateway',
  serviceAccount: 'gateway',
  expiresAtMs: Number.POSITIVE_INFINITY,
}

/** A token is "gateway", "gateway-1" (another pod), or "team-a", the namespace of a sidecar; "…~MS" expires then. */
export async function verdictOf(token: string): Promise<Verdict> {
  const [who = '', expires] = token.split('~')
  const expiresAtMs = expires === undefined ? Number.POSITIVE_INFINITY : Number(expires)
  if (who.startsWith('gateway')) return { identity: { ...IDENTITY, pod: who, podUid: `u-${who}`, expiresAtMs } }
  if (!who.startsWith('team-')) return refused('invalid_token', 'nobody knows it')
  return { identity: { modes: ['Sidecar'], namespace: who, pod: 'app', podUid: `u-${who}`, serviceAccount: 'default', expiresAtMs } }
}

export interface Given {
  readonly table?: RoutingTable
  readonly limits?: Partial<PushLimits>
  readonly events?: Partial<PushEvents>
  readonly options?: Partial<PushServerOptions>
  /** Default 7. */
  readonly epoch?: number
  readonly leads?: boolean
}

export interface Running {
  readonly server: PushServer
  readonly port: number
  /** What dials it right, but for the token. */
  readonly dialling: DialOptions
  dial(token: string): Promise<ScriptedProxy>
  /** Has dialled, said hello, and acknowledged the table. */
  synced(token: string): Promise<ScriptedProxy>
}

const made = (async () => {
  const authority = await makeAuthority(Date.now())
  return { authority, certificate: await signServer(authority, ['127.0.0.1'], Date.now()) }
})()

/** Ends with the test. */
export async function startPush(
  t: TestContext,
  { table, limits = {}, events = {}, options = {}, epoch = 7, leads = true }: Given = {},
): Promise<Running> {
  const { authority, certificate } = await made
  const server = new PushServer({ certificate, authenticate: verdictOf, confirmLeadership: async () => true, limits, events, ...options })
  t.after(() => server.close())
  const port = await server.listen(0, '127.0.0.1')
  if (leads) {
    server.setLeading(true)
    server.setEpoch(epoch)
  }
  if (table !== undefined) server.publish(table, Date.now())
  const dialling = { port, ca: authority.cert }
  const dial = async (token: string): Promise<ScriptedProxy> => {
    const proxy = await ScriptedProxy.dial({ ...dialling, token })
    t.after(() => proxy.close())
    return proxy
  }
  const synced = async (token: string): Promise<ScriptedProxy> => {
    const proxy = await dial(token)
    proxy.hello({ mode: token.startsWith('gateway') ? 'Gateway' : 'Sidecar' })
    await proxy.nextOf('welcome')
    await proxy.tellHeld()
    await proxy.follow()
    return proxy
  }
  return { server, port, dialling, dial, synced }
}

const DEADLINE_MS = 5_000

export async function until(holds: () => boolean, what: string): Promise<void> {
  const deadline = performance.now() + DEADLINE_MS
  while (!holds()) {
    if (performance.now() > deadline) throw new Error(`it never came true: ${what}`)
    await wait(5)
  }
}
