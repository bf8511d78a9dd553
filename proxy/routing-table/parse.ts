import { any, either, flag, isRecord, list, MAX_INTEGER, matching, number, object, oneOf, type TableError, tagged, text } from './checks.ts'
import {
  BACKEND_DIALECTS,
  CAPABILITIES,
  ENDPOINT_STRATEGIES,
  ENGINES,
  FALLBACK_CLASSES,
  INTERRUPTS,
  REQUEST_PRIORITIES,
  type RoutingTable,
  STRATEGIES,
  TABLE_VERSION,
  WEEKDAYS,
} from './v1.ts'

/** Table versions this program reads. */
export const READS_VERSIONS: readonly number[] = [TABLE_VERSION]

const ref = matching(/^[a-z0-9-]{1,63}\/[a-z0-9.-]{1,63}$/, 'namespace/name')
const name = text(253)
const ms = number(1, 1e12)
const weight = number(0, 1_000_000)
const priority = number(0, 1000)
const tokens = number(1, 16_777_216)
const rate = number(0, 1e12)
const usd = number(0, 1e12)
/** 1Ti. */
const MAX_QUEUE_BYTES = 2 ** 40
const capabilities = list(oneOf(CAPABILITIES), 16)

const access = tagged('from', {
  Same: object({ from: any }),
  All: object({ from: any }),
  Namespaces: object({ from: any, namespaces: list(text(63)) }),
})

const prices = {
  'inputPerMillionTokens?': usd,
  'cachedInputPerMillionTokens?': usd,
  'cacheWritePerMillionTokens?': usd,
  'outputPerMillionTokens?': usd,
}

