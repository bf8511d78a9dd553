import { isDeepStrictEqual } from 'node:util'
import { API_VERSION } from '../resources/schemas.generated.ts'
import type { ModelResource, PolicyResource } from '../resources/snapshot.ts'
import { type Fields, isFields, type Problem } from '../validate/problem.ts'
import { validateResource } from '../validate/validate.ts'
import { projectMetadata } from './project-metadata.ts'

/** A LlamaModel or RoutingPolicy as it holds: its newest version if that is right, else the last one that was, and what is wrong now. */
export interface HeldResource<T> {
  readonly resource: T | undefined
  readonly problems: readonly Problem[]
}

/** What validation has to see; fields that newer clusters add to metadata are none of its business. */
const METADATA = ['name', 'namespace', 'labels', 'annotations', 'uid', 'generation', 'resourceVersion', 'creationTimestamp']

export function projectModel(raw: Fields, previous: HeldResource<ModelResource> | undefined): HeldResource<ModelResource> {
  if (previous !== undefined && isStill(previous, raw)) return previous
  const validated = validateResource(document(raw, 'LlamaModel'))
  if ('problems' in validated) return { resource: previous?.resource, problems: validated.problems }
  if (validated.resource.kind !== 'LlamaModel') return { resource: previous?.resource, problems: [] }
  return { resource: { kind: 'LlamaModel', metadata: projectMetadata(raw), spec: validated.resource.spec }, problems: [] }
}

export function projectPolicy(raw: Fields, previous: HeldResource<PolicyResource> | undefined): HeldResource<PolicyResource> {
  if (previous !== undefined && isStill(previous, raw)) return previous
  const validated = validateResource(document(raw, 'RoutingPolicy'))
  if ('problems' in validated) return { resource: previous?.resource, problems: validated.problems }
  if (validated.resource.kind !== 'RoutingPolicy') return { resource: previous?.resource, problems: [] }
  return { resource: { kind: 'RoutingPolicy', metadata: projectMetadata(raw), spec: validated.resource.spec }, problems: [] }
}

/** Most events are of our own writes of its status: what has been found right is not looked into again. */
const isStill = ({ resource, problems }: HeldResource<ModelResource | PolicyResource>, raw: Fields): boolean =>
  resource !== undefined &&
  problems.length === 0 &&
  isDeepStrictEqual(raw['spec'], resource.spec) &&
  isDeepStrictEqual(projectMetadata(raw), resource.metadata)

/** The API server may store what it would not take today: an object is older than its CRD's rules, or was written past them. */
function document({ metadata, spec }: Fields, kind: string): Fields {
  const kept = isFields(metadata) ? Object.fromEntries(Object.entries(metadata).filter(([name]) => METADATA.includes(name))) : metadata
  return { apiVersion: API_VERSION, kind, metadata: kept, spec }
}
