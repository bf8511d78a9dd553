/** Both ends of the push as they are: the operator's server, and a proxy in a process of its own. No API server is needed for that. */
import assert from 'node:assert/strict'
import { after, before, type TestContext, test } from 'node:test'
import type { Programming } from '../../operator/push/programming.ts'
import { PushServer } from '../../operator/push/server.ts'
import type { PushEvents } from '../../operator/push/sessions.ts'
import type { RoutingTable } from '../../proxy/routing-table/v1.ts'
import { ask } from '../support/client.ts'
import { eventually } from '../support/eventually.ts'
import { whole } from '../support/model-server/answers.ts'
import { type ModelServer, type ScriptedBackend, startModelServer } from '../support/model-server/model-server.ts'
import { verdictOf } from '../support/push-server.ts'
import { makePod, type Pod, readinessOf } from '../support/pushed.ts'
import { ROUTES } from '../support/routes.ts'
import { type ModelLines, makeTable } from '../support/table.ts'

const { chat } = ROUTES
let pod: Pod
let models: ModelServer
let backend: ScriptedBackend
before(async () => {
  pod = await makePod()
  models = startModelServer()
  backend = await models.open(whole(chat.answer(['well'])))
})
after(async () => {
  await models.close()
  await pod.close()
})

interface Operator {
  readonly server: PushServer
  readonly port: number
  readonly url: string
  readonly pushedBytes: number[]
}

interface OperatorLines {
  readonly table: RoutingTable
  readonly epoch: number
  readonly port?: number
  readonly events?: Partial<PushEvents>
}

async function startOperator(t: TestContext, { table, epoch, port = 0, events = {} }: OperatorLines): Promise<Operator> {
  const pushedBytes: number[] = []
  const server = new PushServer({
    certificate: await pod.authority.sign(),
    authenticate: verdictOf,
    confirmLeadership: async () => true,
    events: { onPush: ({ bytes }) => pushedBytes.push(bytes), ...events },
  })
  t.after(() => server.close())
  const taken = await server.listen(port, '127.0.0.1')
  server.setLeading(true)
  server.setEpoch(epoch)
  server.publish(table, Date.now())
  return { server, port: taken, url: `wss://127.0.0.1:${taken}`, pushedBytes }
}

const tableOf = (lines: Partial<ModelLines> = {}): RoutingTable =>
  makeTable({ models: { m: { backends: [{ url: backend.url }], ...lines } }, policies: { auto: { targets: ['m'] } } })

const factsOf = ({ server }: Operator): Programming | undefined => server.programming().get('LlamaModel default/m')
const allHave = (operator: Operator): Promise<void> =>
  eventually(async () => assert.deepEqual(factsOf(operator), { gateways: 1, acked: 1, rejected: [] }))

test('a table and its changes reach a proxy, and it says so', async (t) => {
  await pod.write('token', 'gateway')
  const operator = await startOperator(t, { table: tableOf(), epoch: 3 })
  const proxy = await pod.proxy(t, operator.url)
  await allHave(operator)
  assert.equal((await ask(proxy.url, { body: chat.request('auto', false) })).status, 200)
  operator.server.publish(tableOf({ names: ['n'] }), Date.now())
  await allHave(operator)
  assert.equal((await ask(proxy.url, { body: chat.request('n', false) })).status, 200)
  assert.equal((await ask(proxy.url, { body: chat.request('m', false) })).status, 404)
})

test("a gateway's word on endpoints and usage reaches the operator", async (t) => {
  await pod.write('token', 'gateway')
  const table = tableOf()
  const operator = await startOperator(t, { table, epoch: 3 })
  const proxy = await pod.proxy(t, operator.url)
  await allHave(operator)
  await ask(proxy.url, { body: chat.request('m', false) })
  const [endpoint] = table.endpointSets[0]?.endpoints ?? []
  await eventually(async () => assert.equal(operator.server.usage().get('default/m')?.requests, 1))
  await eventually(async () => assert.equal(operator.server.reports().get(endpoint?.id ?? '')?.inFlight, 0))
})

test('a new leader with the same table sends a proxy no entries', async (t) => {
  await pod.write('token', 'gateway')
  const first = await startOperator(t, { table: tableOf(), epoch: 3 })
  await pod.proxy(t, first.url)
  await allHave(first)
  await first.server.close()
  const second = await startOperator(t, { table: tableOf(), epoch: 4, port: first.port })
  await allHave(second)
  assert.equal(second.pushedBytes.length, 1)
  assert.ok((second.pushedBytes[0] ?? 0) < 256, String(second.pushedBytes))
})

test('a leader with an older epoch than its gateways raises it and goes on', async (t) => {
  await pod.write('token', 'gateway')
  const first = await startOperator(t, { table: tableOf(), epoch: 30 })
  const proxy = await pod.proxy(t, first.url)
  await allHave(first)
  await first.server.close()
  const told: number[] = []
  const events = {
    onStaleEpoch: (have: number): void => {
      told.push(have)
      second.server.setEpoch(have + 1)
    },
  }
  const second = await startOperator(t, { table: tableOf({ names: ['n'] }), epoch: 4, port: first.port, events })
  await allHave(second)
  assert.deepEqual(told, [30])
  assert.equal((await ask(proxy.url, { body: chat.request('n', false) })).status, 200)
})

test('a sidecar takes an older epoch once the leader has made sure, and has no secret', async (t) => {
  await pod.write('token', 'team-a')
  const sidecar = { args: ['--mode', 'Sidecar'] }
  const first = await startOperator(t, { table: tableOf({ namespace: 'team-a' }), epoch: 30 })
  const proxy = await pod.proxy(t, first.url, sidecar)
  await eventually(async () => assert.equal(await readinessOf(proxy), 'ok\n'))
  await first.server.close()
  const next = tableOf({
    namespace: 'team-a',
    names: ['n'],
    backends: [{ url: backend.url }, { url: 'https://api.example.com', keys: ['sk-1'] }],
  })
  await startOperator(t, { table: next, epoch: 4, port: first.port })
  await eventually(async () => assert.equal((await ask(proxy.url, { body: chat.request('n', false) })).status, 200))
  const shown = await (await fetch(`${proxy.adminUrl}/debug/table`)).text()
  assert.match(shown, /team-a\/m/)
  assert.doesNotMatch(shown, /api\.example\.com|sk-1|default\/auto/)
})

test('an entry that a proxy cannot take is told with its place, and nothing else suffers', async (t) => {
  await pod.write('token', 'gateway')
  const operator = await startOperator(t, { table: tableOf(), epoch: 3 })
  const proxy = await pod.proxy(t, operator.url)
  await allHave(operator)
  const broken = tableOf({ weight: -5 })
  operator.server.publish({ ...broken, policies: broken.policies.map((policy) => ({ ...policy, names: ['other'] })) }, Date.now())
  await eventually(async () => {
    const [rejection] = factsOf(operator)?.rejected ?? []
    assert.deepEqual(
      [rejection?.proxy, rejection?.reason, rejection?.pointer, rejection?.keptGeneration],
      ['llama-swap/gateway', 'invalid', '/weight', 1],
    )
  })
  assert.equal((await ask(proxy.url, { body: chat.request('other', false) })).status, 200)
  operator.server.publish(tableOf({ weight: 6 }), Date.now())
  await allHave(operator)
})
