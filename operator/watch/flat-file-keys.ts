import { suggestion } from '../validate/nearest.ts'

/** Keys that people try here and that only resources have: what to write instead. */
const IN_RESOURCES: readonly (readonly [keys: RegExp, field: string])[] = [
  [/^priorit(y|ies)$/, 'priority in the spec of a LlamaModel'],
  [/^fallbacks?$|^fallback_?(chain|chains|models|targets|order)$/, 'fallback.targets in the spec of a RoutingPolicy'],
  [/^rules?$|^match(es)?$|^routes?$/, 'rules in the spec of a RoutingPolicy'],
  [/timeout/, 'timeouts in the spec of a LlamaModel'],
  [/^health/, 'health in the spec of a LlamaModel'],
  [/^(retry|retries|max_retries)$/, 'retry in the spec of a LlamaModel'],
  [/^alias(es)?$/, 'aliases in the spec of a LlamaModel'],
  [/^(upstream_?model|model|model_name)$/, 'upstreamModel in the spec of a LlamaModel'],
  [/^capabilit(y|ies)$/, 'capabilities in the spec of a LlamaModel'],
  [/^context_?(window|length|size)$/, 'contextWindow in the spec of a LlamaModel'],
  [/^(api_?key|auth|token|credentials?)$/, 'backends[].auth in the spec of a LlamaModel, with a Secret'],
  [/^headers?$/, 'backends[].headers in the spec of a LlamaModel'],
  [/^(engine|provider|type)$/, 'backends[].engine in the spec of a LlamaModel'],
  [/^(endpoints|backends|urls)$/, 'backends in the spec of a LlamaModel'],
  [/quota/, 'backends[].quota in the spec of a LlamaModel'],
  [/budget|cost_?(limit|per)/, 'clients[].limits.costPerDay in the spec of a RoutingPolicy'],
  [/cost|price|pricing/, 'pricing in the spec of a LlamaModel'],
  [/rate_?limit|limits?$|^(rpm|tpm)$/, 'limits in the spec of a LlamaModel, or clients[].limits in that of a RoutingPolicy'],
  [/^(queue|max_?(concurrency|concurrent.*|parallel.*))$/, 'limits in the spec of a LlamaModel'],
  [/^dialect$/, 'backends[].dialect in the spec of a LlamaModel'],
  [/^(access|namespaces?|clients?)$/, 'access in the spec of a LlamaModel or RoutingPolicy'],
]
const NOT_YET = /ceiling/

/** What to say of a key that the flat file does not have: what was probably meant, or where resources have it. */
export function unknownFlatKey(key: string, known: readonly string[]): string {
  const meant = suggestion(key, known)
  if (meant !== '') return `unknown field "${key}"${meant}`
  const plain = key
    .replaceAll(/([a-z])([A-Z])/g, '$1_$2')
    .replaceAll('-', '_')
    .toLowerCase()
  if (NOT_YET.test(plain)) return `the flat file has no "${key}", and neither have resources in this version: take it out`
  const field = IN_RESOURCES.find(([keys]) => keys.test(plain))?.[1]
  if (field !== undefined) return `the flat file has no "${key}": use resources, and there ${field}`
  return `unknown field "${key}": known here are ${known.join(', ')}`
}
