import { next, type Rule, refuse } from '../decision.ts'
import { nearestNames } from '../nearest.ts'

/** Some model or virtual model answers to this name (or to "namespace/name"). */
export const knownModel: Rule = (ctx, { facts, table }) => {
  const { asked } = facts
  const plain = asked.slice(asked.indexOf('/') + 1)
  if (table.claims.has(asked) || table.claims.has(plain)) return next(ctx)
  return refuse(ctx, 'model_not_found', unknown(asked, nearestNames(table, asked, facts.client.namespace)), { param: 'model' })
}

export function unknown(asked: string, nearest: readonly string[]): string {
  const shown = asked.length > 100 ? `${asked.slice(0, 100)}…` : asked
  const hint = nearest.length === 0 ? 'GET /v1/models lists what you may use.' : `Nearest: ${nearest.join(', ')}. GET /v1/models lists all.`
  return `No model "${shown}" is served to you. ${hint}`
}
