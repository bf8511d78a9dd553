/** Who a proxy is to operators, and who clients are to a proxy whose table names a cluster's keys. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { ask, type Got } from '../support/client.ts'
import { isError } from '../support/errors.ts'
import { eventually } from '../support/eventually.ts'
import { whole } from '../support/model-server/answers.ts'
import { type ModelServer, type ScriptedBackend, startModelServer } from '../support/model-server/model-server.ts'
import type { RunningProxy } from '../support/proxy.ts'
import { makePod, metricOf, type Pod, pushOf } from '../support/pushed.ts'
import { ROUTES } from '../support/routes.ts'
import { issuerOf, makeSigningKey, makeToken } from '../support/service-account.ts'
import { makeTable } from '../support/table.ts'

const { chat } = ROUTES
let pod: Pod
let server: ModelServer
let backend: ScriptedBackend
before(async () => {
  pod = await makePod()
  server = startModelServer()
  backend = await server.open(whole(chat.answer(['well'])))
})
after(async () => {
  await server.close()
  await pod.close()
})

const asked = (proxy: RunningProxy, model: string, token?: string): Promise<Got> =>
  ask(proxy.url, { body: chat.request(model, false), headers: token === undefined ? {} : { authorization: `Bearer ${token}` } })

const ofTwoTeams = () =>
  makeTable({
    models: {
      'of-a': { namespace: 'team-a', backends: [{ url: backend.url }] },
      'of-b': { namespace: 'team-b', backends: [{ url: backend.url }] },
    },
  })

test('a ServiceAccount token has the rights of its namespace, and no other; new keys of the cluster replace the old ones', async (t) => {
  const key = makeSigningKey('ES256', 'k1')
  const operator = await pod.operator(t)
  operator.give({ ...ofTwoTeams(), tokenIssuers: [issuerOf(key)] })
  const proxy = await pod.proxy(t, operator.url, { auth: 'Required' })
  const stream = await operator.stream()
  await stream.next('ack')
  const a = makeToken(key, { namespace: 'team-a' })
  const b = makeToken(key, { namespace: 'team-b' })
  assert.deepEqual([(await asked(proxy, 'of-a', a)).status, (await asked(proxy, 'of-b', b)).status], [200, 200])
  isError(await asked(proxy, 'of-b', a), 'model_not_found')
  isError(await asked(proxy, 'of-a', b), 'model_not_found')
  isError(await asked(proxy, 'team-a/of-a', b), 'model_not_found')
  const line = await proxy.program.line(({ msg, client }) => msg === 'request' && client === 'team-b/app')
  assert.equal(line['client_namespace'], 'team-b')
  isError(await asked(proxy, 'of-a', makeToken(key, { audience: 'llama-swap-push' })), 'invalid_api_key')

  const renewed = makeSigningKey('RS256', 'k2')
  const seq = operator.give({ ...ofTwoTeams(), tokenIssuers: [issuerOf(renewed)] })
  await stream.next('ack', (frame) => frame.seq === seq)
  isError(await asked(proxy, 'of-a', a), 'invalid_api_key')
  assert.equal((await asked(proxy, 'of-a', makeToken(renewed))).status, 200)
  await proxy.close()
  for (const token of [a, b]) assert.equal(proxy.program.output().includes(token), false)
})

test('a renewed token goes up on the open connection', async (t) => {
  const operator = await pod.operator(t)
  const proxy = await pod.proxy(t, operator.url)
  const stream = await operator.stream()
  assert.equal(stream.authorization, 'Bearer first-token')
  await stream.next('heartbeat')
  await pod.write('token', 'second-token\n')
  assert.deepEqual(await stream.next('token'), { type: 'token', token: 'second-token' })
  stream.cut()
  assert.equal((await operator.stream(1)).authorization, 'Bearer second-token')
  assert.equal(await metricOf(proxy, 'llama_swap_push_reconnects_total{reason="closed"}'), 1)
  await pod.write('token', 'first-token\n')
})

test('a new authority is trusted on the next connection, without a restart', async (t) => {
  const proxyFiles = await makePod()
  t.after(() => proxyFiles.close())
  const operator = await pod.operator(t)
  const proxy = await proxyFiles.proxy(t, operator.url)
  await eventually(async () => assert.match(String((await pushOf(proxy))['problem']), /unreachable/))
  await proxyFiles.write('ca.pem', `${proxyFiles.authority.cert}\n${pod.authority.cert}`)
  await (await operator.stream()).next('ack')
})

test("a sidecar asks for no key: all it is asked has the rights of its pod's namespace; to a gateway it sends the pod's token", async (t) => {
  const operator = await pod.operator(t, { mode: 'Sidecar', namespace: 'team-a', epoch: 4 })
  const table = makeTable({
    models: {
      'of-a': { namespace: 'team-a', backends: [{ url: backend.url, keys: ['unused'] }] },
      'of-b': { namespace: 'team-b', backends: [{ url: backend.url }] },
    },
  })
  const throughGateway = table.models.map((model) => ({
    ...model,
    backends: model.backends.map((each) =>
      each.auth === undefined ? each : { ...each, auth: { ...each.auth, credentials: ['pod-token'] } },
    ),
  }))
  operator.give({ ...table, models: throughGateway, credentials: [] })
  await pod.write('client-token', 'pod-token-1')
  const proxy = await pod.proxy(t, operator.url, {
    auth: 'Required',
    args: ['--mode', 'Sidecar', '--client-token', pod.file('client-token'), '--last-known-good', pod.file('sidecar')],
  })
  const stream = await operator.stream()
  assert.equal((await stream.next('hello')).mode, 'Sidecar')
  await stream.next('ack')
  assert.equal((await asked(proxy, 'of-a', 'any-key-it-may-have-sent-0123')).status, 200)
  isError(await asked(proxy, 'of-b'), 'model_not_found')
  const sent = async (): Promise<string | undefined> => new Map((await backend.seen()).at(-1)?.headers).get('authorization')
  assert.equal(await sent(), 'Bearer pod-token-1')
  await pod.write('client-token', 'pod-token-2')
  await eventually(async () => {
    await asked(proxy, 'of-a')
    assert.equal(await sent(), 'Bearer pod-token-2')
  })
  assert.doesNotMatch(await (await fetch(`${proxy.adminUrl}/debug/table`)).text(), /pod-token-[12]/)

  operator.script = { mode: 'Sidecar', namespace: 'team-a', epoch: 2 }
  stream.cut()
  const lower = await operator.stream(1)
  assert.deepEqual(await lower.next('staleEpoch'), { type: 'staleEpoch', have: 4 })
  assert.equal((await lower.next('ack')).epoch, 2, 'a sidecar takes a lower epoch from a leader that has made sure')
})
