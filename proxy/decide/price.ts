/**
 * What requests cost, in USD. In: prices of a backend, tokens, how much an endpoint is seen to write. Out: amounts; undefined = nobody knows the
 * price, which is never the same as free. Cached tokens are inside the input, reasoning tokens inside the output, as engines count them.
 */
import type { CompiledEndpoint, CompiledPolicy, CompiledTable } from '../routing-table/compiled.ts'
import type { Prices, Pricing } from '../routing-table/v1.ts'
import type { Facts, LiveView } from './input.ts'
import { USUAL_OUTPUT_TOKENS } from './pace-view.ts'

const PER_MILLION = 1e-6
const MILLION_PER_HOUR = 1e6 / 3600
/** Routes whose answers are written token by token; others answer with none that is paid for. */
const WRITES: ReadonlySet<string> = new Set(['chat', 'completions', 'responses', 'messages'])

export interface Tokens {
  readonly inputTokens: number
  readonly outputTokens: number
  /** Of the input, what the engine had read before. */
  readonly cachedInputTokens: number
  /** Of the input, what the engine keeps for later requests. Absent = none. */
  readonly cacheWriteTokens?: number
}

/** What has no price costs nothing here: whoever asks has decided that already. A tier holds for the whole request. */
export function costOf(tokens: Tokens, pricing: Pricing | undefined): number {
  return pricing === undefined ? 0 : sumOf(tokens, tierOf(pricing, tokens.inputTokens))
}

/** Undefined = one of the prices that it needs is not known. */
export function knownCostOf(tokens: Tokens, pricing: Pricing | undefined): number | undefined {
  if (pricing === undefined) return undefined
  const prices = tierOf(pricing, tokens.inputTokens)
  if (prices.inputPerMillionTokens === undefined && tokens.inputTokens > 0) return undefined
  return prices.outputPerMillionTokens === undefined && tokens.outputTokens > 0 ? undefined : sumOf(tokens, prices)
}

function sumOf({ inputTokens, outputTokens, cachedInputTokens, cacheWriteTokens = 0 }: Tokens, prices: Prices): number {
  const input = prices.inputPerMillionTokens ?? 0
  const cached = Math.min(cachedInputTokens, inputTokens)
  const written = Math.min(cacheWriteTokens, inputTokens - cached)
  const cachedPrice = prices.cachedInputPerMillionTokens ?? input
  const writePrice = prices.cacheWritePerMillionTokens ?? input
  const output = prices.outputPerMillionTokens ?? 0
  return ((inputTokens - cached - written) * input + cached * cachedPrice + written * writePrice + outputTokens * output) * PER_MILLION
}

const tierOf = (pricing: Pricing, inputTokens: number): Prices =>
  pricing.tiers?.findLast(({ aboveInputTokens }) => inputTokens > aboveInputTokens) ?? pricing

/**
 * The prices of tokens that hold at an endpoint: declared, of the catalogue, or what its hour costs divided by what it writes in an hour while
 * it has something to do. The price of an hour falls on what is written alone: reading a prompt is a small part of it.
 */
export function pricesAt(endpoint: CompiledEndpoint, live: Pick<LiveView, 'endpoint'>): Pricing | undefined {
  const { pricing } = endpoint.backend
  if (pricing?.perHour === undefined || pricing.outputPerMillionTokens !== undefined) return pricing
  const { outputPerSecond } = live.endpoint(endpoint.id)
  if (outputPerSecond === undefined) return undefined
  return { inputPerMillionTokens: 0, outputPerMillionTokens: (pricing.perHour * MILLION_PER_HOUR) / outputPerSecond }
}

/** What this request is going to cost there, by estimate; undefined = the price is not known. */
export function estimatedUsd(endpoint: CompiledEndpoint, facts: Facts, live: Live): number | undefined {
  if (endpoint.backend.pricing === undefined) return undefined
  const outputTokens = Math.min(facts.maxOutputTokens ?? Number.POSITIVE_INFINITY, usualOutput(endpoint, live))
  return knownCostOf(tokensOf(endpoint, facts, outputTokens, live), pricesAt(endpoint, live))
}

/** The most that it may cost at these prices: all that the client lets it write; where it does not say, what is usual. */
export function ceilingUsd(endpoint: CompiledEndpoint, facts: Facts, prices: Pricing, live: Live): number | undefined {
  const { maxOutput } = endpoint.backend
  const most = Math.min(facts.maxOutputTokens ?? usualOutput(endpoint, live), maxOutput?.tokens ?? Number.POSITIVE_INFINITY)
  return knownCostOf(tokensOf(endpoint, facts, most, live), prices)
}

type Live = Pick<LiveView, 'endpoint' | 'tokens'>

const usualOutput = ({ id }: CompiledEndpoint, live: Live): number => live.endpoint(id).outputs?.meanTokens ?? USUAL_OUTPUT_TOKENS

const tokensOf = ({ model }: CompiledEndpoint, facts: Facts, outputTokens: number, live: Live): Tokens => ({
  inputTokens: live.tokens.of(model, facts),
  outputTokens: WRITES.has(facts.route) ? outputTokens : 0,
  cachedInputTokens: 0,
})

/** The highest prices that a request to a policy may meet, in policies of its chains too: what is reserved before it is known who serves it. */
export function dearest(policy: CompiledPolicy, policies: CompiledTable['policies']): Pricing {
  const prices = reachedFrom(policy, policies).flatMap(pricesOf)
  const highest = (of: (pricing: Prices) => number | undefined): number => Math.max(0, ...prices.map((one) => of(one) ?? 0))
  return {
    inputPerMillionTokens: highest((one) => Math.max(one.inputPerMillionTokens ?? 0, one.cacheWritePerMillionTokens ?? 0)),
    outputPerMillionTokens: highest((one) => one.outputPerMillionTokens),
  }
}

const pricesOf = ({ rules }: CompiledPolicy): readonly Prices[] =>
  rules
    .flatMap(({ targets, chain }) => [...targets, ...chain.filter((one) => 'model' in one)])
    .flatMap(({ model }) => model.entry.backends)
    .flatMap(({ pricing }) => (pricing === undefined ? [] : [pricing, ...(pricing.tiers ?? [])]))

/** The policy, and those that its chains lead to. */
function reachedFrom(policy: CompiledPolicy, policies: CompiledTable['policies']): readonly CompiledPolicy[] {
  const reached = new Set([policy])
  for (const { rules } of reached) {
    for (const one of rules.flatMap(({ chain }) => chain)) {
      const next = 'policy' in one ? policies.get(one.policy) : undefined
      if (next !== undefined) reached.add(next)
    }
  }
  return [...reached]
}
