/** The door: who is let in, who is told why not, and how everybody leaves. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CLOSE } from '../../proxy/routing-table/frames.ts'
import { startPush, until, verdictOf } from '../../test/support/push-server.ts'
import { ScriptedProxy } from '../../test/support/scripted-proxy.ts'
import { oneModel } from '../../test/support/table.ts'
import { makeAuthority, signServer } from './certificate-authority.ts'
import { type RefusalCode, refused } from './identity.ts'
import { PushServer } from './server.ts'

const STATUS: Readonly<Record<Exclude<RefusalCode, 'not_a_gateway'>, number>> = {
  no_token: 401,
  invalid_token: 401,
  wrong_audience: 401,
  namespace_not_served: 403,
  pod_gone: 403,
  too_many: 503,
  unavailable: 503,
}

for (const [code, status] of Object.entries(STATUS)) {
  test(`${code} is answered with ${status}, and counted`, async (t) => {
    const counted: string[] = []
    const isKnown = (name: string): name is keyof typeof STATUS => Object.hasOwn(STATUS, name)
    const authenticate = async (token: string) => (isKnown(token) ? refused(token, 'so it is') : verdictOf(token))
    const { dialling } = await startPush(t, {
      options: { authenticate },
      events: { onRefused: (refusal) => counted.push(refusal.code) },
      limits: code === 'too_many' ? { maxConnections: 0 } : {},
    })
    const refusal = await ScriptedProxy.refusal({ ...dialling, ...(code !== 'no_token' && { token: code }) })
    assert.deepEqual([refusal, counted], [{ status, code }, [code]])
  })
}

test('a sidecar that wants to be a gateway is refused once it says so', async (t) => {
  const counted: string[] = []
  const { dial } = await startPush(t, { events: { onRefused: ({ code }) => counted.push(code) } })
  const proxy = await dial('team-a')
  proxy.hello({ mode: 'Gateway' })
  assert.match((await proxy.nextOf('goAway')).reason, /^not_a_gateway: /)
  assert.equal((await proxy.closed).code, CLOSE.unauthenticated)
  assert.deepEqual(counted, ['not_a_gateway'])
})

test('a token that cannot be verified now is no refusal of the token', async (t) => {
  const authenticate = async (): Promise<never> => {
    throw new Error('the API server is away')
  }
  const { dialling } = await startPush(t, { options: { authenticate } })
  assert.deepEqual(await ScriptedProxy.refusal({ ...dialling, token: 'gateway' }), { status: 503, code: 'unavailable' })
})

test('no more tokens are looked at at a time than the bound', async (t) => {
  const waiting: (() => void)[] = []
  const authenticate = async (token: string) => {
    await new Promise<void>((resolve) => waiting.push(resolve))
    return verdictOf(token)
  }
  const { dialling, dial } = await startPush(t, { options: { authenticate }, limits: { maxHandshakes: 1 } })
  const first = dial('gateway')
  await until(() => waiting.length === 1, 'the first is looked at')
  assert.equal((await ScriptedProxy.refusal({ ...dialling, token: 'gateway' })).code, 'too_many')
  for (const go of waiting.splice(0)) go()
  const opened = await first
  opened.hello()
  await opened.nextOf('welcome')
})

test('another path or subprotocol is no push', async (t) => {
  const { dialling } = await startPush(t)
  assert.equal((await ScriptedProxy.refusal({ ...dialling, path: '/other', token: 'gateway' })).status, 404)
  assert.equal((await ScriptedProxy.refusal({ ...dialling, subprotocol: 'llama-swap.push.v9', token: 'gateway' })).status, 400)
})

test('a standby looks at no token, says who leads, and closes', async (t) => {
  const authenticate = async (): Promise<never> => assert.fail('a token was looked at')
  const { server, dial } = await startPush(t, { leads: false, options: { authenticate } })
  const before = await dial('gateway')
  assert.deepEqual(await before.nextOf('notLeader'), { type: 'notLeader' })
  server.setLeading(false, 'wss://other:8443/push')
  const proxy = await dial('whatever')
  assert.deepEqual(await proxy.nextOf('notLeader'), { type: 'notLeader', address: 'wss://other:8443/push' })
  assert.equal((await proxy.closed).code, CLOSE.notLeader)
})

test('a leader that leads no more sends everyone to the next', async (t) => {
  const { server, synced } = await startPush(t, { table: oneModel('llama', 'http://10.0.0.1:8000') })
  const proxy = await synced('gateway')
  server.setLeading(false, 'wss://other:8443/push')
  assert.equal((await proxy.nextOf('notLeader')).address, 'wss://other:8443/push')
  assert.equal((await proxy.closed).code, CLOSE.notLeader)
})

test('an operator that ends says when to come back', async (t) => {
  const { server, synced } = await startPush(t, { table: oneModel('llama', 'http://10.0.0.1:8000') })
  const proxy = await synced('gateway')
  const closing = server.close()
  const { reason, retryAfterMs } = await proxy.nextOf('goAway')
  assert.deepEqual([reason, retryAfterMs], ['the operator is shutting down', 500])
  assert.equal((await proxy.closed).code, CLOSE.goingAway)
  await closing
})

test('a renewed certificate is for new connections, and drops none', async (t) => {
  const { server, dialling, synced } = await startPush(t, { table: oneModel('llama', 'http://10.0.0.1:8000') })
  const proxy = await synced('gateway-1')
  const next = await makeAuthority(Date.now())
  server.setCertificate(await signServer(next, ['127.0.0.1'], Date.now()))
  const newer = await ScriptedProxy.dial({ ...dialling, ca: next.cert, token: 'gateway-2' })
  t.after(() => newer.close())
  await assert.rejects(ScriptedProxy.dial({ ...dialling, token: 'gateway-3' }), /signature|self-signed|issuer|certificate/)
  server.publish(oneModel('llama', 'http://10.0.0.2:8000'), Date.now())
  await proxy.follow()
})

test('before it has a certificate nobody is let in; then everybody is', async (t) => {
  const server = new PushServer({ authenticate: verdictOf, confirmLeadership: async () => true })
  t.after(() => server.close())
  const port = await server.listen(0, '127.0.0.1')
  server.setLeading(true)
  const authority = await makeAuthority(Date.now())
  const dialling = { port, ca: authority.cert, token: 'gateway' }
  await assert.rejects(ScriptedProxy.dial(dialling))
  server.setCertificate(await signServer(authority, ['127.0.0.1'], Date.now()))
  const proxy = await ScriptedProxy.dial(dialling)
  t.after(() => proxy.close())
})
