import { isKnownRoute, type Model, type ModelLimits, type QueueLimits } from '../../proxy/routing-table/index.ts'
import type { ModelLimits as LimitsSpec, QueueLimits as QueueSpec } from '../resources/crds.generated.ts'
import type { ModelResource } from '../resources/snapshot.ts'
import { durationsMs } from './duration.ts'
import { objectName } from './names.ts'
import { type Problem, problem } from './problems.ts'
import { MAX_BYTES, parseBytes } from './quantity.ts'
import { setFields } from './set-fields.ts'

/** What a model says of its use, whoever serves it. */
export interface ModelTerms {
  readonly terms: Pick<Model, 'limits' | 'extraRoutes'>
  readonly problems: readonly Problem[]
}

export function translateTerms(resource: ModelResource): ModelTerms {
  const { limits, extraRoutes } = resource.spec
  const routes = extraRoutes?.filter(({ path }) => !isKnownRoute(path)).map(({ method, path }) => ({ method, path }))
  return {
    terms: setFields({ limits: limits === undefined ? undefined : translateLimits(limits), extraRoutes: routes }),
    problems: judge(resource),
  }
}

function translateLimits({ requestsPerMinute, tokensPerMinute, tokensPerDay, maxConcurrentPerEndpoint, queue }: LimitsSpec): ModelLimits {
  return setFields({
    requestsPerMinute,
    tokensPerMinute,
    tokensPerDay,
    maxConcurrentPerEndpoint,
    queue: queue === undefined ? undefined : translateQueue(queue),
  })
}

function translateQueue({ maxRequests, maxBytes, maxWait }: QueueSpec): QueueLimits {
  const bytes = maxBytes === undefined ? undefined : Math.min(parseBytes(maxBytes), MAX_BYTES)
  return { ...setFields({ maxRequests, maxBytes: bytes }), ...durationsMs({ maxWaitMs: maxWait }) }
}

function judge(resource: ModelResource): readonly Problem[] {
  const object = objectName(resource)
  const { limits, extraRoutes = [] } = resource.spec
  const maxBytes = limits?.queue?.maxBytes
  const isTooLarge = maxBytes !== undefined && parseBytes(maxBytes) > MAX_BYTES
  return [
    ...(isTooLarge ? [problem('QueueTooLarge', object, 'spec.limits.queue.maxBytes', String(maxBytes))] : []),
    ...extraRoutes.flatMap(({ path }, index) =>
      isKnownRoute(path) ? [problem('RouteKnown', object, `spec.extraRoutes[${index}].path`, path)] : [],
    ),
  ]
}
