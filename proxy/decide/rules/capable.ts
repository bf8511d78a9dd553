import type { CompiledEndpoint } from '../../routing-table/compiled.ts'
import type { Capability } from '../../routing-table/v1.ts'
import { capabilitiesIn, capabilitySet } from '../capability-set.ts'
import { anyLeft, keepEndpoints, next, type Rule, refuse } from '../decision.ts'
import { visibleModels } from '../visible.ts'
import { openRoute } from './open-route.ts'

/** The endpoint has the route, and can do all that the request needs. Unknown (not yet recognised) is not absent. */
export const capable: Rule = (before, { facts, live }) => {
  const ctx = openRoute(before, facts)
  if ('kind' in ctx) return ctx
  const needs = capabilitySet(facts.needs)
  const missing = (endpoint: CompiledEndpoint): Capability | undefined => {
    const view = live.endpoint(endpoint.id)
    const can = capabilitiesIn(endpoint.backend, view)
    const { lacking } = view
    return facts.needs.find((need) => lacking.includes(need) || can?.includes(need) === false)
  }
  const left = keepEndpoints(
    ctx,
    (endpoint) => missing(endpoint) === undefined,
    ({ endpoints }) => `it does not declare ${endpoints[0] === undefined ? 'it' : missing(endpoints[0])}`,
    ({ can }) => (needs & ~can) === 0,
  )
  if (anyLeft(left) || !anyLeft(ctx)) return next(left)
  const lacking = facts.needs.filter((need) =>
    ctx.candidates.some(({ endpoints }) => endpoints.some((endpoint) => missing(endpoint) === need)),
  )
  const names = visibleModels(ctx.candidates, facts.client.namespace, 5).map(({ model }) => model.name)
  const which = names.length === 0 ? '' : ` (${names.join(', ')})`
  const message = `The request needs ${lacking.join(', ')}, which no target of "${facts.asked}" has${which}. If the engine can, list it in spec.capabilities.`
  return refuse(left, 'unsupported_capability', message)
}
