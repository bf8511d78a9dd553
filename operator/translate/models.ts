import type { Credential, EndpointSet, Model } from '../../proxy/routing-table/index.ts'
import { type ModelResource, objectKey, type Resources } from '../resources/snapshot.ts'
import { translateAccess } from './access.ts'
import type { AddressPolicy } from './address-policy.ts'
import { translateBackends } from './backends.ts'
import type { Changes } from './changes.ts'
import { type ClusterIndex, hasLabels } from './cluster-index.ts'
import { noteLookups, type Uses } from './lookups.ts'
import { translateTerms } from './model-terms.ts'
import { type Names, objectName } from './names.ts'
import type { Problem } from './problems.ts'
import { equal, reuse, reuseItems } from './reuse.ts'
import { setFields } from './set-fields.ts'

export interface BuiltModel {
  readonly resource: ModelResource
  readonly model: Model
  readonly endpointSets: readonly EndpointSet[]
  readonly credentials: readonly Credential[]
  readonly problems: readonly Problem[]
  readonly uses: Uses
}

export interface ModelContext {
  readonly resources: Resources
  readonly names: Names
  readonly index: ClusterIndex
  readonly policy: AddressPolicy
  readonly changes: Changes
  /** `addressKey` of each address that came to a namespace or left it. */
  readonly movedAddresses: ReadonlySet<string>
}

/**
 * One entry per LlamaModel. A model that lost its names or has no usable backend stays in the table: policies may still name it, and its
 * clients hear "unavailable" rather than "unknown". `before` is what this made of it last; while nothing it depends on has changed, that holds.
 */
export function translateModel(resource: ModelResource, context: ModelContext, before: BuiltModel | undefined): BuiltModel {
  const names = context.names.won.get(objectName(resource)) ?? []
  if (before !== undefined && before.resource === resource && equal(before.model.names, names) && !isTouched(before, context)) return before
  const { lookups, uses } = noteLookups(context.resources, context.index)
  const { namespace } = resource.metadata
  const { backends, endpointSets, credentials, problems } = translateBackends(resource, { namespace, lookups, policy: context.policy })
  const { terms, problems: ofTerms } = translateTerms(resource)
  return {
    resource,
    model: reuse(before?.model, { ...entry(resource, names, context.resources), ...terms, backends }),
    endpointSets: reuseItems(before?.endpointSets ?? [], endpointSets, ({ backend }) => backend),
    credentials: reuseItems(before?.credentials ?? [], credentials, ({ id }) => id),
    problems: reuse(before?.problems, [...problems, ...ofTerms]),
    uses,
  }
}

/** Whether an answer that its translation was built on may be another now. */
function isTouched({ resource, uses }: BuiltModel, { changes, movedAddresses }: ModelContext): boolean {
  return (
    changes.settings ||
    (changes.namespaces.size > 0 && resource.spec.access.from === 'Selector') ||
    meet(changes.services, uses.services) ||
    meet(changes.slices, uses.services) ||
    meet(changes.secrets, uses.secrets) ||
    meet(changes.clientKeys, uses.secrets) ||
    meet(movedAddresses, uses.addresses) ||
    uses.selectors.some((selector) => selectsAny(changes.pods, selector))
  )
}

function meet(a: { readonly size: number; has(key: string): boolean; keys(): Iterable<string> }, b: ReadonlySet<string>): boolean {
  const [few, many] = a.size < b.size ? [a, b] : [b, a]
  for (const key of few.keys()) if (many.has(key)) return true
  return false
}

function selectsAny(pods: Changes['pods'], { namespace, labels }: Uses['selectors'][number]): boolean {
  for (const { before, after } of pods.values()) {
    for (const pod of [before, after]) if (pod?.metadata.namespace === namespace && hasLabels(pod, labels)) return true
  }
  return false
}

function entry({ metadata, spec }: ModelResource, names: readonly string[], { namespaces }: Resources): Omit<Model, 'backends'> {
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
  }
}
