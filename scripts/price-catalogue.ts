/**
 * `node scripts/price-catalogue.ts`: prices of commercial APIs, out of the data of @pydantic/genai-prices, as the operator uses them: without
 * descriptions and without what is not billed by the token. Of prices that depend on the date the newest that holds now is taken; of those
 * that depend on the hour the dearest, so that nobody pays more than was expected. `--check` writes nothing and exits 1 when it is out of date.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type ConditionalPrice, findProvider, type MatchLogic, type ModelInfo, type ModelPrice } from '@pydantic/genai-prices'

const ROOT = join(import.meta.dirname, '..')
const FILE = join(ROOT, 'operator', 'translate', 'price-catalogue.generated.ts')
/** Those that sell by the token under an address of their own. */
const PROVIDERS = [
  'openai',
  'anthropic',
  'google',
  'azure',
  'deepseek',
  'mistral',
  'groq',
  'x-ai',
  'together',
  'fireworks',
  'cohere',
  'perplexity',
  'cerebras',
  'moonshotai',
  'openrouter',
  'aws',
  'voyageai',
  'novita',
  'minimax',
  'zai',
  'baseten',
  'avian',
  'ovhcloud',
]
const VERSION: string = JSON.parse(readFileSync(join(ROOT, 'node_modules', '@pydantic', 'genai-prices', 'package.json'), 'utf8')).version

interface Prices {
  i?: number
  c?: number
  w?: number
  o?: number
}

/** The day at which prices are looked up, so that the same data give the same file. Those that begin later come with a later catalogue. */
const DAY = '2026-11-26'
const AT = new Date(`${DAY}T00:00:00Z`)

function pricesNow(prices: ModelInfo['prices']): ModelPrice | undefined {
  if (!Array.isArray(prices)) return prices
  const hourly = prices.filter(({ constraint }) => constraint !== undefined && 'start_time' in constraint)
  if (hourly.length > 0) return prices.map((one) => one.prices).toSorted((a, b) => base(b, 'output_mtok') - base(a, 'output_mtok'))[0]
  return prices.filter(holds).at(-1)?.prices
}

const holds = ({ constraint }: ConditionalPrice): boolean =>
  constraint === undefined || ('start_date' in constraint && new Date(constraint.start_date) <= AT)

function base(prices: ModelPrice, key: string): number {
  const price = prices[key]
  return typeof price === 'number' ? price : (price?.base ?? 0)
}

/** Each bound at which a price changes begins a tier; between them all prices stay. */
function tiersOf(prices: ModelPrice): { above: number; prices: Prices }[] {
  const bounds = new Set(KEYS.flatMap(([key]) => tieredIn(prices, key).map(({ start }) => start)))
  return [...bounds].toSorted((a, b) => a - b).map((above) => ({ above, prices: pricesAbove(prices, above) }))
}

const KEYS = [
  ['input_mtok', 'i'],
  ['cache_read_mtok', 'c'],
  ['cache_write_mtok', 'w'],
  ['output_mtok', 'o'],
] as const

function tieredIn(prices: ModelPrice, key: string): readonly { start: number; price: number }[] {
  const price = prices[key]
  return typeof price === 'object' ? price.tiers : []
}

/** What has a price for its input alone, as embeddings have, is not billed for what it answers. */
function pricesAbove(prices: ModelPrice, above: number): Prices {
  const found: Prices = {}
  for (const [key, short] of KEYS) {
    if (prices[key] === undefined) continue
    found[short] = tieredIn(prices, key).findLast(({ start }) => start <= above)?.price ?? base(prices, key)
  }
  return prices['output_mtok'] === undefined && !Object.keys(prices).some((key) => key.startsWith('output_')) ? { ...found, o: 0 } : found
}

function modelOf({ id, match, prices }: ModelInfo): readonly unknown[] {
  const now = pricesNow(prices)
  if (now === undefined || (now['input_mtok'] === undefined && now['output_mtok'] === undefined)) return []
  const tiers = tiersOf(now)
  return [
    { id, m: shortMatch(match), p: pricesAbove(now, 0), ...(tiers.length > 0 && { t: tiers.map(({ above, prices: p }) => [above, p]) }) },
  ]
}

function shortMatch(match: MatchLogic): unknown {
  if ('or' in match) return { or: match.or.map(shortMatch) }
  if ('and' in match) return { and: match.and.map(shortMatch) }
  return match
}

const catalogue = PROVIDERS.map((providerId) => {
  const provider = findProvider({ providerId })
  if (provider === undefined) throw new Error(`there is no provider ${providerId}`)
  const others = (provider.fallback_model_providers ?? []).filter((id) => PROVIDERS.includes(id))
  return {
    id: providerId,
    api: provider.api_pattern,
    ...(others.length > 0 && { f: others }),
    models: provider.models.flatMap(modelOf),
  }
})
const text = `// Generated from @pydantic/genai-prices ${VERSION} (MIT, Copyright Pydantic Services Inc.) by scripts/price-catalogue.ts. Do not edit.
// Prices that held on ${DAY}.
/** JSON, read when the first backend asks. */
export const CATALOGUE_JSON = ${JSON.stringify(JSON.stringify(catalogue))}
`
if (process.argv.includes('--check')) {
  if (readFileSync(FILE, 'utf8') !== text) {
    console.error(`${FILE} is out of date: node scripts/price-catalogue.ts`)
    process.exitCode = 1
  }
} else writeFileSync(FILE, text)
