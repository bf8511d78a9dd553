import type { ProxyMode } from '../../proxy/routing-table/frames.ts'

/** Audience of the tokens with which proxies prove themselves. A client's token has another, and neither passes for the other. */
export const PUSH_AUDIENCE = 'llama-swap-push'

/** Why a proxy is not let in (docs/wire.md). */
export type RefusalCode =
  | 'no_token'
  | 'invalid_token'
  | 'wrong_audience'
  | 'namespace_not_served'
  | 'pod_gone'
  | 'not_a_gateway'
  | 'too_many'
  | 'unavailable'

export interface Refusal {
  readonly code: RefusalCode
  /** For whoever reads the proxy's log. Never holds a token. */
  readonly message: string
}

/** Who a proxy is, from its verified token alone. */
export interface Identity {
  readonly modes: readonly ProxyMode[]
  readonly namespace: string
  readonly pod: string
  readonly podUid: string
  readonly serviceAccount: string
  readonly expiresAtMs: number
}

export type Verdict = { readonly identity: Identity } | { readonly refusal: Refusal }

export type Authenticate = (token: string, signal: AbortSignal) => Promise<Verdict>

export const refused = (code: RefusalCode, message: string): { readonly refusal: Refusal } => ({ refusal: { code, message } })

/** What a proxy with this identity is told when it wants to be `mode` and may not. */
export function refusalOfMode(mode: ProxyMode, { namespace, serviceAccount }: Identity): Refusal {
  return mode === 'Gateway'
    ? { code: 'not_a_gateway', message: `ServiceAccount ${namespace}/${serviceAccount} is not the gateway's` }
    : { code: 'namespace_not_served', message: `namespace ${namespace} is not served by this installation` }
}
