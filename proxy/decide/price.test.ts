/** Amounts worked out by hand, in USD. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { makeTable } from '../../test/support/table.ts'
import { compileTable } from '../routing-table/index.ts'
import type { Pricing } from '../routing-table/v1.ts'
import { ceilingUsd, costOf, dearest, estimatedUsd, knownCostOf, pricesAt } from './price.ts'
import { PLAIN_TOKENS } from './tokens-view.ts'

const near = (got: number | undefined, usd: number): void =>
  assert.ok(got !== undefined && Math.abs(got - usd) < 1e-12, `${got} is not ${usd}`)

const MINI: Pricing = { inputPerMillionTokens: 0.15, cachedInputPerMillionTokens: 0.075, outputPerMillionTokens: 0.6 }
const CLAUDE: Pricing = {
  inputPerMillionTokens: 3,
  cachedInputPerMillionTokens: 0.3,
  cacheWritePerMillionTokens: 3.75,
  outputPerMillionTokens: 15,
}

test('cached tokens are inside the input, reasoning tokens inside the output', () => {
  // 2,006 of which 1,920 cached: 86 × 0.15 + 1,920 × 0.075 = 156.9; 300, reasoning and all: × 0.6 = 180.
  near(costOf({ inputTokens: 2006, cachedInputTokens: 1920, outputTokens: 300 }, MINI), 0.0003369)
})

test('what is put into a cache has a price of its own', () => {
  // 21 fresh × 3 + 188,086 read × 0.3 + 1,000 written × 3.75 + 393 × 15 = 63 + 56,425.8 + 3,750 + 5,895.
  near(costOf({ inputTokens: 189_107, cachedInputTokens: 188_086, cacheWriteTokens: 1000, outputTokens: 393 }, CLAUDE), 0.0661338)
  near(costOf({ inputTokens: 100, cachedInputTokens: 0, cacheWriteTokens: 100, outputTokens: 0 }, MINI), 0.000015)
})

test('an engine that counts more cached tokens than tokens is not paid back', () => {
  near(costOf({ inputTokens: 100, cachedInputTokens: 900, cacheWriteTokens: 900, outputTokens: 0 }, MINI), 0.0000075)
})

test('a tier begins above its bound, and holds for the whole request', () => {
  const tiers = [
    { aboveInputTokens: 128_000, inputPerMillionTokens: 2, outputPerMillionTokens: 8 },
    { aboveInputTokens: 200_000, inputPerMillionTokens: 4, cachedInputPerMillionTokens: 1, outputPerMillionTokens: 16 },
  ]
  const tiered: Pricing = { inputPerMillionTokens: 1, cachedInputPerMillionTokens: 0.25, outputPerMillionTokens: 4, tiers }
  const used = { cachedInputTokens: 8000, outputTokens: 1000 }
  near(costOf({ ...used, inputTokens: 128_000 }, tiered), 0.126)
  // A tier without a price for cached tokens has none: they cost what others do.
  near(costOf({ ...used, inputTokens: 128_001 }, tiered), 0.264002)
  near(costOf({ ...used, inputTokens: 200_001 }, tiered), 0.792004)
})

test('a price that is needed and not known makes the cost unknown, one that is not needed does not', () => {
  const used = { inputTokens: 100, cachedInputTokens: 0 }
  assert.equal(knownCostOf({ ...used, outputTokens: 1 }, undefined), undefined)
  assert.equal(knownCostOf({ ...used, outputTokens: 1 }, { inputPerMillionTokens: 1 }), undefined)
  assert.equal(knownCostOf({ ...used, outputTokens: 0 }, { outputPerMillionTokens: 1 }), undefined)
  near(knownCostOf({ ...used, outputTokens: 0 }, { inputPerMillionTokens: 1 }), 0.0001)
  assert.equal(knownCostOf({ ...used, outputTokens: 9 }, { inputPerMillionTokens: 0, outputPerMillionTokens: 0 }), 0)
})

const FACTS = {
  route: 'chat',
  path: '/v1/chat/completions',
  asked: 'm',
  stream: false,
  needs: [],
  promptTokens: 1000,
  maxOutputTokens: undefined,
  headers: {},
  client: { name: undefined, namespace: 'default' },
} as const

function at(pricing: Pricing | undefined, outputPerSecond?: number, maxOutput?: number) {
  const backend = {
    url: 'http://127.0.0.1:1',
    ...(pricing && { pricing }),
    ...(maxOutput !== undefined && { maxOutput: { tokens: maxOutput } }),
  }
  const table = compileTable(makeTable({ models: { m: { backends: [backend] } }, policies: { auto: { targets: ['m'] } } }))
  const endpoint = table.models.get('default/m')?.endpoints[0]
  const policy = table.policies.get('default/auto')
  assert.ok(endpoint !== undefined && policy !== undefined)
  const view = Object.create(null)
  view.outputPerSecond = outputPerSecond
  return { endpoint, policy, live: { endpoint: () => view, tokens: PLAIN_TOKENS } }
}

test('an hour is paid for by what is written in it', () => {
  // 2.16 USD an hour are 0.0006 a second; with 60 tokens a second 0.00001 a token: 10 USD a million.
  const { endpoint, live } = at({ perHour: 2.16 }, 60)
  const prices = pricesAt(endpoint, live)
  near(prices?.outputPerMillionTokens, 10)
  near(knownCostOf({ inputTokens: 5000, cachedInputTokens: 0, outputTokens: 300 }, prices), 0.003)
  assert.equal(estimatedUsd(endpoint, FACTS, at(undefined).live), undefined)
})

test('declared prices of tokens go before the price of an hour', () => {
  const { endpoint, live } = at({ perHour: 2, inputPerMillionTokens: 1, outputPerMillionTokens: 2 }, 60)
  near(pricesAt(endpoint, live)?.outputPerMillionTokens, 2)
})

test('an estimate has the usual output or less, a ceiling all that may come', () => {
  const million = { inputPerMillionTokens: 1, outputPerMillionTokens: 1 }
  const { endpoint, live } = at(million)
  near(estimatedUsd(endpoint, FACTS, live), 0.001256)
  near(estimatedUsd(endpoint, { ...FACTS, maxOutputTokens: 16 }, live), 0.001016)
  near(estimatedUsd(endpoint, { ...FACTS, maxOutputTokens: 4096 }, live), 0.001256)
  near(ceilingUsd(endpoint, FACTS, million, live), 0.001256)
  near(ceilingUsd(endpoint, { ...FACTS, maxOutputTokens: 4096 }, million, live), 0.005096)
  near(ceilingUsd(at(million, undefined, 100).endpoint, { ...FACTS, maxOutputTokens: 4096 }, million, live), 0.0011)
})

test('what is usual is what the model usually writes, and its prompts are counted as it counts them', () => {
  const { endpoint, live } = at({ inputPerMillionTokens: 1, outputPerMillionTokens: 10 })
  const seen = { endpoint: () => ({ ...live.endpoint(), outputs: { meanTokens: 40 } }), tokens: { ...PLAIN_TOKENS, of: () => 1300 } }
  near(estimatedUsd(endpoint, FACTS, seen), 0.0017)
  near(estimatedUsd(endpoint, { ...FACTS, maxOutputTokens: 30 }, seen), 0.0016)
  near(ceilingUsd(endpoint, FACTS, { inputPerMillionTokens: 1, outputPerMillionTokens: 10 }, seen), 0.0017)
})

test('embeddings write nothing', () => {
  const { endpoint, live } = at({ inputPerMillionTokens: 0.02 })
  near(estimatedUsd(endpoint, { ...FACTS, route: 'embeddings' }, live), 0.00002)
})

test('what is reserved is at the highest price of any tier, and of a cache', () => {
  const tiers = [{ aboveInputTokens: 1000, inputPerMillionTokens: 2, outputPerMillionTokens: 30 }]
  assert.deepEqual(dearest(at({ ...CLAUDE, tiers }).policy, new Map()), { inputPerMillionTokens: 3.75, outputPerMillionTokens: 30 })
})

test('what is reserved is enough for the policies that chains lead to, round and round', () => {
  const backends = (pricing: Pricing) => ({ backends: [{ url: 'http://127.0.0.1:1', pricing }] })
  const { policies } = compileTable(
    makeTable({
      models: { own: backends(MINI), rented: backends(CLAUDE) },
      policies: {
        auto: { targets: ['own'], fallback: { targets: ['policy best', 'policy gone'] } },
        best: { targets: ['rented'], fallback: { targets: ['policy auto'] } },
      },
    }),
  )
  const auto = policies.get('default/auto')
  assert.ok(auto !== undefined)
  assert.deepEqual(dearest(auto, policies), { inputPerMillionTokens: 3.75, outputPerMillionTokens: 15 })
})
