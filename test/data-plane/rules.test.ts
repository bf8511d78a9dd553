/** Conditions on the request itself, and chains that lead from one policy to another. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { RoutingTable } from '../../proxy/routing-table/v1.ts'
import { ask, type Got } from '../support/client.ts'
import { eventually } from '../support/eventually.ts'
import { error, whole } from '../support/model-server/answers.ts'
import { type ModelServer, startModelServer } from '../support/model-server/model-server.ts'
import { type RunningProxy, startProxy } from '../support/proxy.ts'
import { ROUTES } from '../support/routes.ts'
import { makeTable } from '../support/table.ts'

const answer = whole(ROUTES.chat.answer(['well']))

let server: ModelServer
before(() => {
  server = startModelServer()
})
after(() => server.close())

const post = (proxy: RunningProxy, more: object = {}, headers: Readonly<Record<string, string>> = {}): Promise<Got> =>
  ask(proxy.url, { headers, body: { model: 'auto', messages: [{ role: 'user', content: 'hi' }], ...more } })

const servedBy = ({ headers }: Got): unknown => headers['x-llama-swap-model']

/** Policies of one rule each become the rules of one, in order. */
function together(table: RoutingTable): RoutingTable {
  const [first] = table.policies
  if (first === undefined) return table
  const rules = table.policies.flatMap(({ ref, rules: own }) => own.map((rule) => ({ ...rule, name: ref.slice(ref.indexOf('/') + 1) })))
  return { ...table, policies: [{ ...first, names: ['auto'], rules }] }
}

test('an expression reads the body as it was sent; one that cannot be evaluated is passed over, and counted', async () => {
  const [coder, plain] = await Promise.all([server.open(answer, answer), server.open(answer, answer, answer)])
  const proxy = await startProxy(
    together(
      makeTable({
        models: { coder: { backends: [{ url: coder.url }] }, plain: { backends: [{ url: plain.url }] } },
        policies: {
          broken: { matches: [{ cel: 'request.metadata.team == "x"' }], targets: ['plain'] },
          tools: { matches: [{ cel: 'has(request.seed) && request.seed > 6 && headers["x-tier"] == "gold"' }], targets: ['coder'] },
          talk: { matches: [{ cel: 'request.messages.exists(m, m.content.contains("code"))' }], targets: ['coder'] },
          rest: { targets: ['plain'] },
        },
      }),
    ),
  )
  try {
    assert.equal(servedBy(await post(proxy)), 'plain')
    assert.equal(servedBy(await post(proxy, { seed: 7 }, { 'x-tier': 'gold' })), 'coder')
    assert.equal(servedBy(await post(proxy, { seed: 7 }, { 'x-tier': 'silver' })), 'plain')
    assert.equal(servedBy(await post(proxy, { messages: [{ role: 'user', content: 'Review this code.' }] })), 'coder')
    // Above 1 MiB only what the proxy reads itself is there: no messages.
    assert.equal(servedBy(await post(proxy, { messages: [{ role: 'user', content: 'code '.repeat(300_000) }] })), 'plain')
    await eventually(async () => {
      const text = await (await fetch(`${proxy.metricsUrl}/metrics`)).text()
      const failed = text.split('\n').filter((line) => line.startsWith('llama_swap_expression_failures_total{'))
      assert.deepEqual(failed.toSorted(), [
        'llama_swap_expression_failures_total{policy_rule="default/broken/rest"} 4',
        'llama_swap_expression_failures_total{policy_rule="default/broken/talk"} 1',
        'llama_swap_expression_failures_total{policy_rule="default/broken/tools"} 1',
      ])
    })
  } finally {
    await proxy.close()
  }
})

test('when all of a policy has failed, the next policy of its chain serves, by its own rule', async () => {
  const broken = error(500, null, 'it broke')
  const [own, spare, last] = await Promise.all([server.open(broken, broken), server.open(broken, broken), server.open(answer)])
  const proxy = await startProxy(
    makeTable({
      models: Object.fromEntries(Object.entries({ own, spare, last }).map(([name, { url }]) => [name, { backends: [{ url }] }])),
      policies: {
        auto: { targets: ['own'], fallback: { targets: ['policy second'] } },
        second: { targets: ['spare'], fallback: { targets: ['policy third'] } },
        third: { targets: ['own', 'last'], strategy: 'Priority' },
      },
    }),
  )
  try {
    const got = await post(proxy)
    assert.deepEqual([got.status, servedBy(got), got.headers['x-llama-swap-rule']], [200, 'last', 'default'])
    assert.match(String(got.headers['x-llama-swap-why']), /fallback 2; rule default of third/)
  } finally {
    await proxy.close()
  }
})
