/**
 * What requests cost, in USD. In: prices of a backend, tokens, how much an endpoint is seen to write. Out: amounts; undefined = nobody knows the
 * price, which is never the same as free. Cached tokens are inside the input, reasoning tokens inside the output, as engines count them.
 */
import type { CompiledEndpoint, CompiledPolicy } from '../routing-table/compiled.ts'
import type { Prices, Pricing } from '../routing-table/v1.ts'
import type { Facts, LiveView } from './input.ts'
import { outputTokensOf } from './pace-view.ts'

const PER_MILLION = 1e-6
const MILLION_PER_HOUR = 1e6 / 3600

export interface Tokens {
  readonly inputTokens: number
  readonly outputTokens: number
  readonly cachedInputTokens: number
}

/** What has no price costs nothing here: whoever asks has decided that already. A tier holds for the whole request. */
export function costOf({ inputTokens, outputTokens, cachedInputTokens }: Tokens, pricing: Pricing | undefined): number {
  if (pricing === undefined) return 0
  const prices = tierOf(pricing, inputTokens)
  const input = prices.inputPerMillionTokens ?? 0
  const cached = Math.min(cachedInputTokens, inputTokens)
  const cachedPrice = prices.cachedInputPerMillionTokens ?? input
  const output = prices.outputPerMillionTokens ?? 0
  return ((inputTokens - cached) * input + cached * cachedPrice + outputTokens * output) * PER_MILLION
}

const tierOf = (pricing: Pricing, inputTokens: number): Prices =>
  pricing.tiers?.findLast(({ aboveInputTokens }) => inputTokens > aboveInputTokens) ?? pricing

/**
 * The prices of tokens that hold at an endpoint: declared, of the catalogue, or what its hour costs divided by what it writes in an hour while
 * it has something to do. The price of an hour falls on what is written alone: reading a prompt is a small part of it.
 */
export function pricesAt(endpoint: CompiledEndpoint, live: Pick<LiveView, 'endpoint'>): Pricing | undefined {
  const { pricing } = endpoint.backend
  if (pricing === undefined || isPriced(pricing)) return pricing
  const { outputPerSecond } = live.endpoint(endpoint.id)
  if (pricing.perHour === undefined || outputPerSecond === undefined) return undefined
  return { inputPerMillionTokens: 0, outputPerMillionTokens: (pricing.perHour * MILLION_PER_HOUR) / outputPerSecond }
}

const isPriced = ({ inputPerMillionTokens, outputPerMillionTokens }: Pricing): boolean =>
  inputPerMillionTokens !== undefined || outputPerMillionTokens !== undefined

/** What this request is going to cost there, by estimate; undefined = the price is not known. */
export function estimatedUsd(endpoint: CompiledEndpoint, facts: Facts, live: Pick<LiveView, 'endpoint'>): number | undefined {
  const prices = pricesAt(endpoint, live)
  return (
    prices && costOf({ inputTokens: facts.promptTokens, outputTokens: outputTokensOf(facts.maxOutputTokens), cachedInputTokens: 0 }, prices)
  )
}

/** The most that it may cost: all that the client lets it write. */
export function ceilingUsd(endpoint: CompiledEndpoint, facts: Facts, prices: Pricing): number {
  const most = Math.min(facts.maxOutputTokens ?? outputTokensOf(undefined), endpoint.backend.maxOutput?.tokens ?? Number.POSITIVE_INFINITY)
  return costOf({ inputTokens: facts.promptTokens, outputTokens: most, cachedInputTokens: 0 }, prices)
}

/** The highest prices that a request to a policy may meet: what is reserved before it is known who serves it. */
export function dearest({ rules }: CompiledPolicy): Pricing {
  const prices = rules
    .flatMap(({ targets, chain }) => [...targets, ...chain.filter((one) => 'model' in one)])
    .flatMap(({ model }) =>
      model.entry.backends.flatMap(({ pricing }) => (pricing === undefined ? [] : [pricing, ...(pricing.tiers ?? [])])),
    )
  const highest = (of: (pricing: Prices) => number | undefined): number => Math.max(0, ...prices.map((one) => of(one) ?? 0))
  return {
    inputPerMillionTokens: highest((one) => one.inputPerMillionTokens),
    outputPerMillionTokens: highest((one) => one.outputPerMillionTokens),
  }
}
