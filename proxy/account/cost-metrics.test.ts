import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Registry } from 'prom-client'
import { costOf } from '../decide/price.ts'
import { CostMetrics } from './cost-metrics.ts'
import { answeredBy, tableOf } from './record.fixture.ts'

const TABLE = tableOf(['a', 'b'])
const ANSWERED = answeredBy(TABLE, { second: 'a' })

const answered = (client: string, costUsd: number | undefined) => {
  const [attempt] = ANSWERED.ending?.attempts ?? []
  assert.ok(ANSWERED.ending !== undefined && attempt !== undefined)
  const attempts = [{ ...attempt, ...(costUsd !== undefined && { costUsd }) }]
  return { ...ANSWERED, client: { name: client, namespace: 'default' }, ending: { ...ANSWERED.ending, attempts } }
}

async function valuesOf(registry: Registry, name: string): Promise<ReadonlyMap<string, number>> {
  const lines = (await registry.metrics()).split('\n').filter((line) => line.startsWith(`${name}{`))
  return new Map(lines.map((line) => [line.slice(name.length, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ') + 1))]))
}

test('a hundred thousand amounts add up to what the ledger has, to a millionth of a dollar', async () => {
  const registry = new Registry()
  const metrics = new CostMetrics(registry, () => {})
  const prices = { inputPerMillionTokens: 1.25, cachedInputPerMillionTokens: 0.13, outputPerMillionTokens: 10 }
  // In hundred-millionths of a dollar, which are whole numbers: 1 token of input is 125 of them.
  let ledger = 0n
  for (let at = 0; at < 100_000; at++) {
    const [inputTokens, outputTokens] = [(at * 7919) % 20_011, (at * 104_729) % 1009]
    const cachedInputTokens = (at * 31) % (inputTokens + 1)
    metrics.record(answered('default/alice', costOf({ inputTokens, outputTokens, cachedInputTokens }, prices)))
    ledger += BigInt((inputTokens - cachedInputTokens) * 125 + cachedInputTokens * 13 + outputTokens * 1000)
  }
  const [usd] = (await valuesOf(registry, 'llama_swap_cost_usd_total')).values()
  assert.ok(ledger > 100_000_000_000n && Math.abs((usd ?? 0) - Number(ledger) / 1e8) < 1e-6, `${usd} for ${ledger}`)
})

test('clients beyond the bound are counted together, and nothing is lost', async () => {
  const registry = new Registry()
  const dropped: string[] = []
  const metrics = new CostMetrics(registry, (metric) => dropped.push(metric))
  for (let at = 0; at < 3000; at++) metrics.record(answered(`default/c${at}`, 0.5))
  const values = await valuesOf(registry, 'llama_swap_cost_usd_total')
  assert.equal(values.size, 2001)
  assert.equal(values.get('{model="_other",policy="_other",client="_other"}'), 500)
  assert.equal(
    [...values.values()].reduce((sum, usd) => sum + usd, 0),
    1500,
  )
  assert.equal(dropped.length, 1000)
})

test('an answer without a price is counted apart; one that is free costs 0', async () => {
  const registry = new Registry()
  const metrics = new CostMetrics(registry, () => {})
  metrics.record(answered('default/alice', undefined))
  metrics.record(answered('default/bob', 0))
  assert.deepEqual([...(await valuesOf(registry, 'llama_swap_cost_usd_total'))], [['{model="team/a",policy="",client="default/bob"}', 0]])
  assert.deepEqual([...(await valuesOf(registry, 'llama_swap_answers_unpriced_total'))], [['{model="team/a"}', 1]])
})
