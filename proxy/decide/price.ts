import type { CompiledEndpoint } from '../routing-table/compiled.ts'
import type { Pricing } from '../routing-table/v1.ts'
import type { Facts } from './input.ts'
import { outputTokensOf } from './pace-view.ts'

const PER_MILLION = 1e-6

/** USD that this request is going to cost there, by estimate; undefined = the price is not known. */
export function estimatedUsd({ backend: { pricing } }: CompiledEndpoint, { promptTokens, maxOutputTokens }: Facts): number | undefined {
  if (pricing === undefined) return undefined
  const { inputPerMillionTokens: input, outputPerMillionTokens: output } = tierOf(pricing, promptTokens)
  if (input === undefined && output === undefined) return undefined
  return (promptTokens * (input ?? 0) + outputTokensOf(maxOutputTokens) * (output ?? 0)) * PER_MILLION
}

const tierOf = (pricing: Pricing, promptTokens: number): Pricing =>
  pricing.tiers?.findLast(({ aboveInputTokens }) => promptTokens > aboveInputTokens) ?? pricing
