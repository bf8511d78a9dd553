import type { CompiledEndpoint } from '../../routing-table/compiled.ts'
import { waitMsIn, workIn } from '../load.ts'
import type { Question } from './endpoint-strategy.ts'
import { rampOf, weightOf } from './share.ts'

const LEAST_WEIGHT = 1e-6

/** How long a request would wait at an endpoint, to be compared with others of the same `Waits` only. */
export type Waits = (endpoint: CompiledEndpoint) => number

/**
 * The predicted wait until the first token where it is known of all that are compared; else the requests ahead for the weight, unread
 * prompts included. One that ramps counts as loaded as its peers at the median at least: being idle it would win every comparison.
 */
export function waitsAmong(compared: readonly CompiledEndpoint[], question: Question): Waits {
  const { input, view } = question
  const promptTokens = input.facts?.promptTokens ?? 0
  const predicted = (endpoint: CompiledEndpoint): number | undefined => waitMsIn(input.live.endpoint(endpoint.id), promptTokens)
  const known = compared.every((endpoint) => predicted(endpoint) !== undefined)
  const waits = known ? (endpoint: CompiledEndpoint): number => predicted(endpoint) ?? 0 : relativeWork(question)
  if (view.calm) return waits
  const isRamping = (endpoint: CompiledEndpoint): boolean => rampOf(endpoint, question) < 100
  if (!compared.some(isRamping)) return waits
  const usual = medianOf(question.eligible.filter((endpoint) => !isRamping(endpoint)).map(waits))
  return (endpoint) => (isRamping(endpoint) ? Math.max(usual, waits(endpoint)) : waits(endpoint))
}

const relativeWork =
  (question: Question): Waits =>
  (endpoint) => {
    const { live, nowMs } = question.input
    return workIn(endpoint, live.endpoint(endpoint.id), nowMs) / Math.max(weightOf(endpoint, question), LEAST_WEIGHT)
  }

function medianOf(loads: readonly number[]): number {
  const sorted = loads.toSorted((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? 0
}
