import type { Backend, MaxOutput, Pricing } from '../../proxy/routing-table/index.ts'
import type { Backend as BackendSpec, Health as HealthSpec, LlamaModelSpec, Pricing as PricingSpec } from '../resources/crds.generated.ts'
import { type ModelResource, SIMULATED_LABEL } from '../resources/snapshot.ts'
import { cataloguePricing } from './catalogue.ts'
import { durationsMs } from './duration.ts'
import { modelName } from './names.ts'
import { decimals } from './quantity.ts'
import { setFields } from './set-fields.ts'

/** Engines that are paid by the call. */
const COMMERCIAL: readonly string[] = ['OpenAI', 'Anthropic']

/** What the backend says itself goes before what the model says, field by field: its `health.interval` with the model's `health.path`. */
export function mergeBackend(own: BackendSpec, model: ModelResource): Omit<Backend, 'auth' | 'headers'> {
  const { metadata, spec } = model
  const signals = { ...spec.signals, ...own.signals }
  const upstreamModel = own.upstreamModel ?? spec.upstreamModel ?? modelName(model)
  const { connect, firstToken, streamIdle, total } = { ...spec.timeouts, ...own.timeouts }
  return {
    name: own.name,
    weight: own.weight,
    priority: own.priority,
    engine: own.engine,
    upstreamModel,
    ...setFields({
      dialect: dialectOf(own),
      capabilities: own.capabilities ?? spec.capabilities,
      contextWindowTokens: own.contextWindow ?? spec.contextWindow,
      maxOutput: mergeMaxOutput(spec.maxOutput, own.maxOutput),
      pricing: mergePricing(spec.pricing, own.pricing) ?? cataloguePricing(own, upstreamModel),
      quota: quotaOf(own),
    }),
    health: translateHealth({ ...spec.health, ...own.health, outlier: { ...spec.health?.outlier, ...own.health?.outlier } }),
    signals: { ...setFields({ path: signals.path }), ...durationsMs({ intervalMs: signals.interval, staleAfterMs: signals.staleAfter }) },
    timeouts: durationsMs({ connectMs: connect, firstTokenMs: firstToken, streamIdleMs: streamIdle, totalMs: total }),
    // What is billed by the call gets no requests of our own.
    probed: own.auth === undefined && !COMMERCIAL.includes(own.engine),
    simulated: metadata.labels[SIMULATED_LABEL] === 'true',
  }
}

/** Absent in a table means OpenAI, and a proxy that does not know the field speaks nothing else. */
function dialectOf({ dialect, engine }: BackendSpec): Backend['dialect'] {
  return (dialect ?? engine) === 'Anthropic' ? 'Anthropic' : undefined
}

function mergeMaxOutput(ofModel: LlamaModelSpec['maxOutput'], own: BackendSpec['maxOutput']): MaxOutput | undefined {
  const { tokens, onExceed } = { ...ofModel, ...own }
  return tokens === undefined ? undefined : { tokens, ...setFields({ onExceed }) }
}

function mergePricing(ofModel: PricingSpec | undefined, own: PricingSpec | undefined): Pricing | undefined {
  if (ofModel === undefined && own === undefined) return undefined
  const { inputPerMillionTokens, cachedInputPerMillionTokens, outputPerMillionTokens, perHour } = { ...ofModel, ...own }
  return decimals({ inputPerMillionTokens, cachedInputPerMillionTokens, outputPerMillionTokens, perHour })
}

function quotaOf({ quota }: BackendSpec): Backend['quota'] {
  if (quota === undefined) return undefined
  const { requestsPerMinute, tokensPerMinute, shiftAtPercent } = quota
  return { ...setFields({ requestsPerMinute, tokensPerMinute }), shiftAtPercent }
}

function translateHealth({ path, interval, timeout, healthyAfter, unhealthyAfter, outlier }: HealthSpec): Backend['health'] {
  const { consecutiveFailures, maxEjectedPercent } = outlier ?? {}
  const limits = setFields({ consecutiveFailures, maxEjectedPercent })
  return {
    ...setFields({ path, healthyAfter, unhealthyAfter, outlier: Object.keys(limits).length === 0 ? undefined : limits }),
    ...durationsMs({ intervalMs: interval, timeoutMs: timeout }),
  }
}
