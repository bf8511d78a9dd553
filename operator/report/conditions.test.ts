import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { conditionOf, PROBLEMS, problem } from '../translate/problems.ts'
import { ANSWER_WITHIN_MS, type Verdict, verdictOf } from './conditions.ts'
import { factsOf, type Heard } from './facts.ts'
import { REASONS } from './reasons.ts'
import { allHave, heard, type Scene, translated } from './report.fixture.ts'

const NOW_MS = 1_800_000_000_000
const SETTLED = { nowMs: NOW_MS, gatheringUntilMs: 0 }

function verdicts(scene: Scene, said: Heard, moment = SETTLED): { readonly model: Verdict; readonly policy: Verdict } {
  const [model, policy] = [...factsOf(translated(scene), said).values()].map((facts) => verdictOf(facts, moment))
  assert.ok(model !== undefined && policy !== undefined)
  return { model, policy }
}

/** "Programmed=True/Programmed Ready=…" without what translate says. */
const words = ({ judgements }: Verdict): string =>
  judgements
    .filter(({ type }) => type !== 'Accepted' && type !== 'ResolvedRefs')
    .map(({ type, status, reason }) => `${type}=${status}/${reason}`)
    .join(' ')

const message = ({ judgements }: Verdict, of: string): string => judgements.find(({ type }) => type === of)?.message ?? ''

test('programmed and ready once all gateways have it and an endpoint takes requests', () => {
  const { model, policy } = verdicts({}, heard(allHave(3), { e1: { up: 3, down: 0, engine: 'vLLM' } }))
  assert.equal(words(model), 'Programmed=True/Programmed Ready=True/Ready')
  assert.equal(words(policy), 'Programmed=True/Programmed Ready=True/Ready')
  assert.deepEqual(model.programmed, { generation: 1, proxies: 3, acked: 3, rejected: 0 })
  assert.deepEqual(model.model, {
    servedNames: ['m'],
    endpoints: { total: 2, ready: 2 },
    backends: [{ name: 'gpu', engine: 'vLLM', total: 2, ready: 2 }],
  })
  assert.deepEqual(model.summary, { engines: 'vLLM', backends: 'gpu', programmed: '3/3', endpoints: '2/2' })
  assert.deepEqual(policy.rules, [{ name: 'default', ready: true }])
  assert.deepEqual(policy.summary, { virtualModels: 'auto', targets: 'm', programmed: '3/3' })
})

test('without a gateway nothing is programmed, once a new leader has given them time to come', () => {
  assert.equal(words(verdicts({}, heard(allHave(0))).model), 'Programmed=False/NoProxies Ready=False/NoProxies')
  const young = verdicts({}, heard(allHave(0)), { nowMs: NOW_MS, gatheringUntilMs: NOW_MS + 1 }).model
  assert.equal(words(young), 'Programmed=Unknown/Pending Ready=Unknown/Pending')
  assert.equal(young.changesAtMs, NOW_MS + 1)
})

test('gateways have 10 s to answer', () => {
  const waiting = (sinceMs: number) => verdicts({}, heard({ gateways: 3, acked: 1, pendingSinceMs: sinceMs, rejected: [] })).model
  const early = waiting(NOW_MS - ANSWER_WITHIN_MS + 1)
  assert.equal(words(early), 'Programmed=Unknown/Pending Ready=Unknown/Pending')
  assert.equal(early.changesAtMs, NOW_MS + 1)
  const late = waiting(NOW_MS - ANSWER_WITHIN_MS)
  assert.equal(words(late), 'Programmed=False/NotProgrammed Ready=False/NotProgrammed')
  assert.equal(late.summary['programmed'], '1/3')
})

test('a refusal is told at once, with its place, its reason and the gateway', () => {
  const rejected = [{ proxy: 'gw/gw-0', pointer: '/backends/0/url', reason: 'invalid', message: 'is no URL.' }]
  const { model } = verdicts({}, heard({ gateways: 3, acked: 2, rejected }))
  assert.equal(words(model), 'Programmed=False/Rejected Ready=False/Rejected')
  assert.equal(message(model, 'Programmed'), 'gw/gw-0: /backends/0/url: is no URL. (invalid)')
  assert.equal(model.programmed.rejected, 1)
})

test('an object of which nothing is served says so, and a table too large is every object’s', () => {
  assert.equal(words(verdicts({ inTable: false }, heard(undefined)).model), 'Programmed=False/NotServed Ready=False/NotServed')
  const { model } = verdicts({}, { ...heard(allHave(1)), unpushed: 'The table has 70 MB.' })
  assert.equal(words(model), 'Programmed=False/TableTooLarge Ready=False/TableTooLarge')
})

