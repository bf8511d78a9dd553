/** What `/debug/state` of an operator says, asked for and parsed: for `llama-swap status` and `top`. What an older or newer operator does not say is as nothing. */
import { type Fields, isFields } from '../operator/validate/problem.ts'

export interface StateProblem {
  /** "LlamaModel namespace/name"; "" = no object is to blame. */
  readonly object: string
  readonly at: string
  readonly message: string
}

export interface EndpointState {
  /** "namespace/name" of its LlamaModel. */
  readonly model: string
  readonly backend: string
  readonly id: string
  readonly origin: string
  /** Gateways that say it takes requests, and that it does not; 0 and 0 = nobody knows. */
  readonly up: number
  readonly down: number
  /** Requests of gateways. */
  readonly inFlight: number
  /** Gateways whose circuit for it is not closed, by state. */
  readonly circuits: ReadonlyMap<string, number>
  readonly because: string | undefined
}

/** Of all proxies, since the operator began. */
export interface UsageState {
  readonly requests: number
  readonly errors: number
  readonly tokens: number
}

export interface OperatorState {
  /** "namespace/name" of the leader Lease. */
  readonly install: string
  /** Of this replica. */
  readonly identity: string
  readonly leads: boolean
  readonly leader: string | undefined
  readonly epoch: number | undefined
  /** It has the Lease, and yet. */
  readonly notLeadingBecause: string | undefined
  readonly gateways: number
  readonly sidecars: number
  readonly problems: readonly StateProblem[]
  /** Watches that do not go on, with the reason. */
  readonly watches: readonly { readonly what: string; readonly failing: string }[]
  readonly tableTooLargeBytes: number | undefined
  readonly endpoints: readonly EndpointState[]
  readonly usage: ReadonlyMap<string, UsageState>
}

export type Asked = { readonly state: OperatorState } | { readonly because: string }

const ASK_TIMEOUT_MS = 5_000

/** `url` is the admin port. Never rejects, but when `signal` aborts. */
export async function askOperator(url: string, signal: AbortSignal): Promise<Asked> {
  try {
    const response = await fetch(new URL('/debug/state', url), { signal: AbortSignal.any([signal, AbortSignal.timeout(ASK_TIMEOUT_MS)]) })
    if (!response.ok) return { because: `${url} answers ${response.status}` }
    const state = parseOperatorState(await response.json())
    return state === undefined ? { because: `${url} is no admin port of an operator` } : { state }
  } catch (error) {
    signal.throwIfAborted()
    return { because: `${url} does not answer (${causeOf(error)})` }
  }
}

function causeOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return error.cause instanceof Error && error.cause.message !== '' ? error.cause.message : error.message
}

/** "operator-0_4f1c…" → "operator-0": what follows tells processes of one pod apart. */
export const podOf = (identity: string): string => identity.replace(/_[0-9a-f-]{36}$/, '')

/** Undefined when it is something else. */
export function parseOperatorState(raw: unknown): OperatorState | undefined {
  if (!isFields(raw) || typeof raw['install'] !== 'string') return undefined
  const proxies = fieldsOf(raw['proxies'])
  return {
    install: raw['install'],
    identity: textOf(raw['identity']),
    leads: raw['leads'] === true,
    leader: optionalText(raw['leader']),
    epoch: optionalNumber(raw['epoch']),
    notLeadingBecause: optionalText(raw['notLeadingBecause']),
    gateways: numberOf(proxies['Gateway']),
    sidecars: numberOf(proxies['Sidecar']),
    problems: listOf(raw['problems']).map(problemOf),
    watches: listOf(raw['watches']).map((watch) => ({ what: textOf(watch['what']), failing: textOf(watch['failing']) })),
    tableTooLargeBytes: optionalNumber(raw['tableTooLargeBytes']),
    endpoints: listOf(raw['endpoints']).map(endpointOf),
    usage: new Map(Object.entries(fieldsOf(raw['usage'])).map(([model, usage]) => [model, usageOf(fieldsOf(usage))])),
  }
}

const problemOf = (raw: Fields): StateProblem => ({ object: textOf(raw['object']), at: textOf(raw['at']), message: textOf(raw['message']) })

const endpointOf = (raw: Fields): EndpointState => ({
  model: textOf(raw['model']),
  backend: textOf(raw['backend']),
  id: textOf(raw['id']),
  origin: textOf(raw['origin']),
  up: numberOf(raw['up']),
  down: numberOf(raw['down']),
  inFlight: numberOf(raw['inFlight']),
  circuits: new Map(Object.entries(fieldsOf(raw['circuits'])).map(([state, gateways]) => [state, numberOf(gateways)])),
  because: optionalText(raw['because']),
})

const usageOf = (raw: Fields): UsageState => ({
  requests: numberOf(raw['requests']),
  errors: numberOf(raw['errors']),
  tokens: numberOf(raw['inputTokens']) + numberOf(raw['outputTokens']),
})

const fieldsOf = (value: unknown): Fields => (isFields(value) ? value : {})
const listOf = (value: unknown): readonly Fields[] => (Array.isArray(value) ? value.filter(isFields) : [])
const textOf = (value: unknown): string => (typeof value === 'string' ? value : '')
const optionalText = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined)
const optionalNumber = (value: unknown): number | undefined => (typeof value === 'number' ? value : undefined)
const numberOf = (value: unknown): number => optionalNumber(value) ?? 0
