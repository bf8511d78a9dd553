import type { Backend, Credential, EndpointSet } from '../../proxy/routing-table/index.ts'
import type { Backend as BackendSpec } from '../resources/crds.generated.ts'
import { type ModelResource, objectKey } from '../resources/snapshot.ts'
import { readHeader, resolveAuth } from './credentials.ts'
import { endpointSet, type Found, leftOut } from './found.ts'
import type { Seeker } from './hosts.ts'
import { objectName } from './names.ts'
import { mergeBackend } from './overrides.ts'
import { findPodsBySelector } from './pod-places.ts'
import { type Problem, problem } from './problems.ts'
import { findService } from './service-places.ts'
import { setFields } from './set-fields.ts'
import { findUrl } from './url-places.ts'

export interface BuiltBackends {
  readonly backends: readonly Backend[]
  readonly endpointSets: readonly EndpointSet[]
  readonly credentials: readonly Credential[]
  readonly problems: readonly Problem[]
}

const NOTHING: BuiltBackends = { backends: [], endpointSets: [], credentials: [], problems: [] }

/**
 * A backend that cannot be reached by what it says, or without the credential it asks for, is left out; the others stand. One that has no
 * endpoint now stays, with an empty set. Names are unique by the schema.
 */
export function translateBackends(model: ModelResource, seeker: Seeker): BuiltBackends {
  const built = model.spec.backends
    .map((backend, index) => translateBackend(backend, `spec.backends[${index}]`, model, seeker))
    .reduce(join, NOTHING)
  return { ...built, problems: [...built.problems, ...judgeWhole(built.backends, objectName(model))] }
}

function join(a: BuiltBackends, b: BuiltBackends): BuiltBackends {
  return {
    backends: [...a.backends, ...b.backends],
    endpointSets: [...a.endpointSets, ...b.endpointSets],
    credentials: [...a.credentials, ...b.credentials],
    problems: [...a.problems, ...b.problems],
  }
}

function judgeWhole(backends: readonly Backend[], object: string): readonly Problem[] {
  if (backends.length === 0) return [problem('NoBackend', object, 'spec.backends')]
  return backends.every(({ weight }) => weight === 0) ? [problem('BackendsWeightless', object, 'spec.backends')] : []
}

function translateBackend(own: BackendSpec, at: string, model: ModelResource, seeker: Seeker): BuiltBackends {
  const { places, lastResort, problems: wrong } = findPlaces(own, objectName(model), at, seeker)
  const auth = own.auth === undefined ? undefined : resolveAuth(own.auth, own, at, model, seeker.lookups)
  const headers = fixedHeaders(own, at, objectName(model))
  const problems = [...wrong, ...(auth?.problems ?? []), ...headers.problems]
  if (places === undefined || (auth !== undefined && auth.auth === undefined)) return { ...NOTHING, problems }
  const backend: Backend = { ...mergeBackend(own, model), ...setFields({ auth: auth?.auth }), headers: headers.kept }
  const set = endpointSet(objectKey(model.metadata), own.name, places, lastResort)
  return { backends: [backend], endpointSets: [set], credentials: auth?.credentials ?? [], problems }
}

/** The schema's rules leave exactly one of the three. */
function findPlaces({ service, pods, url = '' }: BackendSpec, object: string, at: string, seeker: Seeker): Found {
  if (service === undefined && pods === undefined) return findUrl(url, object, `${at}.url`, seeker)
  const field = service === undefined ? 'pods' : 'service'
  if (seeker.policy.base === 'Standalone') return leftOut(problem('NeedsCluster', object, `${at}.${field}`, field))
  if (service !== undefined) return findService({ spec: service, object, at: `${at}.service`, seeker })
  return pods === undefined ? { places: [], problems: [] } : findPodsBySelector(pods, object, `${at}.pods`, seeker)
}

/** The credential's header is the credential's alone. The schema knows the usual ones; here it is the one this backend names itself. */
function fixedHeaders(own: BackendSpec, at: string, object: string): { kept: Backend['headers']; problems: readonly Problem[] } {
  const headers = own.headers ?? []
  const secret = own.auth === undefined ? undefined : readHeader(own.auth, own.engine).header
  const taken = (name: string): boolean => name.toLowerCase() === secret
  return {
    kept: headers.filter(({ name }) => !taken(name)).map(({ name, value }) => ({ name: name.toLowerCase(), value })),
    problems: headers.flatMap(({ name }, index) =>
      taken(name) ? [problem('HeaderIsCredential', object, `${at}.headers[${index}].name`, name)] : [],
    ),
  }
}
