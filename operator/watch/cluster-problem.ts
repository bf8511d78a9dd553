import type { ObjectKey } from '../resources/snapshot.ts'
import { type Collection, describe } from './collection.ts'
import type { HeldResource } from './project-resource.ts'
import type { SessionEnd } from './session-end.ts'

/** Something that is wrong with an object, or with what may be read of the cluster. */
export interface ClusterProblem {
  /** "LlamaModel namespace/name"; "" when no object is to blame. */
  readonly object: string
  /** "spec.backends[0].url"; "" for the object as a whole. */
  readonly at: string
  readonly message: string
}

/** What is wrong with the newest versions of a kind's objects. */
export function heldProblems(kind: string, held: Iterable<readonly [ObjectKey, HeldResource<unknown>]>): readonly ClusterProblem[] {
  return [...held].flatMap(([key, { problems }]) => problems.map(({ path, message }) => ({ object: `${kind} ${key}`, at: path, message })))
}

/** What to tell of a watch that the API server refuses, and what to do about it. Undefined while it is only out of reach. */
export function refusalProblem(collection: Collection, end: SessionEnd | undefined): ClusterProblem | undefined {
  if (end?.reason !== 'refused') return undefined
  return general(`${describe(collection)} cannot be watched: ${advice(collection, end)} The API server says: ${end.message}`)
}

function advice({ group, resource, namespace, fieldSelector }: Collection, { status }: SessionEnd): string {
  const name = fieldSelector?.replace('metadata.name=', '')
  const rule = `apiGroups ["${group}"], resources ["${resource}"], verbs ["list", "watch"]`
  const role = namespace === undefined ? 'the ClusterRole' : `the Role of namespace ${namespace}`
  if (status === 403) return `add a rule with ${rule} to ${role} of the operator${name === undefined ? '' : `, at least for "${name}"`}.`
  if (status === 404) return `the API server does not know ${resource}${group === '' ? '' : `.${group}; install the CRDs`}.`
  if (status === 401) return 'the API server does not accept the credentials.'
  return 'it will be tried again.'
}

export const general = (message: string): ClusterProblem => ({ object: '', at: '', message })
