/** One access line of a proxy, as far as replay reads it. In: text. Out: the request that it tells of, or why there is none. */
import type { Route } from '../../proxy/decide/input.ts'
import { ROUTES } from '../../proxy/decide/input.ts'
import { CAPABILITIES, type Capability } from '../../proxy/routing-table/v1.ts'

/** Later versions change what fields mean. */
const READS_VERSION = 1

export interface Recorded {
  readonly requestId: string
  readonly atMs: number
  readonly route: Route
  readonly path: string
  readonly asked: string
  readonly client: string | undefined
  readonly namespace: string
  readonly serviceAccount: string | undefined
  readonly stream: boolean
  readonly needs: readonly Capability[]
  readonly promptTokens: number
  readonly maxOutputTokens: number | undefined
  readonly code: string | undefined
  /** "namespace/policy/rule", "direct" or "none". */
  readonly rule: string
  readonly model: string | undefined
  readonly backend: string | undefined
  readonly endpoint: string | undefined
  readonly inputTokens: number | undefined
  readonly outputTokens: number | undefined
  readonly cachedInputTokens: number
  readonly costUsd: number | undefined
  readonly durationMs: number
  readonly firstTokenMs: number | undefined
}

/** `other`: no access line. `newer`: of a version that is not read here. `broken`: an access line that lacks what is needed. */
export type Read = { readonly recorded: Recorded } | { readonly skipped: 'other' | 'newer' | 'broken' | 'undecided' }

type Fields = Readonly<Record<string, unknown>>

export function readLine(line: string): Read {
  const fields = parsed(line)
  if (fields === undefined || fields['msg'] !== 'request')
    return { skipped: line.trimStart().startsWith('{"v":') && fields === undefined ? 'broken' : 'other' }
  const version = fields['v']
  if (typeof version !== 'number') return { skipped: 'broken' }
  if (version > READS_VERSION) return { skipped: 'newer' }
  // Refused before its body was read: nothing of it could be decided.
  if (text(fields['asked']) === undefined) return { skipped: 'undecided' }
  const recorded = recordedIn(fields)
  return recorded === undefined ? { skipped: 'broken' } : { recorded }
}

function recordedIn(fields: Fields): Recorded | undefined {
  const atMs = Date.parse(text(fields['time']) ?? '')
  const [requestId, path, asked, namespace] = ['request_id', 'path', 'asked', 'client_namespace'].map((key) => text(fields[key]))
  const route = ROUTES.find((one) => one === fields['route'])
  const durationMs = count(fields['duration_ms'])
  if (Number.isNaN(atMs) || requestId === undefined || path === undefined || asked === undefined) return undefined
  if (namespace === undefined || route === undefined || durationMs === undefined) return undefined
  return {
    requestId,
    atMs,
    route,
    path,
    asked,
    namespace,
    durationMs,
    client: text(fields['client']),
    serviceAccount: text(fields['service_account']),
    stream: fields['stream'] === true,
    needs: Array.isArray(fields['needs'])
      ? CAPABILITIES.filter((one) => Array.isArray(fields['needs']) && fields['needs'].includes(one))
      : [],
    promptTokens: count(fields['prompt_tokens_estimate']) ?? 0,
    maxOutputTokens: count(fields['max_output_tokens']),
    code: text(fields['code']),
    rule: ruleOf(text(fields['policy']), text(fields['rule']) ?? 'none'),
    model: text(fields['model']),
    backend: text(fields['backend']),
    endpoint: text(fields['endpoint']),
    inputTokens: count(fields['input_tokens']),
    outputTokens: count(fields['output_tokens']),
    cachedInputTokens: count(fields['cached_input_tokens']) ?? 0,
    costUsd: count(fields['cost_usd']),
    firstTokenMs: count(fields['first_token_ms']),
  }
}

const ruleOf = (policy: string | undefined, rule: string): string => (policy === undefined ? rule : `${policy}/${rule}`)

function parsed(line: string): Fields | undefined {
  try {
    const value: unknown = JSON.parse(line)
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : undefined
  } catch {
    return undefined // a line of something else, or one that was cut
  }
}

const text = (value: unknown): string | undefined => (typeof value === 'string' && value !== '' ? value : undefined)
const count = (value: unknown): number | undefined =>
  typeof value === 'number' && value >= 0 && Number.isFinite(value) ? value : undefined