const backend = object({
  name: text(63),
  weight,
  priority,
  engine: oneOf(ENGINES),
  'dialect?': oneOf(BACKEND_DIALECTS),
  upstreamModel: name,
  'capabilities?': capabilities,
  'contextWindowTokens?': tokens,
  'maxOutput?': object({ tokens, 'onExceed?': oneOf(['Clamp', 'Refuse']) }),
  health: object({
    'path?': text(256),
    'intervalMs?': ms,
    'timeoutMs?': ms,
    'healthyAfter?': number(1, 100),
    'unhealthyAfter?': number(1, 100),
    'outlier?': object({ 'consecutiveFailures?': number(1, 100), 'maxEjectedPercent?': number(0, 100) }),
  }),
  signals: object({ 'path?': text(256), 'intervalMs?': ms, 'staleAfterMs?': ms }),
  timeouts: object({ 'connectMs?': ms, 'firstTokenMs?': ms, 'streamIdleMs?': ms, 'totalMs?': ms }),
  'pricing?': object({
    ...prices,
    'perHour?': usd,
    'tiers?': list(object({ ...prices, aboveInputTokens: number(0, MAX_INTEGER) }), 16),
    'priceSource?': oneOf(['Catalogue']),
  }),
  'quota?': object({ 'requestsPerMinute?': rate, 'tokensPerMinute?': rate, shiftAtPercent: number(0, 100) }),
  'auth?': object({
    header: matching(/^[!#$%&'*+.^_|~0-9a-z-]{1,64}$/, 'a lower-case header name'),
    scheme: text(64),
    credentials: list(text(300), 8),
  }),
  headers: list(object({ name: text(64), value: text(256) }), 16),
  probed: flag,
  simulated: flag,
})

const model = object({
  ref,
  generation: number(0, MAX_INTEGER),
  'createdAtMs?': number(0, MAX_INTEGER),
  names: list(name, 17),
  aliases: list(object({ name, 'upstreamModel?': name }), 16),
  visibility: oneOf(['Public', 'Internal']),
  access,
  weight,
  priority,
  loadBalancing: oneOf(ENDPOINT_STRATEGIES),
  'limits?': object({
    'requestsPerMinute?': rate,
    'tokensPerMinute?': rate,
    'tokensPerDay?': rate,
    'maxConcurrentPerEndpoint?': rate,
    'queue?': object({ 'maxRequests?': rate, 'maxBytes?': number(0, MAX_QUEUE_BYTES), 'maxWaitMs?': number(0, 1e12) }),
  }),
  retry: object({ 'sameEndpoint?': number(0, 10), 'totalAttempts?': number(1, 100), 'budgetPercent?': number(0, 100) }),
  passthrough: object({ enabled: flag, forwardAuth: flag }),
  'extraRoutes?': list(object({ method: oneOf(['GET', 'POST', 'PUT', 'PATCH', 'DELETE']), path: text(256) }), 16),
  backends: list(backend, 16),
})

const target = object({ model: ref, weight })
const withValue = object({ type: any, name: text(64), value: text(256) })

const policyTarget = object({ policy: ref })
const serviceAccounts = list(text(127), 8)
const clientMatch = object({ 'names?': list(text(127), 8), 'namespaces?': list(text(63), 8), 'serviceAccounts?': serviceAccounts })
const range = object({ 'min?': number(0, MAX_INTEGER), 'max?': number(0, MAX_INTEGER) })
const minute = number(0, 1440)
const schedule = object({
  timeZone: text(64),
  windows: list(object({ 'days?': list(oneOf(WEEKDAYS), 7), fromMinute: minute, toMinute: minute }), 16),
})

const match = object({
  'capabilities?': capabilities,
  'promptTokens?': range,
  'maxOutputTokens?': range,
  'headers?': list(tagged('type', { Exact: withValue, Prefix: withValue, Present: object({ type: any, name: text(64) }) }), 8),
  'paths?': list(text(256), 16),
  'clients?': clientMatch,
  'schedule?': schedule,
  'cel?': text(1024),
})

const clientLimits = object({
  'requestsPerMinute?': rate,
  'tokensPerMinute?': rate,
  'tokensPerDay?': rate,
  'costPerDay?': usd,
  'maxConcurrent?': rate,
})

const rule = object({
  name: text(63),
  matches: list(match, 8),
  strategy: oneOf(STRATEGIES),
  targets: list(target),
  fallback: object({
    enabled: flag,
    when: list(oneOf(FALLBACK_CLASSES), 16),
    targets: list(either('policy', policyTarget, target), 16),
    'interrupt?': oneOf(INTERRUPTS),
  }),
  'sticky?': object({ key: oneOf(['Session']) }),
  'limits?': clientLimits,
})

const policy = object({
  ref,
  generation: number(0, MAX_INTEGER),
  'createdAtMs?': number(0, MAX_INTEGER),
  names: list(name, 16),
  access,
  rules: list(rule, 33),
  'clients?': list(
    object({
      match: clientMatch,
      'limits?': clientLimits,
      'requestPriority?': oneOf(REQUEST_PRIORITIES),
    }),
    32,
  ),
  'costCeiling?': object({ 'perRequest?': usd, 'perMillionOutputTokens?': usd }),
  'unknownPrice?': oneOf(['Allow', 'Exclude']),
})

/** Characters of an address; whether they make one is seen where it is used. */
const ADDRESS = /^[0-9a-fA-F.:]{2,45}$/
const cidrs = list(matching(/^[0-9a-fA-F.:]{2,45}\/[0-9]{1,3}$/, 'a CIDR such as 10.0.0.0/8'), 1024)
const origin = matching(/^https?:\/\/[^/\s@]{1,255}$/, 'an origin such as http://host:8000')
const endpoint = object({
  id: matching(/^[a-z0-9-]{1,64}$/, 'an opaque id'),
  origin,
  basePath: matching(/^(\/[!-~]{0,1023})?$/, 'a path without a trailing slash'),
  'addresses?': list(matching(ADDRESS, 'an IP address'), 1000),
})

/** A JSON Web Key, its public parts. */
const keyText = text(8192)
const key = object({
  kty: keyText,
  'use?': keyText,
  'alg?': keyText,
  'kid?': keyText,
  'n?': keyText,
  'e?': keyText,
  'crv?': keyText,
  'x?': keyText,
  'y?': keyText,
})

const table = object({
  version: any,
  epoch: number(0, MAX_INTEGER),
  seq: number(0, MAX_INTEGER),
  models: list(model),
  policies: list(policy),
  endpointSets: list(object({ model: ref, backend: text(63), endpoints: list(endpoint, 10_000), 'lastResort?': endpoint })),
  credentials: list(object({ id: text(300), value: text(65_536) })),
  clientKeys: list(
    object({
      client: text(127),
      namespace: text(63),
      sha256: matching(/^[0-9a-f]{64}$/, 'a SHA-256 in hex'),
      'expiresAtMs?': number(0, MAX_INTEGER),
    }),
  ),
  'tokenIssuers?': list(object({ issuer: text(2048), keys: list(key, 64) }), 16),
  'addresses?': object({ private: oneOf(['Deny', 'Permit']), allow: cidrs, deny: cidrs }),
})

function isTable(value: unknown, errors: TableError[]): value is RoutingTable {
  if (!isRecord(value) || !READS_VERSIONS.includes(Number(value['version']))) {
    const got = isRecord(value) ? JSON.stringify(value['version']) : typeof value
    errors.push({ pointer: '/version', message: `table version ${got} is not read here; this proxy reads ${READS_VERSIONS.join(', ')}` })
    return false
  }
  table(value, '', errors)
  return errors.length === 0
}

/**
 * Turns JSON into a table, or says everything that is wrong with it. Nothing is defaulted and unknown fields are refused: a field that
 * this version does not know could be one that takes rights away.
 */
export function parseTable(value: unknown): { table: RoutingTable } | { errors: TableError[] } {
  const errors: TableError[] = []
  return isTable(value, errors) ? { table: value } : { errors }
}
