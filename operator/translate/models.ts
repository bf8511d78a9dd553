import type { Credential, EndpointSet, Model } from '../../proxy/routing-table/index.ts'
import { type ModelResource, objectKey, type Resources } from '../resources/snapshot.ts'
import { translateAccess } from './access.ts'
import { translateBackends } from './backends.ts'
import { type Names, objectName } from './names.ts'
import { inPrecedence } from './precedence.ts'
import type { Problem } from './problems.ts'
import { setFields } from './set-fields.ts'

export interface BuiltModels {
  readonly models: readonly Model[]
  readonly endpointSets: readonly EndpointSet[]
  readonly credentials: readonly Credential[]
  readonly problems: readonly Problem[]
}

/**
 * One entry per LlamaModel, in precedence order. A model that lost its names or has no usable backend stays in the table: policies may
 * still name it, and its clients hear "unavailable" rather than "unknown".
 */
export function translateModels(resources: Resources, names: Names): BuiltModels {
  const built = inPrecedence(resources.models).map((resource) => {
    const { backends, ...rest } = translateBackends(resource, resources)
    return { model: entry(resource, backends, names.won.get(objectName(resource)) ?? [], resources), ...rest }
  })
  return {
    models: built.map(({ model }) => model),
    endpointSets: built.flatMap(({ endpointSets }) => endpointSets),
    credentials: built.flatMap(({ credentials }) => credentials),
    problems: built.flatMap(({ problems }) => problems),
  }
}

function entry({ metadata, spec }: ModelResource, backends: Model['backends'], names: readonly string[], { namespaces }: Resources): Model {
  const aliases = (spec.aliases ?? []).filter(({ name }) => names.includes(name))
  const { sameEndpoint, totalAttempts, budgetPercent } = spec.retry ?? {}
  return {
    ref: objectKey(metadata),
    generation: metadata.generation,
    ...setFields({ createdAtMs: metadata.createdAtMs }),
    names,
    aliases: aliases.map(({ name, upstreamModel }) => ({ name, ...setFields({ upstreamModel }) })),
    visibility: spec.visibility,
    access: translateAccess(spec.access, namespaces),
    weight: spec.weight,
    priority: spec.priority,
    loadBalancing: spec.loadBalancing?.strategy ?? 'PowerOfTwo',
    retry: setFields({ sameEndpoint, totalAttempts, budgetPercent }),
    passthrough: { enabled: spec.passthrough?.enabled ?? false, forwardAuth: spec.passthrough?.forwardAuth ?? false },
    backends,
  }
}
