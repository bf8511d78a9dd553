/**
 * For deciding offline what a cluster will decide: pods behind Services, and Secrets that no file should hold, are there alone. PURE. In: resources from
 * files. Out: the same with one address for each such backend, without a limit for each endpoint of its model, as nobody knows how many there
 * are, and without the credentials that are missing. Nothing is ever sent to these addresses.
 */
import type { LlamaModelSpec } from '../operator/resources/crds.generated.ts'
import type { ModelResource, Resources } from '../operator/resources/snapshot.ts'

type BackendSpec = LlamaModelSpec['backends'][number]

export interface WithStandIns {
  readonly resources: Resources
  /** "namespace/model backend", of each that has been given an address. */
  readonly given: readonly string[]
}

export function withStandIns(resources: Resources): WithStandIns {
  const models = [...resources.models].map(([key, model]) => ({ key, model, away: model.spec.backends.filter(isInCluster) }))
  return {
    resources: { ...resources, models: new Map(models.map(({ key, model }) => [key, completed(model, resources)])) },
    given: models.flatMap(({ key, away }) => away.map(({ name }) => `${key} ${name}`)),
  }
}

const isInCluster = ({ service, pods }: BackendSpec): boolean => service !== undefined || pods !== undefined

function completed({ spec, ...model }: ModelResource, resources: Resources): ModelResource {
  const backends = spec.backends.map((backend) => withoutMissing(placed(backend), model.metadata.namespace, resources))
  return { ...model, spec: { ...(spec.backends.some(isInCluster) ? withoutPerEndpoint(spec) : spec), backends } }
}

function placed(backend: BackendSpec): BackendSpec {
  if (!isInCluster(backend)) return backend
  const { service: _s, pods: _p, ...rest } = backend
  return { ...rest, url: 'http://stand-in.invalid/v1' }
}

function withoutMissing(backend: BackendSpec, namespace: string, { secrets }: Resources): BackendSpec {
  const { auth, ...rest } = backend
  return auth === undefined || auth.secretRefs.every(({ name }) => secrets.has(`${namespace}/${name}`)) ? backend : rest
}

function withoutPerEndpoint(spec: LlamaModelSpec): LlamaModelSpec {
  if (spec.limits?.maxConcurrentPerEndpoint === undefined) return spec
  const { maxConcurrentPerEndpoint: _, ...limits } = spec.limits
  return { ...spec, limits }
}
