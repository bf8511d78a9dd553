import type { CompiledPolicy } from '../routing-table/compiled.ts'
import type { Pricing } from '../routing-table/v1.ts'
import type { Used } from './booking.ts'

const PER_MILLION = 1e-6

/** USD. What has no price costs nothing: an unknown price never keeps anybody out. */
export function costOf({ inputTokens, outputTokens, cachedInputTokens }: Used, pricing: Pricing | undefined): number {
  const input = pricing?.inputPerMillionTokens ?? 0
  const cached = Math.min(cachedInputTokens, inputTokens)
  const cachedPrice = pricing?.cachedInputPerMillionTokens ?? input
  const output = pricing?.outputPerMillionTokens ?? 0
  return ((inputTokens - cached) * input + cached * cachedPrice + outputTokens * output) * PER_MILLION
}

/** The highest prices that a request to a policy may meet: what is reserved before it is known who serves it. */
export function dearest({ rules }: CompiledPolicy): Pricing {
  const prices = rules
    .flatMap(({ targets, chain }) => [...targets, ...chain.filter((one) => 'model' in one)])
    .flatMap(({ model }) => model.entry.backends.flatMap(({ pricing }) => pricing ?? []))
  const highest = (of: (pricing: Pricing) => number | undefined): number => Math.max(0, ...prices.map((one) => of(one) ?? 0))
  return {
    inputPerMillionTokens: highest((one) => one.inputPerMillionTokens),
    outputPerMillionTokens: highest((one) => one.outputPerMillionTokens),
  }
}
