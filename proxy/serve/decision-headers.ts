import type { Refusal } from '../decide/decision.ts'
import type { Candidate, Factors } from '../decide/input.ts'
import type { Shortage } from '../decide/limits-view.ts'
import { isVisible } from '../decide/visible.ts'
import type { Sent } from '../forward/run.ts'
import { headerText } from './respond.ts'

const MAX_DEBUG_BYTES = 2048
/** Stands for the name of a model that the client may not know of. */
export const HIDDEN = '(hidden)'

/** The name of a model as the client may write it in a target: bare in its own namespace, else "namespace/name". */
export const shownName = ({ namespace, name }: { namespace: string; name: string }, clientNamespace: string): string =>
  namespace === clientNamespace ? name : `${namespace}/${name}`

/** `x-llama-swap-*` of an answer that some endpoint gives: they describe the status commit. */
export function sentHeaders(sent: Sent, attempts: number, clientNamespace: string): string[] {
  const head = [
    'x-llama-swap-model',
    shownName(sent.model, clientNamespace),
    'x-llama-swap-endpoint',
    `${sent.endpoint.backend.name}/${sent.endpoint.id}`,
    'x-llama-swap-attempts',
    String(attempts),
    'x-llama-swap-rule',
    sent.rule.name,
    'x-llama-swap-why',
    sent.why === '' ? 'only endpoint' : sent.why,
  ]
  if (sent.endpoint.backend.simulated) head.push('x-llama-swap-simulated', '1')
  return head
}

/** For a stream whose head, gone out while it was silent, named an endpoint that then failed: who came after it. */
export const sentRemark = ({ model, endpoint }: Sent, attempts: number, clientNamespace: string): string =>
  `x-llama-swap-model ${shownName(model, clientNamespace)}, x-llama-swap-endpoint ${endpoint.backend.name}/${endpoint.id}, x-llama-swap-attempts ${attempts}`

/** `x-llama-swap-*` of an answer that no endpoint gave, and the limit that refused it. */
export const refusedHeaders = ({ rule, why, shortage }: Refusal): string[] => [
  'x-llama-swap-attempts',
  '0',
  'x-llama-swap-rule',
  rule,
  'x-llama-swap-why',
  headerText(why),
  ...(shortage === undefined ? [] : shortageHeaders(shortage)),
]

/** In the unit that OpenAI's headers have for it; money has none. */
function shortageHeaders({ limit, max, remaining, resetMs }: Shortage): string[] {
  if (limit === 'costPerDay') return []
  const unit = limit.startsWith('tokens') ? 'tokens' : 'requests'
  const head = [`x-ratelimit-limit-${unit}`, String(max), `x-ratelimit-remaining-${unit}`, String(Math.floor(remaining))]
  return Number.isFinite(resetMs) ? [...head, `x-ratelimit-reset-${unit}`, `${Math.ceil(resetMs / 1000)}s`] : head
}

export interface ShownCandidate {
  readonly model: string
  readonly weight: number
  readonly tier: number
  readonly endpoints: number
  /** What its strategy has compared. */
  readonly factors?: Factors
  /** Why it lost; absent = it was still in the running. */
  readonly lost?: string
}

/** Candidates as far as the client may see them: others stand without a name. */
export function shownCandidates(candidates: readonly Candidate[], clientNamespace: string): ShownCandidate[] {
  return candidates.map(({ model, weight, tier, endpoints, factors, lost }) => {
    return {
      model: isVisible(model, clientNamespace) ? shownName(model, clientNamespace) : HIDDEN,
      weight,
      tier,
      endpoints: endpoints.length,
      ...(factors !== undefined && isVisible(model, clientNamespace) && { factors }),
      ...(lost !== undefined && { lost }),
    }
  })
}

/** `x-llama-swap-debug`: as many candidates as fit into 2 KiB. */
export function debugHeader(candidates: readonly Candidate[], clientNamespace: string): string[] {
  const shown = shownCandidates(candidates, clientNamespace)
  while (shown.length > 0 && JSON.stringify(shown).length > MAX_DEBUG_BYTES) shown.pop()
  return ['x-llama-swap-debug', headerText(JSON.stringify(shown))]
}
