import type { CompiledEndpoint } from '../../routing-table/compiled.ts'
import type { BackendDialect, ExtraRoute } from '../../routing-table/v1.ts'
import { anyLeft, keepEndpoints, type Refusal, refuse } from '../decision.ts'
import type { Ctx, Facts } from '../input.ts'
import { dialectOf } from '../model-view.ts'

/** Routes that Anthropic's API has; all others but `other` are OpenAI's. Nothing is translated between the two. */
const ANTHROPIC: readonly string[] = ['messages', 'count_tokens']

/**
 * The endpoint speaks the API that the route belongs to. A route that we do not know is open only where no credential of the operator's
 * would go along, or where the model lists it: nobody borrows a key for an API it was not meant for.
 */
export function openRoute(ctx: Ctx, facts: Facts): Ctx | Refusal {
  const spoken = facts.route === 'other' ? undefined : ANTHROPIC.includes(facts.route) ? 'Anthropic' : 'OpenAI'
  const left =
    spoken === undefined
      ? keepEndpoints(
          ctx,
          (endpoint, { model }) => isOffered(endpoint, model.entry.extraRoutes ?? [], facts),
          () => notOffered(facts),
        )
      : keepEndpoints(
          ctx,
          (endpoint) => dialectOf(endpoint) === spoken,
          () => `it does not speak ${spoken}`,
          ({ speaks }) => speaks === spoken,
        )
  if (anyLeft(left) || !anyLeft(ctx)) return left
  return spoken === undefined
    ? refuse(left, 'not_found', offeredNowhere(facts))
    : refuse(left, 'unsupported_capability', spokenNowhere(spoken, facts))
}

const methodOf = ({ method = 'POST' }: Facts): string => method

const isOffered = ({ backend }: CompiledEndpoint, routes: readonly ExtraRoute[], facts: Facts): boolean =>
  (backend.auth === undefined && methodOf(facts) === 'POST' && facts.path.startsWith('/v1/')) ||
  routes.some(({ method, path }) => method === methodOf(facts) && path === facts.path)

const notOffered = (facts: Facts): string => `it does not offer ${methodOf(facts)} ${facts.path}`

const offeredNowhere = (facts: Facts): string =>
  `${methodOf(facts)} ${facts.path} is not offered by "${facts.asked}". A backend with a credential offers only what spec.extraRoutes lists.`

const spokenNowhere = (spoken: BackendDialect, { asked }: Facts): string =>
  spoken === 'Anthropic'
    ? `No target of "${asked}" speaks Anthropic's Messages API. If a backend does, its resource must say dialect: Anthropic.`
    : `Every target of "${asked}" speaks Anthropic's Messages API only. Use POST /v1/messages.`
