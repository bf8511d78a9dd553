import { type ErrorLabel, labelOf } from '../errors.ts'
import { CLASS_LABELS } from '../forward/failure.ts'
import type { AttemptRecord, Ending } from '../forward/run.ts'
import { resolveName } from '../routing-table/compile.ts'
import type { CompiledTable } from '../routing-table/compiled.ts'
import type { RequestRecord } from '../serve/lifecycle.ts'

/** How a request ended, in the one closed vocabulary of metrics and logs. */
export const outcomeOf = ({ error }: RequestRecord): 'ok' | ErrorLabel => (error === undefined ? 'ok' : labelOf(error))

/**
 * From the request's arrival to the first content delta of its stream, failed attempts included. Undefined: no stream, or nothing of it
 * was sent.
 */
export const firstTokenMsOf = ({ facts, ending }: RequestRecord): number | undefined =>
  facts?.stream === true ? ending?.firstTokenMs : undefined

/** The rule in force: the policy's rule that sent the request or refused it; "direct" for a model asked for by name; "none" before any. */
export function ruleOf(ending: Ending | undefined): string {
  if (ending?.sent !== undefined) return ending.sent.rule.name
  return ending?.kind === 'failed' && ending.refused !== undefined ? ending.refused.rule : 'none'
}

/** The same rule with its policy, "namespace/policy/rule"; "direct" and "none" stand alone. */
export function policyRuleOf({ ending, facts }: RequestRecord, table: () => CompiledTable): string {
  if (ending?.sent !== undefined) return ending.sent.rule.key === ending.sent.model.entry.ref ? 'direct' : ending.sent.rule.key
  const rule = ruleOf(ending)
  if (rule === 'none' || facts === undefined) return 'none'
  const claim = resolveName(table(), facts.asked, facts.client.namespace)
  return claim?.kind === 'policy' ? `${claim.policy.entry.ref}/${rule}` : rule
}

/** "answered", "gone" (the client left), "diverged", or the failure's word of the same vocabulary. */
export const attemptWord = ({ outcome, label }: AttemptRecord): string =>
  outcome === 'answered' || outcome === 'gone' || outcome === 'diverged' ? outcome : (label ?? CLASS_LABELS[outcome])

/** How an attempt ended that went on with a broken stream. */
export const continuationResult = ({ outcome }: AttemptRecord): string =>
  outcome === 'answered' || outcome === 'gone' || outcome === 'diverged' ? outcome : 'failed'

/**
 * A failure's cause without the upstream's own sentence, which may quote the prompt or part of a key: of "HTTP 400 code sentence" only
 * status and code are left. Causes of the connection and our own stay whole.
 */
export const plainCause = (cause: string): string => cause.replace(/\bHTTP (\d{3})( [\w.-]{1,64})?(?: .*)?$/s, 'HTTP $1$2')