test('an endpoint is down when gateways say so and none says otherwise; unknown ones are tried', () => {
  const some = verdicts({}, heard(allHave(2), { e1: { up: 0, down: 2 }, e2: { up: 1, down: 1 } })).model
  assert.equal(words(some), 'Programmed=True/Programmed Ready=True/Ready Degraded=True/EndpointsDown')
  assert.equal(message(some, 'Degraded'), 'Ready endpoints: gpu 1/2.')
  const none = verdicts({}, heard(allHave(2), { e1: { up: 0, down: 2 }, e2: { up: 0, down: 1 } }))
  assert.equal(words(none.model), 'Programmed=True/Programmed Ready=False/EndpointsDown')
  assert.equal(words(none.policy), 'Programmed=True/Programmed Ready=False/NoReadyTarget')
  assert.deepEqual(none.policy.rules, [{ name: 'default', ready: false, reason: 'NoReadyTarget' }])
  assert.equal(none.model.summary['endpoints'], '0/2')
})

test('a model without endpoints is not ready; one backend without is a degradation', () => {
  assert.equal(words(verdicts({ endpoints: { gpu: [] } }, heard(allHave(1))).model), 'Programmed=True/Programmed Ready=False/NoEndpoints')
  const half = verdicts({ endpoints: { gpu: ['e1'], spare: [] } }, heard(allHave(1))).model
  assert.equal(words(half), 'Programmed=True/Programmed Ready=True/Ready Degraded=True/EndpointsDown')
  assert.deepEqual(half.model?.backends[1], { name: 'spare', engine: 'Auto', total: 0, ready: 0, reason: 'NoEndpoints' })
})

test('a backend that was left out says the problem’s code, and the model is degraded', () => {
  const problems = [problem('ServiceNotFound', 'LlamaModel team-a/m', 'spec.backends[1].service.name', 'gone')]
  const { model } = verdicts({ endpoints: { gpu: ['e1'], other: [] }, problems }, heard(allHave(1)))
  assert.equal(model.model?.backends[1]?.reason, 'ServiceNotFound')
  assert.equal(words(model), 'Programmed=True/Programmed Ready=True/Ready Degraded=True/PartlyServed')
})

test('messages and columns have an end', () => {
  const rejected = Array.from({ length: 50 }, (_, n) => ({
    proxy: `gw/gw-${n}`,
    pointer: '',
    reason: 'invalid',
    message: 'x'.repeat(2000),
  }))
  const { model } = verdicts({}, heard({ gateways: 50, acked: 0, rejected }))
  assert.ok(message(model, 'Programmed').length <= 1024)
})

const PAGE = readFileSync(join(import.meta.dirname, '..', '..', 'docs', 'conditions.md'), 'utf8')

function rows(first: string): readonly string[] {
  const lines = PAGE.split('\n')
  const start = lines.findIndex((line) => line.startsWith(`| ${first} |`)) + 2
  return lines.slice(start, lines.indexOf('', start))
}

test('docs/conditions.md lists every reason as it is, and no other', () => {
  assert.deepEqual(
    rows('Condition'),
    REASONS.map(({ condition, reason, status, meaning }) => `| ${condition} | \`${reason}\` | ${status} | ${meaning} |`),
  )
})

test('docs/conditions.md lists every problem as it is, and no other', () => {
  const real = Object.entries(PROBLEMS).flatMap(([code, row]) => {
    const condition = row.condition === 'none' ? 'Event only' : row.condition
    return [`| \`${code}\` | ${condition} | ${row.says('…', '…')} |`]
  })
  assert.deepEqual(rows('Problem'), real)
  assert.ok(REASONS.every(({ reason }) => !(reason in PROBLEMS)))
  assert.equal(conditionOf('NoTarget'), 'ResolvedRefs')
})

test('facts of an object that nothing has happened to are the same object', () => {
  const moment = translated({})
  const before = factsOf(moment, heard(allHave(3), { e1: { up: 3, down: 0 } }))
  const same = factsOf(moment, heard(allHave(3), { e1: { up: 2, down: 1 } }), before)
  assert.deepEqual([...same.values()], [...before.values()])
  for (const [object, facts] of same) assert.equal(facts, before.get(object))
  const down = factsOf(moment, heard(allHave(3), { e1: { up: 0, down: 3 }, e2: { up: 3, down: 0 } }), same)
  const [model, policy] = [...down.keys()]
  assert.notEqual(down.get(model ?? ''), same.get(model ?? ''))
  assert.equal(down.get(policy ?? ''), same.get(policy ?? ''))
  const fewer = factsOf(moment, heard({ gateways: 3, acked: 2, rejected: [] }), down)
  for (const [object, facts] of fewer) assert.notEqual(facts, down.get(object))
})
