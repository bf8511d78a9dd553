/** The catalogue against the library that it was made from: the same model, and the same price for the same tokens. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { test } from 'node:test'
import { calcPrice, findProvider } from '@pydantic/genai-prices'
import { costOf } from '../../proxy/decide/price.ts'
import { cataloguePricing } from './catalogue.ts'

const ADDRESSES: Readonly<Record<string, string>> = {
  openai: 'https://api.openai.com/v1',
  anthropic: 'https://api.anthropic.com',
  google: 'https://generativelanguage.googleapis.com/v1beta/openai',
  azure: 'https://mine.openai.azure.com/openai/v1',
  deepseek: 'https://api.deepseek.com',
  mistral: 'https://api.mistral.ai/v1',
  groq: 'https://api.groq.com/openai/v1',
  'x-ai': 'https://api.x.ai/v1',
  together: 'https://api.together.xyz/v1',
  fireworks: 'https://api.fireworks.ai/inference/v1',
  cohere: 'https://api.cohere.com/compatibility/v1',
  perplexity: 'https://api.perplexity.ai',
  cerebras: 'https://api.cerebras.ai/v1',
  moonshotai: 'https://api.moonshot.ai/v1',
  openrouter: 'https://openrouter.ai/api/v1',
  aws: 'https://bedrock-runtime.us-west-2.amazonaws.com/openai/v1',
  novita: 'https://api.novita.ai/openai/v1',
  minimax: 'https://api.minimax.io/v1',
  zai: 'https://api.z.ai/api/paas/v4',
  baseten: 'https://inference.baseten.co/v1',
  avian: 'https://api.avian.io/v1',
  ovhcloud: 'https://oai.endpoints.kepler.ai.cloud.ovh.net/v1',
}
const USES = [
  { inputTokens: 1000, cachedInputTokens: 0, outputTokens: 100 },
  { inputTokens: 1000, cachedInputTokens: 400, outputTokens: 100 },
  { inputTokens: 150_001, cachedInputTokens: 100_000, outputTokens: 3000 },
  { inputTokens: 300_000, cachedInputTokens: 7, outputTokens: 5000 },
  { inputTokens: 2_000_000, cachedInputTokens: 0, outputTokens: 1 },
  { inputTokens: 10_000, cachedInputTokens: 2000, cacheWriteTokens: 3000, outputTokens: 10 },
  { inputTokens: 400_000, cachedInputTokens: 100_000, cacheWriteTokens: 250_000, outputTokens: 10 },
]
const AT = new Date('2026-11-26T00:00:00Z')

for (const [providerId, url] of Object.entries(ADDRESSES)) {
  const plain = (findProvider({ providerId })?.models ?? []).filter(({ prices }) => {
    const list = Array.isArray(prices) ? prices : [{ prices }]
    const hourly = list.some((one) => 'constraint' in one && one.constraint !== undefined && 'start_time' in one.constraint)
    const byToken = ({ prices: one }: (typeof list)[number]): boolean =>
      one['input_mtok'] !== undefined && one['output_mtok'] !== undefined && one['requests_kcount'] === undefined
    return !hourly && list.every(byToken)
  })

  test(`${providerId}: ${plain.length} models cost here what they cost there`, () => {
    assert.ok(plain.length > 0)
    for (const { id } of plain) {
      const pricing = cataloguePricing({ url, engine: 'Auto' }, id)
      const known = calcPrice({ input_tokens: 1, output_tokens: 1 }, id, { providerId, timestamp: AT }) !== null
      assert.equal(pricing?.priceSource, known ? 'Catalogue' : undefined, id)
      for (const used of known ? USES : []) {
        const usage = {
          input_tokens: used.inputTokens,
          cache_read_tokens: used.cachedInputTokens,
          cache_write_tokens: used.cacheWriteTokens ?? 0,
          output_tokens: used.outputTokens,
        }
        const there = calcPrice(usage, id, { providerId, timestamp: AT })?.total_price ?? Number.NaN
        const here = costOf(used, pricing)
        assert.ok(Math.abs(there - here) <= 1e-9 + there * 1e-9, `${id}: ${here} here, ${there} there for ${JSON.stringify(used)}`)
      }
    }
  })
}

test('an engine that is named tells the provider where the address does not', () => {
  assert.equal(cataloguePricing({ url: 'https://llm.example.com/v1', engine: 'OpenAI' }, 'gpt-4o-mini')?.outputPerMillionTokens, 0.6)
  assert.equal(cataloguePricing({ url: 'http://10.0.0.7:4000', engine: 'Anthropic' }, 'claude-sonnet-4-20250514')?.inputPerMillionTokens, 3)
})

test('a provider that sells models of others has their prices; a date may be written without dashes', () => {
  const azure = { url: 'https://mine.openai.azure.com/openai/v1', engine: 'Auto' } as const
  assert.deepEqual(cataloguePricing(azure, 'gpt-4o-mini'), {
    inputPerMillionTokens: 0.15,
    cachedInputPerMillionTokens: 0.075,
    outputPerMillionTokens: 0.6,
    priceSource: 'Catalogue',
  })
  assert.deepEqual(cataloguePricing(azure, 'gpt-4o-mini-20240718'), cataloguePricing(azure, 'gpt-4o-mini'))
})

test('embeddings are not billed for what they answer', () => {
  const pricing = cataloguePricing({ url: 'https://api.openai.com/v1', engine: 'Auto' }, 'text-embedding-3-small')
  assert.deepEqual(pricing, { inputPerMillionTokens: 0.02, outputPerMillionTokens: 0, priceSource: 'Catalogue' })
})

test('by hand: a prompt above the bound of a model with tiers, and one that is put into a cache', () => {
  // 300,000 are above 200,000: 200,000 × 2.50 + 100,000 × 0.25 + 1,000 × 15, by the million.
  const gemini = cataloguePricing({ url: ADDRESSES['google'] ?? '', engine: 'Auto' }, 'gemini-2.5-pro')
  assert.ok(Math.abs(costOf({ inputTokens: 300_000, cachedInputTokens: 100_000, outputTokens: 1000 }, gemini) - 0.54) < 1e-12)
  // 200,000 are not above: 200,000 × 1.25 + 1,000 × 10.
  assert.ok(Math.abs(costOf({ inputTokens: 200_000, cachedInputTokens: 0, outputTokens: 1000 }, gemini) - 0.26) < 1e-12)
  // 1,000 × 3 + 2,000 read × 0.30 + 7,000 written × 3.75 + 500 × 15.
  const claude = cataloguePricing({ url: ADDRESSES['anthropic'] ?? '', engine: 'Auto' }, 'claude-sonnet-4-20250514')
  const used = { inputTokens: 10_000, cachedInputTokens: 2000, cacheWriteTokens: 7000, outputTokens: 500 }
  assert.ok(Math.abs(costOf(used, claude) - 0.03735) < 1e-12)
})

test('what is no commercial API has no price there', () => {
  assert.equal(cataloguePricing({ url: 'https://llm.example.com/v1', engine: 'vLLM' }, 'gpt-4o-mini'), undefined)
  assert.equal(cataloguePricing({ engine: 'OpenAI' }, 'gpt-4o-mini'), undefined)
  assert.equal(cataloguePricing({ url: 'https://api.openai.com/v1', engine: 'Auto' }, 'of-nobody'), undefined)
})

test('the catalogue is what its script makes', () => {
  execFileSync(process.execPath, [join(import.meta.dirname, '../../scripts/price-catalogue.ts'), '--check'])
})
