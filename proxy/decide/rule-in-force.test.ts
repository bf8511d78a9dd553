import assert from 'node:assert/strict'
import { test } from 'node:test'
import { makeTable } from '../../test/support/table.ts'
import { compileTable } from '../routing-table/compile.ts'
import type { Candidate, Facts } from './input.ts'
import { Matching } from './match/match.ts'
import { rulingOf } from './rule-in-force.ts'

const FACTS: Facts = {
  route: 'chat',
  path: '/v1/chat/completions',
  asked: 'p0',
  stream: false,
  needs: [],
  promptTokens: 1,
  maxOutputTokens: undefined,
  headers: {},
  client: { name: undefined, namespace: 'default' },
}

test('policies that all lead to each other are each entered once', () => {
  const names = Array.from({ length: 16 }, (_, at) => `p${at}`)
  const models = Object.fromEntries(names.map((name) => [`${name}-m`, { backends: [{ url: 'http://10.0.0.1:8000' }] }]))
  const targets = names.map((name) => `policy ${name}`)
  const policies = Object.fromEntries(names.map((name) => [name, { targets: [`${name}-m`], fallback: { targets } }]))
  const table = compileTable(makeTable({ models, policies }))
  const policy = table.policies.get('default/p0')
  const rule = policy?.rules[0]
  assert.ok(policy !== undefined && rule !== undefined)
  const ask = (): readonly Candidate[] => rulingOf(policy, rule, { table, matching: new Matching(FACTS, 0) }).candidates
  assert.equal(ask().length, 16)
  assert.equal(ask(), ask(), 'the list is kept')
})

/** Policies "p0" to "p9", each of so many models of its own, each leading to the next. */
function chainFrom(targetsEach: number): readonly number[] {
  const names = Array.from({ length: 10 }, (_, at) => `p${at}`)
  const targetsOf = (policy: string): readonly string[] => Array.from({ length: targetsEach }, (_, at) => `${policy}-m${at}`)
  const models = names.flatMap(targetsOf).map((model) => [model, { backends: [{ url: 'http://10.0.0.1:8000' }] }] as const)
  const policies = names.map((name, at) => [name, { targets: targetsOf(name), fallback: { targets: [`policy p${at + 1}`] } }] as const)
  const table = compileTable(makeTable({ models: Object.fromEntries(models), policies: Object.fromEntries(policies) }))
  const policy = table.policies.get('default/p0')
  const rule = policy?.rules[0]
  assert.ok(policy !== undefined && rule !== undefined)
  return rulingOf(policy, rule, { table, matching: new Matching(FACTS, 0) }).candidates.map(({ tier }) => tier)
}

test('a chain over policies is followed four policies deep', () => assert.deepEqual(chainFrom(1), [0, 1, 2, 3, 4]))

test('of a longer chain the first 64 models take part', () => {
  const tiers = chainFrom(16)
  assert.deepEqual([tiers.length, tiers.filter((tier) => tier === 3).length, tiers.at(-1)], [64, 16, 3])
})
